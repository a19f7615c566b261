#pragma once

#include <netring_asio/bridge.hpp>
#include <netring_asio/detail/xdp_ends.hpp>
#include <netring_asio/xdp_bridge_options.hpp>

#include <boost/asio/any_io_executor.hpp>

namespace netring_asio {

/// A bridge over AF_XDP sockets, past the network stack: frames leave in the chunk that they came in, without a copy,
/// unless the filter changes them.
///
/// As `bridge`, but for this: it is opened as `xdp_bridge_options` say. XDP has no checksum state and no segmentation:
/// where frames come from a local stack, as through veth, switch both off there, or see
/// `xdp_options::finish_checksums`. Nothing is forwarded that a program does not see: a tag that the device takes out
/// is lost without `xdp_options::metadata`. Frames pass to the host's stack while no run is pending.
template <class Executor = boost::asio::any_io_executor>
using basic_xdp_bridge = basic_bridge<Executor, detail::xdp_ends>;

/// A bridge over AF_XDP sockets for any executor.
using xdp_bridge = basic_xdp_bridge<>;

extern template class basic_bridge<boost::asio::any_io_executor, detail::xdp_ends>;

} // namespace netring_asio
