#pragma once

#include <netring_asio/detail/handler_memory.hpp>
#include <netring_asio/flow/event_batch.hpp>
#include <netring_asio/packet_source.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>

namespace netring_asio::detail {

/// What a stream that has packets tracked and its pending operation share: a flow stream, with `flow::tracker`, or
/// another with what has the same interface.
template <class Source, class Tracker>
struct flow_stream_state : std::enable_shared_from_this<flow_stream_state<Source, Tracker>> {
    using executor_type = typename Source::executor_type;
    using event_type = typename Tracker::event_type;
    using event_batch = flow::batch_of<event_type>;
    using steady_clock = std::chrono::steady_clock;
    using timer = boost::asio::basic_waitable_timer<steady_clock, boost::asio::wait_traits<steady_clock>,
                                                    typename Source::executor_type>;

    // Batches read in a row without an event before others on the executor get their turn.
    static constexpr int budget = 16;

    flow_stream_state(Source from, Tracker with)
        : source{std::move(from)}
        , tracker{std::move(with)}
        , idle_timer{source.get_executor()}
        , pool{std::make_shared<flow::detail::event_pool<event_type>>()} {}

    /// Tracks what lies in `packets`.
    void track() {
        tracker.pass(passed());
        tracker.track(packets, events);
        packets.reset();
    }

    /// Lets packet time go on with the steady clock.
    void advance() {
        auto const elapsed = passed();
        if (auto const now = tracker.now()) {
            tracker.pass(elapsed);
            tracker.advance(*now + elapsed, events);
        }
    }

    /// Reads what the source has, until there are events. False where the budget is used up and there may be more.
    bool gather() {
        for (int i = 0; i != budget; ++i) {
            if (!events.empty())
                return true;
            if (ended) {
                ended = tracker.flush(events) || finished;
                if (events.empty())
                    failure = boost::asio::error::eof;
                return true;
            }
            if (failure)
                return true;
            if (!source.try_receive(packets)) {
                advance();
                return true;
            }
            track();
        }
        return false;
    }

    /// Whether an operation can complete.
    bool ready() const noexcept { return !events.empty() || failure; }

    /// The source failed. What it led to comes first.
    void fail(error_code const& error) {
        if (error == boost::asio::error::eof)
            ended = true;
        else
            failure = error;
    }

    /// Hands over the events, or the failure if there are none.
    std::tuple<error_code, std::size_t> deliver(event_batch& out) {
        if (events.empty())
            return {std::exchange(failure, {}), 0};
        out = take();
        return {error_code{}, out.size()};
    }
    event_batch take() { return {std::exchange(events, pool->take()), pool, std::exchange(discarded, 0)}; }

    executor_type get_executor() const noexcept { return source.get_executor(); }

    error_code begin_receiving() noexcept {
        return std::exchange(receiving, true) ? make_error_code(error::operation_in_progress) : error_code{};
    }

    // What a pipe needs.
    template <class Channel>
    using message_type = event_batch;
    template <class Channel>
    event_batch take_message() {
        return take();
    }
    template <class Handler>
    void fill(Handler&& handler);
    void count_discarded(std::size_t count) noexcept { discarded += count; }

    /// The pending operation is to end without a result; what it tracked stays here.
    void cancel(boost::asio::cancellation_type type) {
        cancelled = cancelled | type;
        if (waiting)
            stop_source.emit(type);
    }
    void cancel() {
        ++cancels;
        if (!receiving)
            return;
        cancel(boost::asio::cancellation_type::total);
        if (!waiting)
            pipe_cancellation.emit(boost::asio::cancellation_type::total);
    }
    bool stopped() const noexcept { return closed || cancelled != boost::asio::cancellation_type::none; }

    std::chrono::nanoseconds passed() noexcept {
        auto const now = steady_clock::now();
        return now - std::exchange(last_look, now);
    }

    Source source;
    Tracker tracker;
    timer idle_timer;
    std::shared_ptr<handler_memory> timer_memory = std::make_shared<handler_memory>();
    std::shared_ptr<flow::detail::event_pool<event_type>> pool;
    typename Tracker::event_list events;
    packet_batch packets;
    error_code failure;
    steady_clock::time_point last_look = steady_clock::now();

    std::uint64_t discarded = 0; // events that a channel destroyed, told with the next batch

    // Of the pending operation.
    boost::asio::cancellation_signal stop_source;
    boost::asio::cancellation_signal pipe_cancellation;
    unsigned cancels = 0;
    boost::asio::cancellation_type cancelled = boost::asio::cancellation_type::none;
    std::uint64_t operations = 0;
    std::uint64_t waits = 0;
    bool receiving = false;
    bool waiting = false;  // for the source
    bool expired = false;  // the idle timer ended the wait
    bool closed = false;   // the stream is gone, or has given its source away
    bool ended = false;    // the source has, and flows may be left to flush
    bool finished = false; // and nothing may follow
};

} // namespace netring_asio::detail
