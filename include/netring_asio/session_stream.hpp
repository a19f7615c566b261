#pragma once

#include <netring_asio/channel.hpp>
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/session/tracker.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>

namespace netring_asio {

/// What flows carry, as typed messages: the events of `session::tracker` from a source of packets.
///
/// One capture feeds any number of parsers, of byte streams and of datagrams. A message is one of the parser's
/// `message_type`, or of several parsers a `std::variant` of all that they make.
/// @code
/// nr::session_stream sessions{nr::flow_stream{std::move(capture)},
///                             nr::session::use{nr::session::http1_parser{}}.ports({80}),
///                             nr::session::use{nr::session::tls_handshake{}}};
/// decltype(sessions)::event_batch events;
/// co_await sessions.async_receive(events);
/// for (auto const& e : events)
///     if (auto const* message = e.message())
///         std::visit(handler, *message);
/// @endcode
///
/// Pulled, like `flow_stream`: the pending operation reads the source, tracks and parses. With none nothing runs.
///
/// @par Operations, moving, destruction, thread safety
/// As `flow_stream`.
///
/// @tparam Source what the packets come from, see `packet_source`
/// @tparam Extractor which flow a packet belongs to; its key must tell one TCP connection from another
/// @tparam Parsers see `session::stream_parser` and `session::datagram_parser`
template <packet_source Source, flow::extractor Extractor, class... Parsers>
class session_stream {
    using tracker = session::tracker<Extractor, Parsers...>;
    using state = detail::flow_stream_state<Source, tracker>;

public:
    using source_type = Source;
    using executor_type = typename Source::executor_type;
    using extractor_type = Extractor;
    using key_type = typename Extractor::key_type;
    using message_type = typename tracker::message_type;
    using event_type = typename tracker::event_type;
    using event_batch = flow::batch_of<event_type>;

    /// The same stream over its source on another executor type.
    template <class Executor>
    struct rebind_executor {
        using other = session_stream<typename Source::template rebind_executor<Executor>::other, Extractor, Parsers...>;
    };

    /// From a flow stream, which is then as if moved from; no operation may be pending. Flows that it followed go on,
    /// in the midst of what they carry.
    session_stream(flow_stream<Source, Extractor> flows, session::session_options const& options,
                   session::use<Parsers>... parsers) {
        auto const from = std::move(detail::flow_stream_access::state(flows));
        state_ = std::make_shared<state>(std::move(from->source),
                                         tracker{std::move(from->tracker), options, std::move(parsers)...});
        take_over(*from);
    }
    explicit session_stream(flow_stream<Source, Extractor> flows, session::use<Parsers>... parsers)
        : session_stream{std::move(flows), session::session_options{}, std::move(parsers)...} {}

    session_stream(session_stream&&) noexcept = default;
    session_stream& operator=(session_stream&& other) noexcept {
        session_stream moved{std::move(other)};
        std::swap(state_, moved.state_);
        return *this;
    }

    /// From a stream over a convertible source, with its sessions; no operation may be pending.
    template <class Other>
        requires(!std::same_as<Other, Source> && std::constructible_from<Source, Other &&>)
    session_stream(session_stream<Other, Extractor, Parsers...>&& other)
        : state_{std::make_shared<state>(Source{std::move(other.state_->source)}, std::move(other.state_->tracker))} {
        state_->events = std::move(other.state_->events);
        take_over(*other.state_);
        other.state_.reset();
    }

    ~session_stream() {
        if (state_ && state_->receiving) {
            state_->closed = true;
            state_->cancel();
            state_->source.close();
        }
    }

    executor_type get_executor() const noexcept { return state_->source.get_executor(); }

    /// As in `flow_stream`.
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

    /// Ends a pending operation with `net::error::operation_aborted`. What it had parsed waits for the next one.
    void cancel() { state_->cancel(); }

    /// Closes the source and ends what is pending.
    void close() {
        cancel();
        state_->source.close();
    }

    flow::tracker_statistics statistics() const noexcept { return state_->tracker.statistics(); }
    /// Flows that have a parser, or may still get one.
    std::size_t sessions() const noexcept { return state_->tracker.sessions(); }
    /// Bytes that wait for missing ones, of all flows together.
    std::size_t buffered() const noexcept { return state_->tracker.buffered(); }
    /// Bytes that parsers hold for what is not complete, and to choose a parser, of all flows together.
    std::size_t held() const noexcept { return state_->tracker.held(); }
    /// Flows that went on unparsed because of `session_options::max_held`.
    std::uint64_t given_up() const noexcept { return state_->tracker.given_up(); }

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
    /// `net::error::eof` after the last event of a source that ended; what the source fails with;
    /// `error::operation_in_progress`. What a parser finds is no error of the stream, but an event.
    ///
    /// @par Cancellation
    /// Total. What was parsed already is delivered by the next operation.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(event_batch& events, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiate_flow_receive<state>{state_}, token, &events);
    }

    /// Sends batches of events into a channel of `void(error_code, event_batch)` until the source ends, which is sent
    /// as
    /// `(eof, {})`.
    ///
    /// @par Completion signature, cancellation
    /// As `flow_stream::async_pipe`.
    template <channel_of<event_batch> Channel, boost::asio::completion_token_for<void(error_code)> Token =
                                                   boost::asio::default_completion_token_t<executor_type>>
    auto async_pipe(Channel& channel, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(detail::initiate_pipe<state>{state_}, token,
                                                                    &channel);
    }

private:
    template <packet_source, flow::extractor, class...>
    friend class session_stream;

    template <class Other>
    void take_over(Other const& from) noexcept {
        state_->failure = from.failure;
        state_->ended = from.ended;
        state_->last_look = from.last_look;
    }

    std::shared_ptr<state> state_;
};

template <class Source, class Extractor, class... Parsers>
session_stream(flow_stream<Source, Extractor>, session::use<Parsers>...)
    -> session_stream<Source, Extractor, Parsers...>;
template <class Source, class Extractor, class... Parsers>
session_stream(flow_stream<Source, Extractor>, session::session_options, session::use<Parsers>...)
    -> session_stream<Source, Extractor, Parsers...>;

} // namespace netring_asio
