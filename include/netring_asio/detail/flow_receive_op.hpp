#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/detail/flow_stream_state.hpp>
#include <netring_asio/detail/handler_memory.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <memory>
#include <tuple>
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

/// What a receive takes from the stream.
template <class State>
struct flow_receive_step {
    std::tuple<error_code, std::size_t> take(State& s, error_code error) const {
        s.receiving = false;
        return error ? std::tuple{error, std::size_t{0}} : s.deliver(*out);
    }
    typename State::event_batch* out;
};

/// What a pipe takes: nothing yet, the events stay with the stream until they are sent.
template <class State>
struct flow_fill_step {
    std::tuple<error_code> take(State& s, error_code error) const {
        return {error || !s.events.empty() ? error : std::exchange(s.failure, {})};
    }
};

/// The pending operation of a flow stream.
template <class State, class Step, class Handler>
class flow_receive_op {
public:
    flow_receive_op(std::shared_ptr<State> state, Step step, Handler handler)
        : state_{std::move(state)}
        , step_{step}
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
        auto executor = boost::asio::get_associated_executor(handler_, s.get_executor());
        auto allocator = boost::asio::get_associated_allocator(handler_, handler_allocator<void>{s.timer_memory});
        using timer_op = flow_timer_op<State, decltype(executor), decltype(allocator)>;
        timer_op::start(s, timer_op{state_, s.waits, std::move(executor), std::move(allocator)});
        s.source.async_receive(s.packets, std::move(*this));
    }

    /// Lets others have their turn.
    void yield() {
        auto const executor = state_->get_executor();
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
            return finish(error);
        (*this)();
    }

    void operator()() {
        auto& s = *state_;
        if (s.stopped())
            return finish(boost::asio::error::operation_aborted);
        if (!s.ready()) {
            if (!s.gather())
                return yield();
            if (!s.ready())
                return wait();
        }
        finish({});
    }

private:
    void finish(error_code error) {
        auto const result = step_.take(*state_, error);
        state_.reset();
        std::apply(std::move(handler_), result);
    }

    std::shared_ptr<State> state_;
    Step step_;
    Handler handler_;
};

template <class State, class Step, class Handler>
void start_flow_receive(std::shared_ptr<State> const& state, Step step, Handler&& handler) {
    auto& s = *state;
    auto const dry = s.gather();
    if (s.ready())
        return std::apply(
            [&](auto... results) {
                complete_immediately(s.get_executor(), std::forward<Handler>(handler), results...);
            },
            step.take(s, {}));
    s.cancelled = boost::asio::cancellation_type::none;
    ++s.operations;
    if (auto slot = boost::asio::get_associated_cancellation_slot(handler); slot.is_connected())
        slot.template emplace<flow_cancel_handler<State>>(flow_cancel_handler<State>{state, s.operations});
    flow_receive_op<State, Step, std::decay_t<Handler>> op{state, step, std::forward<Handler>(handler)};
    if (dry)
        op.wait();
    else
        op.yield();
}

/// The initiation of `flow_stream::async_receive`.
template <class State>
class initiate_flow_receive {
public:
    using executor_type = typename State::executor_type;

    explicit initiate_flow_receive(std::shared_ptr<State> state) noexcept
        : state_{std::move(state)} {}

    executor_type get_executor() const noexcept { return state_->get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler, typename State::event_batch* out) const {
        if (auto const error = state_->begin_receiving())
            return complete_immediately(get_executor(), std::forward<Handler>(handler), error, std::size_t{0});
        out->reset();
        start_flow_receive(state_, flow_receive_step<State>{out}, std::forward<Handler>(handler));
    }

private:
    std::shared_ptr<State> state_;
};

template <class Source, class Tracker>
template <class Handler>
void flow_stream_state<Source, Tracker>::fill(Handler&& handler) {
    start_flow_receive(this->shared_from_this(), flow_fill_step<flow_stream_state>{}, std::forward<Handler>(handler));
}

} // namespace netring_asio::detail

template <template <class, class> class Associator, class State, class Step, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::flow_receive_op<State, Step, Handler>, Default>
    : Associator<Handler, Default> {
    using op = netring_asio::detail::flow_receive_op<State, Step, Handler>;
    static auto get(op const& o) noexcept { return Associator<Handler, Default>::get(o.handler()); }
    static auto get(op const& o, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(o.handler(), fallback);
    }
};
