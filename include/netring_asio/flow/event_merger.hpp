#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace netring_asio::flow {

/// Puts the events of several trackers, those of shards for instance, in the order of their times.
///
/// An event is told once every source has come as far, or once it is older than the newest by more than a bound, so
/// that a source with nothing to say holds nothing up for longer. What comes later than that is told at once, out of
/// order, and counted.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
template <class Event>
class event_merger {
public:
    event_merger(std::size_t sources, std::chrono::nanoseconds bound)
        : reached_(sources, timestamp::min())
        , bound_{bound} {}

    /// Takes events of a source in, in the order in which it told them.
    void push(std::size_t source, std::span<Event const> events) {
        for (auto const& one : events) {
            late_ += one.time < told_ ? 1 : 0;
            waiting_.push_back({one, order_++});
            std::push_heap(waiting_.begin(), waiting_.end(), later);
            reached_[source] = std::max(reached_[source], one.time);
            newest_ = std::max(newest_, one.time);
        }
    }

    /// Nothing more comes from a source.
    void end(std::size_t source) { reached_[source] = timestamp::max(); }

    /// Appends what is in order by now, and returns how many events that were.
    std::size_t take(std::vector<Event>& out) {
        auto const all = reached_.empty() ? timestamp::max() : *std::min_element(reached_.begin(), reached_.end());
        auto const settled = std::max(all, newest_ == timestamp::min() ? newest_ : newest_ - bound_);
        std::size_t count = 0;
        for (; !waiting_.empty() && waiting_.front().event.time <= settled; ++count) {
            std::pop_heap(waiting_.begin(), waiting_.end(), later);
            told_ = std::max(told_, waiting_.back().event.time);
            out.push_back(std::move(waiting_.back().event));
            waiting_.pop_back();
        }
        return count;
    }

    /// Events that wait for slower sources.
    std::size_t waiting() const noexcept { return waiting_.size(); }
    /// Events that were told out of order because they came beyond the bound.
    std::uint64_t late() const noexcept { return late_; }

private:
    struct entry {
        Event event;
        std::uint64_t order;
    };
    static bool later(entry const& a, entry const& b) noexcept {
        return std::pair{a.event.time, a.order} > std::pair{b.event.time, b.order};
    }

    std::vector<entry> waiting_; // a heap
    std::vector<timestamp> reached_;
    std::chrono::nanoseconds bound_;
    timestamp newest_ = timestamp::min();
    timestamp told_ = timestamp::min();
    std::uint64_t order_ = 0;
    std::uint64_t late_ = 0;
};

} // namespace netring_asio::flow
