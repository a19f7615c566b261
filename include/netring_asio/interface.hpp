#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace netring_asio {

/// What one needs to know of a network interface to choose it.
struct interface_info {
    std::string name;
    int index = 0;
    bool up = false;      ///< administratively up
    bool running = false; ///< up and with a carrier
    bool loopback = false;
    bool promiscuous = false;
    link_type link = link_type::ethernet; ///< the header that its packets are captured with
    std::string hardware_address;         ///< colon-separated, empty if it has none
    std::vector<std::string> addresses;   ///< IPv4 and IPv6 addresses with prefix length
    std::uint32_t mtu = 0;                ///< bytes after the link header
    std::optional<std::uint32_t> speed;   ///< megabits a second, where the driver knows
    std::string driver;                   ///< empty where there is none
    std::optional<std::uint32_t> queues;  ///< receive queues in use, where the driver knows
};

/// The interfaces of a network namespace, in order of their index.
///
/// @param network_namespace A name below /run/netns or a path; empty for that of the calling thread.
/// @par Errors
/// `error::no_such_namespace`, `error::missing_privilege`; others of the system. Needs no privilege but to enter
/// another namespace.
NETRING_ASIO_API std::vector<interface_info> list_interfaces(std::string const& network_namespace = {});
NETRING_ASIO_API std::vector<interface_info> list_interfaces(std::string const& network_namespace, error_code& ec);

} // namespace netring_asio
