#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

/// Moves what an object receives into a channel of the caller's until the source ends or the pipe is cancelled.
///
/// `Impl` gives `fill(handler)`, which completes with `void(error_code)` when there is something to send,
/// `take_message<Channel>()` for it, `count_discarded`, `cancels` and `pipe_cancellation`, a signal that `cancel` of
/// the object emits. A message is with `Impl` until it goes to the channel, so a pipe that is cancelled while it waits
/// for the source loses nothing.
template <class Impl, class Channel, class Handler>
class pipe_op {
public:
    pipe_op(std::shared_ptr<Impl> impl, Channel& channel, Handler handler)
        : impl_{std::move(impl)}
        , channel_{&channel}
        , handler_{std::move(handler)}
        , cancels_{impl_->cancels} {
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected())
            slot.assign([object = std::weak_ptr{impl_}](boost::asio::cancellation_type type) {
                if (auto const shared = object.lock(); shared && type != boost::asio::cancellation_type::none)
                    shared->cancel();
            });
    }

    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return impl_->pipe_cancellation.slot(); }

    // Where the steps run: on the handler's executor, for instance its strand, if that is of the object's context;
    // else, as with use_future, on the object's own. Never on the channel's, where nobody guards the object.
    using executor_type = boost::asio::any_io_executor;
    executor_type get_executor() const noexcept { return on_handler_executor() ? handler_executor() : own_executor(); }

    Handler const& handler() const noexcept { return handler_; }

    void fill() {
        step_ = step::filling;
        auto const impl = impl_;
        impl->fill(std::move(*this));
    }

    void operator()(error_code ec) {
        bool const cancelled = impl_->cancels != cancels_;
        switch (step_) {
        case step::filling:
            if (!cancelled && ec == boost::asio::error::eof) {
                step_ = step::ending;
                return channel_->async_send(ec, typename Impl::template message_type<Channel>{}, std::move(*this));
            }
            if (ec || cancelled)
                break;
            {
                step_ = step::sending;
                auto message = impl_->template take_message<Channel>();
                in_flight_ = message.size();
                return channel_->async_send(error_code{}, std::move(message), std::move(*this));
            }
        case step::sending:
            if (ec)
                impl_->count_discarded(in_flight_);
            else if (!cancelled)
                return fill();
            break;
        case step::ending:
            break;
        }
        if (cancelled && (ec || step_ != step::ending))
            ec = boost::asio::error::operation_aborted;
        boost::asio::get_associated_cancellation_slot(handler_).clear();
        impl_->pipe_cancellation.slot().clear(); // what is left there refers to the channel
        impl_->receiving = false;
        if (on_handler_executor()) {
            impl_.reset();
            return std::move(handler_)(ec);
        }
        auto const executor = boost::asio::get_associated_executor(handler_, impl_->get_executor());
        impl_.reset();
        boost::asio::dispatch(executor, boost::asio::append(std::move(handler_), ec));
    }

private:
    using handler_executor_type = boost::asio::associated_executor_t<Handler, typename Impl::executor_type>;

    boost::asio::any_io_executor own_executor() const noexcept { return impl_->get_executor(); }
    boost::asio::any_io_executor handler_executor() const noexcept {
        if constexpr (std::is_convertible_v<handler_executor_type, boost::asio::any_io_executor>)
            return boost::asio::get_associated_executor(handler_, impl_->get_executor());
        else
            return {};
    }
    bool on_handler_executor() const noexcept {
        namespace execution = boost::asio::execution;
        auto const executor = handler_executor();
        return executor && &boost::asio::query(executor, execution::context) ==
                               &boost::asio::query(own_executor(), execution::context);
    }

    enum class step : std::uint8_t { filling, sending, ending };

    std::shared_ptr<Impl> impl_;
    Channel* channel_;
    Handler handler_;
    std::size_t in_flight_ = 0;
    unsigned cancels_;
    step step_ = step::filling;
};

/// The initiation of a pipe.
template <class Impl>
class initiate_pipe {
public:
    using executor_type = typename Impl::executor_type;

    explicit initiate_pipe(std::shared_ptr<Impl> impl) noexcept
        : impl_{std::move(impl)} {}

    executor_type get_executor() const noexcept { return impl_->get_executor(); }

    template <class Handler, class Channel>
    void operator()(Handler&& handler, Channel* channel) const {
        if (auto const ec = impl_->begin_receiving())
            return complete_immediately(get_executor(), std::forward<Handler>(handler), ec);
        pipe_op<Impl, Channel, std::decay_t<Handler>>{impl_, *channel, std::forward<Handler>(handler)}.fill();
    }

private:
    std::shared_ptr<Impl> impl_;
};

} // namespace netring_asio::detail

template <template <class, class> class Associator, class Impl, class Channel, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::pipe_op<Impl, Channel, Handler>, Default>
    : Associator<Handler, Default> {
    static auto get(netring_asio::detail::pipe_op<Impl, Channel, Handler> const& op) noexcept {
        return Associator<Handler, Default>::get(op.handler());
    }
    static auto get(netring_asio::detail::pipe_op<Impl, Channel, Handler> const& op, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(op.handler(), fallback);
    }
};
