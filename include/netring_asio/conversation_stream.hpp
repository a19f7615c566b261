#pragma once

#include <netring_asio/conversation.hpp>
#include <netring_asio/conversation_options.hpp>
#include <netring_asio/detail/conversation_consumers.hpp>
#include <netring_asio/flow_stream.hpp>

#include <concepts>
#include <memory>
#include <utility>

namespace netring_asio {

namespace detail {

template <class State>
struct conversation_accept_step {
    using result = std::optional<std::tuple<error_code>>;
    static result failed(error_code error) { return {{error}}; }
    auto& bell(State& s) const noexcept { return s.accepting; }
    static constexpr bool pulls() noexcept { return true; }

    result take(State& s) const {
        if (s.backlog.empty())
            return s.exhausted ? failed(boost::asio::error::eof) : result{};
        auto what = std::move(s.backlog.front());
        s.backlog.pop_front();
        basic_conversation<State> accepted;
        accepted.link_ = std::make_shared<conversation_link<State>>(s.shared_from_this(), std::move(what));
        *out = std::move(accepted);
        s.start();
        return {{error_code{}}};
    }
    result stop(State&, error_code error) const { return failed(error); }

    basic_conversation<State>* out;
};

} // namespace detail

/// Captured TCP conversations: each as two streams of bytes to read from, or fed to consumers of yours.
/// @code
/// nr::conversation_stream conversations{nr::flow_stream{std::move(capture)}, nr::conversation_options{}.ports({80})};
/// decltype(conversations)::conversation conversation;
/// for (;;) {
///     co_await conversations.async_accept(conversation, net::use_awaitable);
///     auto from_client = conversation.initiator();
///     co_await http::async_read(from_client, buffer, request, net::use_awaitable);     // Beast
/// }
/// @endcode
///
/// Packets are pulled while an operation waits: an accept, a consume, or a read of any conversation, and for all of
/// them together. With none nothing runs. What arrives meanwhile for others is queued, for each conversation up to
/// `conversation_options::max_queued`; beyond, either the source is not read further, or that conversation is detached.
/// Where the source is paused, who waits for one side and reads the other side of a conversation afterwards may wait
/// for ever, and so may who accepts no more: read both sides at the same time, and go on accepting.
///
/// @par Moving
/// Allowed at any time. A moved-from stream may only be assigned to or destroyed.
///
/// @par Destruction
/// Closes the source; what is pending completes with `net::error::operation_aborted`.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, and the stream and all its conversations are one object: call them
/// where the source's executor runs, on one thread or a strand that the source was constructed with.
///
/// @tparam Source what the packets come from, see `packet_source`. One that waits for its reader, as a file does, says
/// `static constexpr bool waits_for_reader = true`.
template <packet_source Source, flow::extractor Extractor = flow::five_tuple>
class conversation_stream {
    using state = detail::conversation_state<Source, Extractor>;

public:
    using source_type = Source;
    using executor_type = typename Source::executor_type;
    using extractor_type = Extractor;
    using key_type = typename Extractor::key_type;
    using conversation = basic_conversation<state>;
    using info_type = conversation_info<key_type>;

    /// The same stream over its source on another executor type.
    template <class Executor>
    struct rebind_executor {
        using other = conversation_stream<typename Source::template rebind_executor<Executor>::other, Extractor>;
    };

    /// From a flow stream, which is then as if moved from; no operation may be pending. Flows that it followed go on,
    /// in the midst of what they carry.
    explicit conversation_stream(flow_stream<Source, Extractor> flows,
                                 conversation_options const& options = conversation_options{}) {
        auto const from = std::move(detail::flow_stream_access::state(flows));
        state_ = std::make_shared<state>(std::move(from->source), std::move(from->tracker), options);
        state_->ended = from->ended;
        state_->last_look = from->last_look;
    }

    conversation_stream(conversation_stream&&) noexcept = default;
    conversation_stream& operator=(conversation_stream&& other) noexcept {
        conversation_stream moved{std::move(other)};
        std::swap(state_, moved.state_);
        return *this;
    }

