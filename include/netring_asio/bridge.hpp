#pragma once

#include <netring_asio/bridge_options.hpp>
#include <netring_asio/bridge_packet.hpp>
#include <netring_asio/bridge_statistics.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/detail/asio_abi.hpp>
#include <netring_asio/detail/bridge_impl.hpp>
#include <netring_asio/detail/bridge_run_op.hpp>
#include <netring_asio/detail/packet_ends.hpp>
#include <netring_asio/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution_context.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <utility>

namespace netring_asio {

/// Forwards frames between two interfaces, in both directions, as a cable with a filter in it would.
///
/// Each frame that comes to one side leaves on the other as it was on the wire: with its VLAN tags, its checksum
/// finished where a local sender left that to the device, and cut into segments where that was left too: by the kernel
/// or the device, in tunnels (IP in IP, GRE, VXLAN, Geneve) by the bridge itself. In others it is dropped and told. The
/// bridge does not learn addresses and changes no byte by itself. What it sends does not come back to it. Needs
/// CAP_NET_RAW in the network namespaces of both.
///
/// The receiving rings are the buffers: a side that is too slow makes that of the other fill, and frames that find it
/// full are counted as lost. Frames longer than the other side's MTU are dropped, counted and told; it should have the
/// same.
///
/// The host sees frames that come to the interfaces too; these should have no addresses, or it answers.
///
/// @par Operations
/// One `async_run` may be pending. A second completes with `error::operation_in_progress`.
///
/// @par Executors
/// The bridge works on its own executor, and the handler of a run runs on its associated one, never within the
/// initiating function. With several threads on a context, make the bridge with a strand, and use it there.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, use a strand; except `statistics()`, which is safe on any thread
/// while the object is neither opened, moved nor destroyed.
///
/// @par Lifetime
/// Destroying the object ends a run as `close` does. A moved-from object may be assigned to or destroyed.
///
/// @tparam Ends What it forwards over: packet sockets, unless it is an `xdp_bridge`.
template <class Executor = boost::asio::any_io_executor, template <class> class Ends = detail::packet_ends>
class NETRING_ASIO_API basic_bridge {
    using impl_type = detail::bridge_impl<Executor, Ends>;

public:
    using executor_type = Executor;
    using options_type = typename impl_type::options_type;

    /// The same object for another executor.
    template <class Other>
    struct rebind_executor {
        using other = basic_bridge<Other, Ends>;
    };

    /// A bridge that is not open.
    explicit basic_bridge(executor_type const& executor)
        : impl_{std::make_shared<impl_type>(executor)} {}
    /// A bridge that is not open.
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    explicit basic_bridge(Context& context)
        : basic_bridge{executor_type{context.get_executor()}} {}

    /// Opens a bridge; see `open`.
    basic_bridge(executor_type const& executor, options_type const& options)
        : basic_bridge{executor} {
        open(options);
    }
    /// Opens a bridge; see `open`.
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    basic_bridge(Context& context, options_type const& options)
        : basic_bridge{executor_type{context.get_executor()}, options} {}

    basic_bridge(basic_bridge&&) noexcept = default;
    basic_bridge& operator=(basic_bridge&& other) noexcept {
        if (this != &other && impl_)
            impl_->close();
        impl_ = std::move(other.impl_);
        return *this;
    }
    /// Converts from a bridge with another executor type. No run may be pending on it.
    template <class Other>
        requires(!std::same_as<Other, Executor> && std::convertible_to<Other, Executor>)
    basic_bridge(basic_bridge<Other, Ends>&& other)
        : impl_{std::make_shared<impl_type>(std::move(*other.impl_))} {}

    ~basic_bridge() {
        if (impl_)
            impl_->close();
    }

    executor_type get_executor() const noexcept { return impl_->get_executor(); }

    /// Opens the rings of both sides and begins to receive. Blocks meanwhile.
    ///
    /// @par Errors
    /// Those of `capture::open` and `injector::open`, and `error::mixed_link_types` where the frames of the two begin
    /// with different headers. The exception of the throwing form names what is at fault.
    void open(options_type const& options) { impl_->open(options); }
    void open(options_type const& options, error_code& ec) {
        ec = {};
        try {
            impl_->open(options);
        } catch (system_error const& failure) {
            ec = failure.code();
        }
    }

    bool is_open() const noexcept { return impl_->is_open(); }

    /// Ends a run as its cancellation does.
    void cancel() { impl_->cancel(); }

    /// Ends a run at once, with `operation_aborted`, and closes both sides: what is on its way is lost. Idempotent.
    void close() { impl_->close(); }

    options_type const& options() const noexcept { return impl_->options; }

    /// The socket of a side of an `xdp_bridge`, to be asked for its options, statistics and what it explains.
    auto const& socket(bridge_side side) const
        requires requires(impl_type const& impl) { impl.ends.socket(side); }
    {
        return impl_->ends.socket(side);
    }
    /// How things are on both sides of an `xdp_bridge`, and why nothing may be coming, in words.
    std::string explain() const
        requires requires(impl_type const& impl) { impl.ends.socket(bridge_side::left); }
    {
        return socket(bridge_side::left).explain() + '\n' + socket(bridge_side::right).explain();
    }

    /// Totals since it was opened. Costs two system calls. Safe on any thread.
    bridge_statistics statistics() const {
        return {impl_->left_to_right.statistics(), impl_->right_to_left.statistics()};
    }

    /// Forwards frames until it is cancelled.
    ///
    /// Completes with `void(error_code)`. Cancelled in any way it stops to receive, sends what has come until then, and
    /// completes with `net::error::operation_aborted`: after `options().longest_delay()` where nothing is in the way,
    /// at the latest after `stop_limit` more; what could not be sent by then is counted as
    /// abandoned, and what the kernel has not taken from the sending ring goes with the next run. Nothing is received
    /// until that.
    ///
    /// @par Errors
    /// `operation_aborted`, `error::not_open`, `operation_in_progress`; by the link-down policy `interface_down` and
    /// `interface_removed`; others of the system. It ends in the same way then.
    template <boost::asio::completion_token_for<void(error_code)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_run(Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(detail::initiate_bridge_run<impl_type>{impl_},
                                                                    token);
    }

private:
    template <class, template <class> class>
    friend class basic_bridge;

    std::shared_ptr<impl_type> impl_;
};

/// A bridge for any executor.
using bridge = basic_bridge<>;

extern template class basic_bridge<>;

} // namespace netring_asio
