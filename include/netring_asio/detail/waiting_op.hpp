#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/error.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

/// An operation that waits until its step has a result.
///
/// The step names the bell that it waits at, `take`s the result if there is one, and says how it `stop`s: with a result
/// as well, or none yet, if it has to go on waiting. While it `pulls`, the state is told that somebody waits: `await`,
/// `leave`. Runs on the executor of the
/// source, whatever the handler's is.
template <class State, class Step, class Handler>
class waiting_op {
    using handler_executor = boost::asio::associated_executor_t<Handler, typename State::executor_type>;

public:
    waiting_op(std::shared_ptr<State> state, Step step, Handler handler)
        : state_{std::move(state)}
        , step_{std::move(step)}
        , handler_{std::move(handler)}
        , work_{boost::asio::get_associated_executor(handler_, state_->get_executor())} {}

    using executor_type = typename State::executor_type;
    executor_type get_executor() const noexcept { return state_->get_executor(); }
    Handler const& handler() const noexcept { return handler_; }

    void wait() {
        auto const state = state_;
        auto& bell = step_.bell(*state);
        auto const pulls = step_.pulls();
        bell.async_wait(std::move(*this));
        if (pulls)
            state->await(bell); // which may ring it
    }

    void operator()(error_code) {
        auto& s = *state_;
        auto& bell = step_.bell(s);
        s.leave(bell);
        auto result = bell.error ? step_.stop(s, bell.error) : step_.take(s);
        if (!result && !bell.error)
            result = step_.stop(s, boost::asio::error::operation_aborted);
        if (!result)
            return wait();
        bell.busy = false;
        auto const work = std::move(work_);
        auto handler = std::move(handler_);
        auto const here = std::exchange(state_, nullptr)->get_executor();
        [](Step) {}(std::move(step_)); // which may own the conversation
        std::apply(
            [&](auto... results) {
                if constexpr (std::is_same_v<handler_executor, executor_type>)
                    if (work.get_executor() == here)
                        return std::move(handler)(results...);
                boost::asio::dispatch(work.get_executor(), boost::asio::append(std::move(handler), results...));
            },
            *result);
    }

private:
    std::shared_ptr<State> state_;
    Step step_;
    Handler handler_;
    boost::asio::executor_work_guard<handler_executor> work_;
};

/// The initiation of such an operation.
template <class State>
class initiate_waiting_op {
public:
    using executor_type = typename State::executor_type;

    explicit initiate_waiting_op(std::shared_ptr<State> state) noexcept
        : state_{std::move(state)} {}

    executor_type get_executor() const noexcept { return state_->get_executor(); }

    template <class Handler, class Step>
    void operator()(Handler&& handler, Step step) const {
        auto& s = *state_;
        auto& bell = step.bell(s);
        auto result = bell.busy ? Step::failed(error::operation_in_progress) : step.take(s);
        if (result)
            return std::apply(
                [&](auto... results) {
                    complete_immediately(get_executor(), std::forward<Handler>(handler), results...);
                },
                *result);
        bell.busy = true;
        waiting_op<State, Step, std::decay_t<Handler>>{state_, std::move(step), std::forward<Handler>(handler)}.wait();
    }

private:
    std::shared_ptr<State> state_;
};

} // namespace netring_asio::detail

template <template <class, class> class Associator, class State, class Step, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::waiting_op<State, Step, Handler>, Default>
    : Associator<Handler, Default> {
    using op = netring_asio::detail::waiting_op<State, Step, Handler>;
    static auto get(op const& o) noexcept { return Associator<Handler, Default>::get(o.handler()); }
    static auto get(op const& o, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(o.handler(), fallback);
    }
};
