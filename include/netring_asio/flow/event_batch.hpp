#pragma once

#include <netring_asio/flow/detail/event_pool.hpp>
#include <netring_asio/flow/event.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace netring_asio::flow {

/// Events that came together, oldest first.
///
/// Move-only. Its storage goes back to the stream that filled it when it is destroyed, assigned to or reset.
///
/// @par Lifetime
/// May outlive the stream and the `io_context`; the events are plain values.
///
/// @par Thread safety
/// Distinct objects: safe, also where they came from one stream. Shared objects: unsafe.
template <class Event>
class batch_of {
public:
    using value_type = Event;
    using const_iterator = value_type const*;
    using iterator = const_iterator;

    batch_of() noexcept = default;

    /// A batch of events of your own.
    explicit batch_of(std::vector<value_type> events, std::uint64_t dropped = 0) noexcept
        : events_{std::move(events)}
        , dropped_{dropped} {}

    /// A batch whose storage goes back to a pool.
    batch_of(std::vector<value_type> events, std::shared_ptr<detail::event_pool<Event>> pool,
             std::uint64_t dropped = 0) noexcept
        : events_{std::move(events)}
        , pool_{std::move(pool)}
        , dropped_{dropped} {}

    batch_of(batch_of&& other) noexcept
        : events_{std::exchange(other.events_, {})}
        , pool_{std::move(other.pool_)}
        , dropped_{std::exchange(other.dropped_, 0)} {}

    batch_of& operator=(batch_of&& other) noexcept {
        batch_of moved{std::move(other)};
        std::swap(events_, moved.events_);
        std::swap(pool_, moved.pool_);
        std::swap(dropped_, moved.dropped_);
        return *this;
    }

    ~batch_of() {
        if (pool_)
            pool_->give_back(std::move(events_));
    }

    /// Gives the storage back; the batch is empty afterwards.
    void reset() noexcept { batch_of{std::move(*this)}; }

    std::size_t size() const noexcept { return events_.size(); }
    bool empty() const noexcept { return events_.empty(); }
    value_type const& operator[](std::size_t i) const noexcept { return events_[i]; }
    const_iterator begin() const noexcept { return events_.data(); }
    const_iterator end() const noexcept { return events_.data() + events_.size(); }

    /// Events that were lost on the way to their consumer before this batch; always 0 where the stream is pulled.
    std::uint64_t dropped() const noexcept { return dropped_; }

private:
    std::vector<value_type> events_;
    std::shared_ptr<detail::event_pool<Event>> pool_;
    std::uint64_t dropped_ = 0;
};

template <class Key, class State = no_state>
using basic_event_batch = batch_of<basic_event<Key, State>>;

using event_batch = basic_event_batch<five_tuple_key>;

} // namespace netring_asio::flow
