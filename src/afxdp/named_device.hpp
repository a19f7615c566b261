#pragma once

#include "../afpacket/device.hpp"
#include "../detail/unique_descriptor.hpp"
#include <netring_asio/xdp_options.hpp>

#include <string>

namespace netring_asio::afxdp::detail {

/// The device that options name, and a packet socket in its network namespace, the calling thread's, to ask through.
struct named_device {
    netring_asio::detail::unique_descriptor control;
    afpacket::detail::device device;
};
named_device find_device(xdp_options const& options, error_code& ec, std::string& context);

} // namespace netring_asio::afxdp::detail
