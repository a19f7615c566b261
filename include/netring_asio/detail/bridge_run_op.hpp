#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/error.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

/// Waits for the end of a run, on the executor of the bridge, whatever the handler's is.
template <class Impl, class Handler>
class bridge_run_op {
    using handler_executor = boost::asio::associated_executor_t<Handler, typename Impl::executor_type>;

public:
    bridge_run_op(std::shared_ptr<Impl> impl, Handler handler)
        : impl_{std::move(impl)}
        , handler_{std::move(handler)}
        , work_{boost::asio::get_associated_executor(handler_, impl_->get_executor())} {}

    using executor_type = typename Impl::executor_type;
    executor_type get_executor() const noexcept { return impl_->get_executor(); }

    // The wait itself is not to be cancelled: the run is.
    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return {}; }

    Handler const& handler() const noexcept { return handler_; }

    void operator()(error_code) {
        auto const ec = impl_->result;
        impl_->state = Impl::run_state::idle;
        auto const here = std::exchange(impl_, nullptr)->get_executor();
        auto const work = std::move(work_);
        auto handler = std::move(handler_);
        boost::asio::get_associated_cancellation_slot(handler).clear();
        if constexpr (std::is_same_v<handler_executor, executor_type>)
            if (work.get_executor() == here)
                return std::move(handler)(ec);
        boost::asio::dispatch(work.get_executor(), boost::asio::append(std::move(handler), ec));
    }

private:
    std::shared_ptr<Impl> impl_;
    Handler handler_;
    boost::asio::executor_work_guard<handler_executor> work_;
};

/// The initiation of a run.
template <class Impl>
class initiate_bridge_run {
public:
    using executor_type = typename Impl::executor_type;

    explicit initiate_bridge_run(std::shared_ptr<Impl> impl) noexcept
        : impl_{std::move(impl)} {}

    executor_type get_executor() const noexcept { return impl_->get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler) const {
        if (auto const ec = impl_->begin_run())
            return complete_immediately(get_executor(), std::forward<Handler>(handler), ec);
        auto slot = boost::asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected())
            slot.assign([object = std::weak_ptr{impl_}](boost::asio::cancellation_type type) {
                if (auto const shared = object.lock(); shared && type != boost::asio::cancellation_type::none)
                    boost::asio::dispatch(shared->get_executor(), [shared] { shared->cancel(); });
            });
        impl_->done.async_wait(bridge_run_op<Impl, std::decay_t<Handler>>{impl_, std::forward<Handler>(handler)});
        impl_->start();
    }

private:
    std::shared_ptr<Impl> impl_;
};

} // namespace netring_asio::detail

template <template <class, class> class Associator, class Impl, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::bridge_run_op<Impl, Handler>, Default>
    : Associator<Handler, Default> {
    static auto get(netring_asio::detail::bridge_run_op<Impl, Handler> const& op) noexcept {
        return Associator<Handler, Default>::get(op.handler());
    }
    static auto get(netring_asio::detail::bridge_run_op<Impl, Handler> const& op, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(op.handler(), fallback);
    }
};
