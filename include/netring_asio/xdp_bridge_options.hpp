#pragma once

#include <netring_asio/afxdp/umem.hpp>
#include <netring_asio/bridge_options.hpp>
#include <netring_asio/bridge_packet.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/xdp_options.hpp>

#include <chrono>
#include <utility>

namespace netring_asio {

/// How a bridge over AF_XDP sockets is opened. Values are checked by `open`.
class NETRING_ASIO_API xdp_bridge_options : public bridge_settings<xdp_bridge_options> {
public:
    /// Forwards what these options redirect, `take_everything()` for a cable. The rest passes to the host's stack.
    ///
    /// Each side goes by its own, also as to `on_link_down`. Both share one memory: that of one side's options where it
    /// has enough chunks, else one that is made by their `memory_options`, which must be the same.
    xdp_bridge_options(xdp_options left, xdp_options right)
        : left_{std::move(left)}
        , right_{std::move(right)} {}

    xdp_options const& side(bridge_side side) const noexcept { return side == bridge_side::left ? left_ : right_; }

    /// How long a frame may be on its way that came before.
    std::chrono::milliseconds longest_delay() const noexcept;

    /// The memory for both sides.
    ///
    /// @throws system_error `error::conflicting_options` where they ask for different ones; those of `afxdp::umem`,
    /// `error::no_such_interface`.
    afxdp::umem shared_memory() const;

private:
    xdp_options left_, right_;
};

} // namespace netring_asio
