#pragma once

#include <netring_asio/detail/conversation_state.hpp>
#include <netring_asio/detail/waiting_op.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

namespace netring_asio {

template <class State>
class basic_conversation;

namespace detail {

template <class State>
struct conversation_accept_step;

/// An accepted conversation.
template <class State>
struct conversation_link final : session::detail::conversation_listener {
    struct direction {
        explicit direction(typename State::executor_type const& executor)
            : reading{executor} {}
        typename State::bell_type reading;
        std::uint64_t offset = 0;
        std::uint64_t gap = 0;
        timestamp time{};
    };

    conversation_link(std::shared_ptr<State> of, announced<typename State::key_type> what)
        : state{std::move(of)}
        , info{std::move(what.info)}
        , queue{std::move(what.queue)}
        , directions{direction{state->get_executor()}, direction{state->get_executor()}} {
        queue->listen(side::initiator, this);
        queue->listen(side::responder, this);
    }
    ~conversation_link() { close(); }
    conversation_link(conversation_link const&) = delete;
    conversation_link& operator=(conversation_link const&) = delete;

    void readable(side from) noexcept override { at(from).reading.ring(); }
    direction& at(side which) noexcept { return directions[index(which)]; }

    void close() {
        for (auto const from : {side::initiator, side::responder}) {
            queue->close(from);
            at(from).reading.error = boost::asio::error::operation_aborted;
            at(from).reading.ring();
        }
        open = false;
        state->start();
    }

    std::shared_ptr<State> state;
    conversation_info<typename State::key_type> info;
    std::shared_ptr<conversation_queue> queue;
    std::array<direction, 2> directions;
    bool open = true;
};

template <class State, class Buffers>
struct conversation_read_step {
    using result = std::optional<std::tuple<error_code, std::size_t>>;
    static result failed(error_code error) { return {{error, std::size_t{0}}}; }
    auto& bell(State&) const noexcept { return link->at(from).reading; }
    static constexpr bool pulls() noexcept { return true; }

    result take(State& s) const {
        auto& d = link->at(from);
        if (!link->open)
            return failed(boost::asio::error::bad_descriptor);
        if (boost::asio::buffer_size(buffers) == 0)
            return {{error_code{}, std::size_t{0}}};
        if (auto const piece = link->queue->front(from)) {
            d.offset = piece->offset;
            d.time = piece->time;
            if (piece->missing != 0) {
                d.gap = piece->missing;
                d.offset += piece->missing;
                consume(s, 0);
                return failed(error::stream_gap);
            }
            auto const size =
                boost::asio::buffer_copy(buffers, boost::asio::buffer(piece->bytes.data(), piece->bytes.size()));
            d.offset += size;
            consume(s, size);
            return {{error_code{}, size}};
        }
        if (auto const end = error_of(link->queue->end(from)))
            return failed(end);
        return s.exhausted || s.closed ? failed(boost::asio::error::operation_aborted) : result{};
    }
    result stop(State&, error_code error) const { return failed(error); }

    void consume(State& s, std::size_t size) const {
        link->queue->consume(from, size);
        s.start();
    }

    std::shared_ptr<conversation_link<State>> link;
    side from;
    Buffers buffers;
};

} // namespace detail

/// What one side of a captured conversation sent: an Asio `AsyncReadStream`.
///
/// @par Thread safety
/// As `conversation_stream`, whose packets a read pulls.
template <class State>
class conversation_side {
public:
    using executor_type = typename State::executor_type;

    executor_type get_executor() const noexcept { return link_->state->get_executor(); }

    /// Reads what comes next.
    ///
    /// @par Completion signature
    /// `void(error_code, std::size_t bytes)`.
    ///
    /// @par Errors
    /// `error::stream_gap`: bytes are missing here, as many as `gap()` says; the next read goes on behind them.
    /// `net::error::eof`: the connection was closed or became idle, or the input ended. `net::error::connection_reset`:
    /// it was reset, evicted or reused. `error::reader_too_slow`, behind the gap of what was lost.
    /// `net::error::bad_descriptor`: it was closed by you. `error::operation_in_progress`; `operation_aborted`; what
    /// the source fails with.
    ///
    /// @par Cancellation
    /// Total.
    template <class MutableBufferSequence, boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                                               boost::asio::default_completion_token_t<executor_type>>
    auto async_read_some(MutableBufferSequence const& buffers,
                         Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        using step = detail::conversation_read_step<State, MutableBufferSequence>;
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiate_waiting_op<State>{link_->state}, token, step{link_, which_, buffers});
    }

    session::side which() const noexcept { return which_; }
    /// Where the next byte to be read lies in the stream, missing ones counted.
    std::uint64_t offset() const noexcept { return link_->at(which_).offset; }
    /// How many bytes the last `error::stream_gap` was about.
    std::uint64_t gap() const noexcept { return link_->at(which_).gap; }
    /// Packet time of what was read last: of the first packet of the piece that it was part of.
    timestamp time() const noexcept { return link_->at(which_).time; }

private:
    friend class basic_conversation<State>;
    conversation_side(std::shared_ptr<detail::conversation_link<State>> link, session::side which) noexcept
        : link_{std::move(link)}
        , which_{which} {}

    std::shared_ptr<detail::conversation_link<State>> link_;
    session::side which_;
};

/// A captured TCP conversation, accepted from a `conversation_stream`.
///
/// Both sides are read one independent of the other; while nobody reads one it is queued, see
/// `conversation_options::max_queued`.
///
/// @par Lifetime
/// May outlive the stream; what was queued can then still be read.
///
/// @par Thread safety
/// As `conversation_stream`.
template <class State>
class basic_conversation {
public:
    using executor_type = typename State::executor_type;
    using key_type = typename State::key_type;
    using info_type = conversation_info<key_type>;
    using side_type = conversation_side<State>;

    /// No conversation.
    basic_conversation() noexcept = default;
    basic_conversation(basic_conversation&&) noexcept = default;
    basic_conversation& operator=(basic_conversation&& other) noexcept {
        basic_conversation moved{std::move(other)};
        std::swap(link_, moved.link_);
        return *this;
    }
    /// Closes it.
    ~basic_conversation() { close(); }

    bool is_open() const noexcept { return link_ && link_->open; }
    info_type const& info() const noexcept { return link_->info; }

    /// What each side sent. May be kept beside the conversation, but reads nothing once that is closed.
    side_type initiator() const noexcept { return {link_, session::side::initiator}; }
    side_type responder() const noexcept { return {link_, session::side::responder}; }
    side_type from(session::side which) const noexcept { return {link_, which}; }

    /// Reads no more of it: what is queued is dropped, the flow is not reassembled further, pending reads end with
    /// `net::error::operation_aborted`.
    void close() {
        if (link_)
            link_->close();
    }

private:
    template <class>
    friend struct detail::conversation_accept_step;
    std::shared_ptr<detail::conversation_link<State>> link_;
};

} // namespace netring_asio
