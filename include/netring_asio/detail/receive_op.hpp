#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/detail/spinner.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/take_result.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/descriptor_base.hpp>
#include <boost/asio/post.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

/// The receiving operation of an object over a ring: look, arm, look again, wait, and so on.
///
/// `Step` takes what the operation is about, and delivers it to the handler.
template <class Impl, class Step, class Handler>
class receive_op {
public:
    receive_op(std::shared_ptr<Impl> impl, Step step, Handler handler)
        : impl_{std::move(impl)}
        , step_{step}
        , handler_{std::move(handler)}
        , cancellation_{boost::asio::get_associated_cancellation_slot(handler_),
                        boost::asio::enable_total_cancellation(), boost::asio::enable_total_cancellation()}
        , cancels_{impl_->cancels} {}

    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return cancellation_.slot(); }

    Handler const& handler() const noexcept { return handler_; }

    /// Called by the initiating function, or with the result of a wait.
    void proceed(take_result result) {
        if (result == take_result::again)
            boost::asio::post(impl_->wake.get_executor(), std::move(*this));
        else {
            auto& wake = impl_->wake;
            wake.async_wait(boost::asio::posix::descriptor_base::wait_read, std::move(*this));
        }
    }

    void operator()(error_code ec = {}) {
#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
        // Asio takes the answer to an earlier cancellation, that there was nothing left to cancel, for one to the wait.
        if (ec == boost::system::errc::no_such_file_or_directory)
            ec = {};
#endif
        if (impl_->cancels != cancels_ || cancellation_.cancelled() != boost::asio::cancellation_type::none)
            ec = boost::asio::error::operation_aborted;
        if (!ec)
            if (auto const result = look_again(ec); result != take_result::taken && !ec)
                return proceed(result);
        impl_->spin.ended();
        impl_->receiving = Step::goes_on;
        impl_.reset();
        step_.deliver(ec, std::move(handler_));
    }

    /// Takes what is there; with nothing there says why, or has the ring armed.
    static take_result look(Impl& impl, Step& step, error_code& ec) {
        auto result = step.take(impl);
        if (result == take_result::empty && !(ec = impl.ring.take_error())) {
            if (impl.spin.goes_on())
                return take_result::again;
            impl.ring.arm();
            impl.watch_ring(ec);
            if (!ec)
                result = step.take(impl);
        }
        return result;
    }

private:
    take_result look_again(error_code& ec) {
        auto& impl = *impl_;
        bool const acknowledged = Impl::ring_type::acknowledges_first && !impl.spin.spins();
        if (acknowledged)
            impl.ring.acknowledge();
        auto result = step_.take(impl);
        if (impl.spin.spins()) {
            for (int left = spinner::looks; result == take_result::empty && left != 0; --left)
                result = step_.take(impl);
            if (result == take_result::empty && !impl.spin.looks_up() && impl.spin.goes_on())
                return take_result::again;
        }
        if (result != take_result::empty)
            return result;
        if (!acknowledged)
            impl.ring.acknowledge();
        return look(impl, step_, ec);
    }

    std::shared_ptr<Impl> impl_;
    Step step_;
    Handler handler_;
    boost::asio::cancellation_state cancellation_;
    unsigned cancels_;
};

/// Begins a receiving operation that nothing stands against.
template <class Impl, class Step, class Handler>
void start_receive(std::shared_ptr<Impl> const& impl, Step step, Handler&& handler) {
    using op = receive_op<Impl, Step, std::decay_t<Handler>>;
    error_code ec;
    auto const result = op::look(*impl, step, ec);
    if (result != take_result::taken && !ec)
        return op{impl, step, std::forward<Handler>(handler)}.proceed(result);
    impl->spin.ended();
    impl->receiving = Step::goes_on;
    step.deliver_immediately(ec, impl->wake.get_executor(), std::forward<Handler>(handler));
}

/// The initiation of a receiving operation.
template <class Impl, class Step>
class initiate_receive {
public:
    using executor_type = typename Impl::executor_type;

    explicit initiate_receive(std::shared_ptr<Impl> impl) noexcept
        : impl_{std::move(impl)} {}

    executor_type get_executor() const noexcept { return impl_->wake.get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler, Step step) const {
        if (auto const ec = impl_->begin_receiving())
            return step.deliver_immediately(ec, get_executor(), std::forward<Handler>(handler));
        step.prepare(*impl_);
        start_receive(impl_, step, std::forward<Handler>(handler));
    }

private:
    std::shared_ptr<Impl> impl_;
};

} // namespace netring_asio::detail

template <template <class, class> class Associator, class Impl, class Step, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::receive_op<Impl, Step, Handler>, Default>
    : Associator<Handler, Default> {
    static auto get(netring_asio::detail::receive_op<Impl, Step, Handler> const& op) noexcept {
        return Associator<Handler, Default>::get(op.handler());
    }
    static auto get(netring_asio::detail::receive_op<Impl, Step, Handler> const& op, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(op.handler(), fallback);
    }
};
