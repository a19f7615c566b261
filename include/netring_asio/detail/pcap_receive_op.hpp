#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/detail/pcap_source_impl.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

/// A pending receive into `Out`, or a wait where that is void.
template <class Out, class Handler>
class pcap_receive_op {
public:
    pcap_receive_op(std::shared_ptr<pcap_source_impl> impl, std::uint64_t operation, Out* out, Handler handler)
        : impl_{std::move(impl)}
        , operation_{operation}
        , out_{out}
        , handler_{std::move(handler)}
        , cancellation_{boost::asio::get_associated_cancellation_slot(handler_),
                        boost::asio::enable_total_cancellation{}} {}

    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return cancellation_.slot(); }

    Handler const& handler() const noexcept { return handler_; }

    void operator()(error_code ec = {}) {
        if (!impl_->is_current(operation_) || cancellation_.cancelled() != boost::asio::cancellation_type::none)
            ec = boost::asio::error::operation_aborted;
        if (!ec && !impl_->ready(ec)) {
            auto& impl = *impl_;
            return impl.wait(std::move(*this));
        }
        impl_->end(operation_);
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
    std::uint64_t operation_;
    Out* out_;
    Handler handler_;
    boost::asio::cancellation_state cancellation_;
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
        if constexpr (requires { out->reset(); })
            out->reset();
        error_code ec;
        auto const operation = impl_->begin(ec);
        if (!ec)
            complete_immediately(
                executor_,
                pcap_receive_op<Out, std::decay_t<Handler>>{impl_, operation, out, std::forward<Handler>(handler)}, ec);
        else if constexpr (std::is_void_v<Out>)
            complete_immediately(executor_, std::forward<Handler>(handler), ec);
        else
            complete_immediately(executor_, std::forward<Handler>(handler), ec, std::size_t{0});
    }

private:
    Executor executor_;
    std::shared_ptr<pcap_source_impl> impl_;
};

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
