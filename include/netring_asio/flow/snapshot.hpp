#pragma once

#include <netring_asio/flow/key.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace netring_asio::flow {

/// How far a snapshot of a table has come. A plain value.
class snapshot_cursor {
public:
    snapshot_cursor() = default;

private:
    template <extractor Extractor>
    friend class tracker;
    std::uint32_t next_ = 0;
};

/// What a tracker's table holds, and what it costs.
struct table_statistics {
    std::size_t flows = 0;          ///< that have not ended
    std::size_t remembered = 0;     ///< that have ended, and are remembered for stragglers
    std::size_t capacity = 0;       ///< flows and remembered ones together
    std::size_t record_bytes = 0;   ///< memory of all records ever used at once
    std::size_t index_bytes = 0;    ///< memory of the index
    std::size_t datagrams = 0;      ///< being put together from fragments
    std::size_t fragment_bytes = 0; ///< of these
};

/// Keeps the greatest of many flows by some measure, at most `count`.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
template <class Event, class Measure>
class top_flows {
public:
    explicit top_flows(std::size_t count, Measure measure)
        : measure_{std::move(measure)}
        , count_{count} {
        flows_.reserve(count + 1);
    }

    void offer(Event const& flow) {
        if (flows_.size() == count_ && (count_ == 0 || !(measure_(flow) > measure_(flows_.front()))))
            return;
        flows_.push_back(flow);
        std::push_heap(flows_.begin(), flows_.end(), greater());
        if (flows_.size() > count_) {
            std::pop_heap(flows_.begin(), flows_.end(), greater());
            flows_.pop_back();
        }
    }
    void offer(std::span<Event const> flows) {
        for (auto const& flow : flows)
            offer(flow);
    }

    /// The flows, greatest first; none are left behind.
    std::vector<Event> take() {
        std::sort_heap(flows_.begin(), flows_.end(), greater());
        return std::exchange(flows_, {});
    }

private:
    auto greater() const {
        return [this](Event const& a, Event const& b) { return measure_(a) > measure_(b); };
    }

    Measure measure_;
    std::size_t count_;
    std::vector<Event> flows_;
};

} // namespace netring_asio::flow
