#pragma once

#include <netring_asio/channel.hpp>
#include <netring_asio/detail/flow_receive_op.hpp>
#include <netring_asio/detail/flow_stream_state.hpp>
#include <netring_asio/detail/pipe_op.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/flow/event_batch.hpp>
#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/packet_source.hpp>

#include <boost/asio/async_result.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace netring_asio {

namespace detail {
/// For the streams that a flow stream can become.
struct flow_stream_access {
    template <class Stream>
    static auto& state(Stream& stream) noexcept {
        return stream.state_;
    }
};
} // namespace detail

/// Flow events from a source of packets.
///
/// Pulled: the pending operation reads the source and runs the tracker. With no operation pending nothing runs
/// and no work is held on the context; the source's ring or file is the buffer. Packet time goes on with a steady clock
/// while the source is idle, so that flows expire then too.
///
/// @par Operations
/// One `async_receive` or `async_pipe` at a time. A second one completes with `error::operation_in_progress`.
///
/// @par Moving
/// Allowed at any time, also with an operation pending. A moved-from stream may only be assigned to or destroyed.
///
/// @par Destruction
/// Closes the source; what is pending completes with `net::error::operation_aborted`.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe. The handlers of one operation must not run at the same time: use a
/// context run by one thread, or a strand.
///
/// @tparam Source what the packets come from, see `packet_source`
/// @tparam Extractor which flow a packet belongs to, see `flow::extractor`
template <packet_source Source, flow::extractor Extractor = flow::five_tuple>
class flow_stream {
    using state = detail::flow_stream_state<Source, flow::tracker<Extractor>>;

public:
    using source_type = Source;
    using executor_type = typename Source::executor_type;
    using extractor_type = Extractor;
    using key_type = typename Extractor::key_type;
    using event_type = flow::basic_event<key_type, flow::state_of<Extractor>>;
    using event_batch = flow::basic_event_batch<key_type, flow::state_of<Extractor>>;

    /// The same stream over its source on another executor type.
    template <class Executor>
    struct rebind_executor {
        using other = flow_stream<typename Source::template rebind_executor<Executor>::other, Extractor>;
    };

    explicit flow_stream(Source source, Extractor extract = Extractor{},
                         flow::tracker_options const& options = flow::tracker_options{})
        : state_{std::make_shared<state>(std::move(source), flow::tracker<Extractor>{std::move(extract), options})} {}

    flow_stream(flow_stream&&) noexcept = default;
    flow_stream& operator=(flow_stream&& other) noexcept {
        flow_stream moved{std::move(other)};
        std::swap(state_, moved.state_);
        return *this;
    }

    /// From a stream over a convertible source, with its flows; no operation may be pending.
    template <class Other>
        requires(!std::same_as<Other, Source> && std::constructible_from<Source, Other &&>)
    flow_stream(flow_stream<Other, Extractor>&& other)
        : state_{std::make_shared<state>(Source{std::move(other.state_->source)}, std::move(other.state_->tracker))} {
        state_->events = std::move(other.state_->events);
        state_->failure = other.state_->failure;
        state_->ended = other.state_->ended;
        state_->finished = other.state_->finished;
        state_->last_look = other.state_->last_look;
        other.state_.reset();
    }

    ~flow_stream() {
        if (state_ && state_->receiving) {
            state_->closed = true;
            state_->cancel();
            state_->source.close();
        }
    }

    executor_type get_executor() const noexcept { return state_->source.get_executor(); }

    /// The source, to look at its statistics or to change its filter. Receiving from it takes packets from the stream.
    Source& source() noexcept { return state_->source; }
    Source const& source() const noexcept { return state_->source; }

    /// Gives the source back; flows still open are forgotten, an operation pending is cancelled. The stream is then as
    /// if moved from.
    Source release() {
        auto const left = std::move(state_);
        left->closed = true;
        left->cancel();
        return std::move(left->source);
    }

    /// Ends a pending operation with `net::error::operation_aborted`. What it had tracked waits for the next one.
    void cancel() { state_->cancel(); }

