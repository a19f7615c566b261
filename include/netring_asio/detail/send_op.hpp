#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/detail/send_steps.hpp>
#include <netring_asio/error.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/descriptor_base.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

/// An operation on a transmit ring: try, arm, wait, try again. `Step` says what is tried and what comes of it.
template <class Impl, class Step, class Handler>
class send_op {
public:
    send_op(std::shared_ptr<Impl> impl, Step step, Handler handler)
        : impl_{std::move(impl)}
        , step_{std::move(step)}
        , handler_{std::move(handler)}
        , cancellation_{boost::asio::get_associated_cancellation_slot(handler_),
                        boost::asio::enable_total_cancellation(), boost::asio::enable_total_cancellation()}
        , cancels_{impl_->cancels} {}

    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return cancellation_.slot(); }

    Handler const& handler() const noexcept { return handler_; }

    void wait() {
        impl_->ring.arm();
        auto& wake = impl_->wake;
        wake.async_wait(boost::asio::posix::descriptor_base::wait_read, std::move(*this));
    }

    void operator()(error_code ec) {
        auto const cancelled = is_cancelled();
        if (cancelled)
            ec = boost::asio::error::operation_aborted;
        else if (ec == boost::asio::error::operation_aborted)
            ec = {}; // total cancellation of a send that had begun
        if (!ec) {
            impl_->ring.acknowledge();
            if (!step_.advance(*impl_, ec))
                return wait();
        }
        step_.end(*impl_, ec);
        impl_->end(Step::direction);
        impl_.reset();
        step_.deliver(std::move(handler_), ec);
    }

private:
    bool is_cancelled() const noexcept {
        using boost::asio::cancellation_type;
        auto const effective =
            step_.has_effect() ? cancellation_type::terminal | cancellation_type::partial : cancellation_type::all;
        return impl_->cancels != cancels_ || (cancellation_.cancelled() & effective) != cancellation_type::none;
    }

    std::shared_ptr<Impl> impl_;
    Step step_;
    Handler handler_;
    boost::asio::cancellation_state cancellation_;
    unsigned cancels_;
};

/// The initiation of such an operation.
template <class Impl>
class initiate_send {
public:
    using executor_type = typename Impl::executor_type;

    explicit initiate_send(std::shared_ptr<Impl> impl) noexcept
        : impl_{std::move(impl)} {}

    executor_type get_executor() const noexcept { return impl_->wake.get_executor(); }

    template <class Handler, class Step>
    void operator()(Handler&& handler, Step step) const {
        auto ec = impl_->begin(Step::direction);
        if (!ec) {
            step.begin(*impl_);
            if (!step.advance(*impl_, ec)) {
                send_op<Impl, Step, std::decay_t<Handler>>{impl_, std::move(step), std::forward<Handler>(handler)}
                    .wait();
                return;
            }
            step.end(*impl_, ec);
            impl_->end(Step::direction);
        }
        step.deliver(
            [&](auto... results) {
                complete_immediately(get_executor(), std::forward<Handler>(handler), std::move(results)...);
            },
            ec);
    }

private:
    std::shared_ptr<Impl> impl_;
};

} // namespace netring_asio::detail

template <template <class, class> class Associator, class Impl, class Step, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::send_op<Impl, Step, Handler>, Default>
    : Associator<Handler, Default> {
    static auto get(netring_asio::detail::send_op<Impl, Step, Handler> const& op) noexcept {
        return Associator<Handler, Default>::get(op.handler());
    }
    static auto get(netring_asio::detail::send_op<Impl, Step, Handler> const& op, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(op.handler(), fallback);
    }
};
