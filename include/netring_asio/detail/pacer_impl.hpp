#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/detail/pacing_schedule.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/pacer_options.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

struct pace_request {
    std::size_t packets, bytes;
};

/// What a pacer and its pending operation share.
template <class Executor, class Clock>
struct pacer_impl {
    using executor_type = Executor;

    explicit pacer_impl(Executor const& executor)
        : timer{executor} {}
    template <class Other>
    explicit pacer_impl(pacer_impl<Other, Clock>&& other)
        : timer{std::move(other.timer)}
        , schedule{other.schedule}
        , options{other.options} {}

    void set_options(pacer_options const& value, bool burst, error_code& ec) {
        pacing_schedule const changed{value, now(), burst, ec};
        if (ec)
            return;
        schedule = changed;
        options = value;
        timer.cancel(); // what is pending looks again
    }

    void cancel() {
        ++cancels;
        timer.cancel();
    }

    static std::chrono::nanoseconds now() {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch());
    }
    bool take(pace_request const& request, bool waited) noexcept {
        return schedule.take(request.packets, request.bytes, now(), waited);
    }
    typename Clock::time_point wake(pace_request const& request) const noexcept {
        return typename Clock::time_point{
            std::chrono::ceil<typename Clock::duration>(schedule.wake(request.packets, request.bytes))};
    }

    boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor> timer;
    pacing_schedule schedule;
    pacer_options options;
    unsigned cancels = 0; // an operation that sees it change was cancelled
    bool acquiring = false;
};

/// A pending acquire.
template <class Impl, class Handler>
class pace_op {
public:
    pace_op(std::shared_ptr<Impl> impl, pace_request request, Handler handler)
        : impl_{std::move(impl)}
        , request_{request}
        , handler_{std::move(handler)}
        , cancellation_{boost::asio::get_associated_cancellation_slot(handler_),
                        boost::asio::enable_total_cancellation(), boost::asio::enable_total_cancellation()}
        , cancels_{impl_->cancels} {}

    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return cancellation_.slot(); }

    Handler const& handler() const noexcept { return handler_; }

    void wait() {
        auto& timer = impl_->timer;
        timer.expires_at(impl_->wake(request_));
        timer.async_wait(std::move(*this));
    }

    void operator()(error_code ec) {
        bool const cancelled =
            impl_->cancels != cancels_ || cancellation_.cancelled() != boost::asio::cancellation_type::none;
        if (!cancelled && !impl_->take(request_, true))
            return wait();
        ec = cancelled ? error_code{boost::asio::error::operation_aborted} : error_code{};
        impl_->acquiring = false;
        impl_.reset();
        std::move(handler_)(ec);
    }

private:
    std::shared_ptr<Impl> impl_;
    pace_request request_;
    Handler handler_;
    boost::asio::cancellation_state cancellation_;
    unsigned cancels_;
};

/// Starts it.
template <class Impl>
class initiate_pace {
public:
    using executor_type = typename Impl::executor_type;

    explicit initiate_pace(std::shared_ptr<Impl> impl) noexcept
        : impl_{std::move(impl)} {}

    executor_type get_executor() const noexcept { return impl_->timer.get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler, pace_request request) const {
        error_code ec;
        if (impl_->acquiring)
            ec = error::operation_in_progress;
        else if (!impl_->take(request, false)) {
            impl_->acquiring = true;
            return pace_op<Impl, std::decay_t<Handler>>{impl_, request, std::forward<Handler>(handler)}.wait();
        }
        complete_immediately(get_executor(), std::forward<Handler>(handler), ec);
    }

private:
    std::shared_ptr<Impl> impl_;
};

} // namespace netring_asio::detail

template <template <class, class> class Associator, class Impl, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::pace_op<Impl, Handler>, Default>
    : Associator<Handler, Default> {
    static auto get(netring_asio::detail::pace_op<Impl, Handler> const& op) noexcept {
        return Associator<Handler, Default>::get(op.handler());
    }
    static auto get(netring_asio::detail::pace_op<Impl, Handler> const& op, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(op.handler(), fallback);
    }
};