    /// Closes the source and ends what is pending. Flows still open are kept, and go on if the source is opened again.
    void close() {
        cancel();
        state_->source.close();
    }

    /// Closes the source for good and ends every flow: what is received next are their events, then `net::error::eof`.
    /// An operation pending ends as if cancelled. Packets that the source still had are not tracked.
    void finish() {
        close();
        state_->ended = state_->finished = true;
    }

    /// Appends how flows stand, a part of the table at each call: see `flow::tracker::snapshot`. Allowed at any time,
    /// also with an operation pending, which it does not disturb.
    bool snapshot(flow::snapshot_cursor& cursor, std::vector<event_type>& flows, std::size_t limit = 4096) const {
        return state_->tracker.snapshot(cursor, flows, limit);
    }
    /// The `count` flows with the greatest `measure(event)`: see `flow::tracker::top`.
    template <class Measure>
    std::vector<event_type> top(std::size_t count, Measure measure) const {
        return state_->tracker.top(count, std::move(measure));
    }
    flow::table_statistics table() const noexcept { return state_->tracker.table(); }
    flow::tracker_statistics statistics() const noexcept { return state_->tracker.statistics(); }

    /// Gives the events that packets already there lead to. Never blocks and makes no system call of its own.
    ///
    /// Returns false, with an empty batch, if there are none, or an operation is pending. Does not tell the end of a
    /// source.
    bool try_receive(event_batch& events) {
        auto& s = *state_;
        if (s.receiving)
            return false;
        events.reset();
        while (!s.gather()) {
        }
        if (s.events.empty())
            return false;
        s.deliver(events);
        return true;
    }

    /// Waits for events.
    ///
    /// @par Completion signature
    /// `void(error_code, std::size_t events)`; never zero events without an error.
    ///
    /// @param events filled before completion; what it held is released at initiation. It must stay valid until then.
    /// After a race with another operation look at the batch, not at which of them won: both may have.
    ///
    /// @par Errors
    /// `net::error::eof` when the source has ended and every flow was told; `net::error::operation_aborted`;
    /// `error::operation_in_progress`; what the source reports, after the events before it.
    ///
    /// @par Cancellation
    /// Total, hence also partial and terminal. Nothing is lost: what was tracked waits for the next receive.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(event_batch& events, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiate_flow_receive<state>{state_}, token, &events);
    }

    /// Sends every batch of events to a channel of yours, until cancelled or until the source ends.
    ///
    /// The channel takes `void(error_code, event_batch)`; any type with such an `async_send` will do, for instance
    /// `experimental::channel` or, to another thread, `experimental::concurrent_channel`. The end of the source is sent
    /// as `(net::error::eof, {})`. The channel must stay valid until completion; a full one holds the pipe up, and the
    /// source is the buffer.
    ///
    /// @par Completion signature
    /// `void(error_code)`: success when the end of the source was sent, `operation_aborted` when cancelled, the
    /// channel's error when that is closed, else as `async_receive`.
    ///
    /// @par Cancellation
    /// Total. Events not yet handed over stay with the stream. When cancelled while the channel was full, the channel
    /// destroys the message that it was to take; its events count in `event_batch::dropped` of the next batch.
    template <channel_of<event_batch> Channel, boost::asio::completion_token_for<void(error_code)> Token =
                                                   boost::asio::default_completion_token_t<executor_type>>
    auto async_pipe(Channel& channel, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(detail::initiate_pipe<state>{state_}, token,
                                                                    &channel);
    }

private:
    template <packet_source, flow::extractor>
    friend class flow_stream;
    friend struct detail::flow_stream_access;

    std::shared_ptr<state> state_;
};

template <class Source>
flow_stream(Source) -> flow_stream<Source>;
template <class Source, class Extractor>
flow_stream(Source, Extractor) -> flow_stream<Source, Extractor>;
template <class Source, class Extractor>
flow_stream(Source, Extractor, flow::tracker_options) -> flow_stream<Source, Extractor>;

} // namespace netring_asio
