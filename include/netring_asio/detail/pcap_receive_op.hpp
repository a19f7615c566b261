#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/detail/pcap_source_impl.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

/// A pending receive into `Out`, or a wait where that is void.
template <class Out, class Handler>
class pcap_receive_op {
public:
    pcap_receive_op(std::shared_ptr<pcap_source_impl> impl, Out* out, Handler handler, bool goes_on = false)
        : impl_{std::move(impl)}
        , out_{out}
        , handler_{std::move(handler)}
        , cancellation_{boost::asio::get_associated_cancellation_slot(handler_),
                        boost::asio::enable_total_cancellation(), boost::asio::enable_total_cancellation()}
        , cancels_{impl_->cancels}
        , goes_on_{goes_on} {}

    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return cancellation_.slot(); }

    Handler const& handler() const noexcept { return handler_; }

    void operator()(error_code ec = {}) {
        if (impl_->cancels != cancels_ || cancellation_.cancelled() != boost::asio::cancellation_type::none)
            ec = boost::asio::error::operation_aborted;
        if (!ec && !impl_->ready(ec)) {
            auto& impl = *impl_;
            return impl.wait(std::move(*this));
        }
        impl_->receiving = goes_on_;
        if constexpr (std::is_void_v<Out>) {
            impl_.reset();
            std::move(handler_)(ec);
        } else {
            auto const count = ec ? std::size_t{0} : impl_->take(*out_);
            impl_.reset();
            std::move(handler_)(ec, count);
        }
    }

private:
    std::shared_ptr<pcap_source_impl> impl_;
    Out* out_;
    Handler handler_;
    boost::asio::cancellation_state cancellation_;
    unsigned cancels_;
    bool goes_on_; // as a part of a pipe, after which the object is still receiving
};

/// Starts a `pcap_receive_op`.
template <class Executor>
class initiate_pcap_receive {
public:
    using executor_type = Executor;

    initiate_pcap_receive(Executor const& executor, std::shared_ptr<pcap_source_impl> impl)
        : executor_{executor}
        , impl_{std::move(impl)} {}

    executor_type const& get_executor() const noexcept { return executor_; }

    template <class Handler, class Out>
    void operator()(Handler&& handler, Out* out) const {
        auto const ec = impl_->begin_receiving();
        if (!ec) {
            impl_->prepare(out);
            complete_immediately(
                executor_, pcap_receive_op<Out, std::decay_t<Handler>>{impl_, out, std::forward<Handler>(handler)}, ec);
        } else if constexpr (std::is_void_v<Out>)
            complete_immediately(executor_, std::forward<Handler>(handler), ec);
        else
            complete_immediately(executor_, std::forward<Handler>(handler), ec, std::size_t{0});
    }

private:
    Executor executor_;
    std::shared_ptr<pcap_source_impl> impl_;
};

template <class Handler>
void pcap_source_impl::fill(Handler&& handler) {
    using op = pcap_receive_op<void, std::decay_t<Handler>>;
    complete_immediately(get_executor(), op{shared_from_this(), nullptr, std::forward<Handler>(handler), true},
                         error_code{});
}

} // namespace netring_asio::detail

template <template <class, class> class Associator, class Out, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::pcap_receive_op<Out, Handler>, Default>
    : Associator<Handler, Default> {
    static auto get(netring_asio::detail::pcap_receive_op<Out, Handler> const& op) noexcept {
        return Associator<Handler, Default>::get(op.handler());
    }
    static auto get(netring_asio::detail::pcap_receive_op<Out, Handler> const& op, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(op.handler(), fallback);
    }
};
