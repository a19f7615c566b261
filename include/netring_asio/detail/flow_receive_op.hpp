#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/detail/flow_stream_state.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace netring_asio::detail {

/// Wakes a waiting flow stream when packet time has expired a flow. Runs where the operation's handler does.
template <class State, class Executor, class Allocator>
struct flow_timer_op {
    using executor_type = Executor;
    using allocator_type = Allocator;
    executor_type get_executor() const noexcept { return executor; }
    allocator_type get_allocator() const noexcept { return allocator; }

    void operator()(error_code) {
        auto const s = state.lock();
        if (!s || !s->waiting || s->waits != wait)
            return;
        s->advance();
        if (s->events.empty())
            return start(*s, std::move(*this));
        s->expired = true;
        s->stop_source.emit(boost::asio::cancellation_type::total);
    }

    static void start(State& s, flow_timer_op op) {
        auto const next = s.tracker.next_expiry();
        if (!next)
            return;
        // A timer that turns out to be stale has told the same moment before: never spin on it.
        auto const pause = std::max<std::chrono::nanoseconds>(*next - *s.tracker.now(), std::chrono::milliseconds{1});
        s.idle_timer.expires_at(s.last_look + pause);
        s.idle_timer.async_wait(std::move(op));
    }

    std::weak_ptr<State> state;
    std::uint64_t wait;
    Executor executor;
    Allocator allocator;
};

/// Passes a cancellation on to the source.
template <class State>
struct flow_cancel_handler {
    void operator()(boost::asio::cancellation_type type) const {
        auto const s = state.lock();
        if (s && s->receiving && s->operations == operation)
            s->cancel(type);
    }
    std::weak_ptr<State> state;
    std::uint64_t operation;
};

/// The pending receive of a flow stream.
template <class State, class Handler>
class flow_receive_op {
public:
    flow_receive_op(std::shared_ptr<State> state, typename State::event_batch* out, Handler handler)
        : state_{std::move(state)}
        , out_{out}
        , handler_{std::move(handler)} {}

    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return state_->stop_source.slot(); }

    Handler const& handler() const noexcept { return handler_; }

    /// Waits after a look at the source that found nothing.
    void wait() {
        auto& s = *state_;
        ++s.waits;
        s.waiting = true;
        s.expired = false;
        auto executor = boost::asio::get_associated_executor(handler_, s.source.get_executor());
        auto allocator = boost::asio::get_associated_allocator(handler_);
        using timer_op = flow_timer_op<State, decltype(executor), decltype(allocator)>;
        timer_op::start(s, timer_op{state_, s.waits, std::move(executor), std::move(allocator)});
        s.source.async_receive(s.packets, std::move(*this));
    }

    /// Lets others have their turn.
    void yield() {
        auto const executor = state_->source.get_executor();
        boost::asio::post(executor, std::move(*this));
    }

    /// The source has packets, or has failed.
    void operator()(error_code error, std::size_t) {
        auto& s = *state_;
        s.waiting = false;
        s.idle_timer.cancel();
        if (!error)
            s.track();
        else if (error != boost::asio::error::operation_aborted)
            s.fail(error);
        else if (!s.expired)
            return finish(error, 0);
        (*this)();
    }

    void operator()() {
        auto& s = *state_;
        if (s.stopped())
            return finish(boost::asio::error::operation_aborted, 0);
        if (!s.ready()) {
            if (!s.gather())
                return yield();
            if (!s.ready())
                return wait();
        }
        auto const [error, count] = s.deliver(*out_);
        finish(error, count);
    }

private:
    void finish(error_code error, std::size_t count) {
        state_->receiving = false;
        state_.reset();
        std::move(handler_)(error, count);
    }

    std::shared_ptr<State> state_;
    typename State::event_batch* out_;
    Handler handler_;
};

/// The initiation of `flow_stream::async_receive`.
template <class State>
class initiate_flow_receive {
public:
    using executor_type = typename State::executor_type;

    explicit initiate_flow_receive(std::shared_ptr<State> state) noexcept
        : state_{std::move(state)} {}

    executor_type get_executor() const noexcept { return state_->source.get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler, typename State::event_batch* out) const {
        auto& s = *state_;
        if (s.receiving)
            return complete_immediately(get_executor(), std::forward<Handler>(handler),
                                        make_error_code(error::operation_in_progress), std::size_t{0});
        out->reset();
        auto const dry = s.gather();
        if (s.ready()) {
            auto const [error, count] = s.deliver(*out);
            return complete_immediately(get_executor(), std::forward<Handler>(handler), error, count);
        }
        s.receiving = true;
        s.cancelled = boost::asio::cancellation_type::none;
        ++s.operations;
        if (auto slot = boost::asio::get_associated_cancellation_slot(handler); slot.is_connected())
            slot.template emplace<flow_cancel_handler<State>>(flow_cancel_handler<State>{state_, s.operations});
        flow_receive_op<State, std::decay_t<Handler>> op{state_, out, std::forward<Handler>(handler)};
        if (dry)
            op.wait();
        else
            op.yield();
    }

private:
    std::shared_ptr<State> state_;
};

} // namespace netring_asio::detail

template <template <class, class> class Associator, class State, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::flow_receive_op<State, Handler>, Default>
    : Associator<Handler, Default> {
    static auto get(netring_asio::detail::flow_receive_op<State, Handler> const& op) noexcept {
        return Associator<Handler, Default>::get(op.handler());
    }
    static auto get(netring_asio::detail::flow_receive_op<State, Handler> const& op, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(op.handler(), fallback);
    }
};