    /// From a stream over a convertible source, with the conversations that were not accepted yet; no operation may be
    /// pending.
    template <class Other>
        requires(!std::same_as<Other, Source> && std::constructible_from<Source, Other &&>)
    conversation_stream(conversation_stream<Other, Extractor>&& other)
        : state_{std::make_shared<state>(std::move(*other.state_))} {
        other.state_.reset();
    }

    ~conversation_stream() {
        if (state_) {
            state_->closed = true;
            state_->cancel();
            state_->source.close();
        }
    }

    executor_type get_executor() const noexcept { return state_->get_executor(); }
    /// The source, to look at its statistics. Receiving from it takes packets from the stream.
    Source& source() noexcept { return state_->source; }
    Source const& source() const noexcept { return state_->source; }

    /// Ends an accept, a consume and all reads that are pending with `net::error::operation_aborted`.
    void cancel() { state_->cancel(); }
    /// Closes the source and ends what is pending.
    void close() {
        cancel();
        state_->source.close();
    }

    conversation_options const& options() const noexcept { return state_->options; }
    conversation_statistics statistics() const noexcept { return state_->statistics(); }
    flow::tracker_statistics flow_statistics() const noexcept { return state_->tracker.statistics(); }

    /// Waits for the next conversation that has sent anything.
    ///
    /// @par Completion signature
    /// `void(error_code)`.
    ///
    /// @param next is closed and replaced by the new one, and must stay valid until completion.
    ///
    /// @par Errors
    /// `net::error::eof`: the source has ended, and all were accepted. `error::operation_in_progress`;
    /// `operation_aborted`; what the source fails with.
    ///
    /// @par Cancellation
    /// Total.
    template <boost::asio::completion_token_for<void(error_code)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_accept(conversation& next, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(detail::initiate_waiting_op<state>{state_}, token,
                                                                    detail::conversation_accept_step<state>{&next});
    }

    /// Has consumers take what conversations carry, until the source has ended and all of them have seen the end.
    ///
    /// `make(info, side)` is called for both sides of each new conversation and returns a consumer, or a
    /// `std::optional` of one that is empty where nobody is interested. A consumer is movable and is either called as
    /// `consumer(chunk const&)` and returns `awaitable<void>`, or is an initiating function, called as
    /// `consumer(chunk const&, handler)` with a handler of `void(error_code)` that has the source's executor, an
    /// allocator and a cancellation slot. It gets the next chunk of its direction when it has completed the one before,
    /// and one with `chunk::end` last. An error or exception ends that consumer alone, and is counted.
    ///
    /// Conversations that wait to be accepted are left to `async_accept`.
    ///
    /// @par Completion signature
    /// `void(error_code)`: success at the end of the source.
    ///
    /// @par Errors
    /// `error::operation_in_progress`; `operation_aborted`; what the source fails with.
    ///
    /// @par Cancellation
    /// Total. Consumers that run are cancelled through their slots; it completes when they have.
    template <class Make, boost::asio::completion_token_for<void(error_code)> Token =
                              boost::asio::default_completion_token_t<executor_type>>
    auto async_consume(Make make, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(
            initiate_consume{detail::initiate_waiting_op<state>{state_}, state_}, token, std::move(make));
    }

private:
    template <packet_source, flow::extractor>
    friend class conversation_stream;

    struct initiate_consume : detail::initiate_waiting_op<state> {
        initiate_consume(detail::initiate_waiting_op<state> base, std::shared_ptr<state> const& of) noexcept
            : detail::initiate_waiting_op<state>{std::move(base)}
            , in{of} {}

        template <class Handler, class Make>
        void operator()(Handler&& handler, Make make) const {
            if (!in->consuming.busy)
                in->sink = std::make_shared<detail::conversation_consumers<state, Make>>(*in, std::move(make));
            detail::initiate_waiting_op<state>::operator()(std::forward<Handler>(handler),
                                                           detail::conversation_consume_step<state>{});
        }
        std::shared_ptr<state> in;
    };

    std::shared_ptr<state> state_;
};

template <class Source, class Extractor>
conversation_stream(flow_stream<Source, Extractor>) -> conversation_stream<Source, Extractor>;
template <class Source, class Extractor>
conversation_stream(flow_stream<Source, Extractor>, conversation_options) -> conversation_stream<Source, Extractor>;

} // namespace netring_asio
