#include "afpacket/device.hpp"
#include "detail/network_namespace.hpp"
#include "detail/unique_descriptor.hpp"
#include <netring_asio/interface.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <span>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace netring_asio {
namespace {

std::string hardware_address_text(sockaddr_ll const& address) {
    std::string text;
    for (std::size_t i = 0; i != std::min<std::size_t>(address.sll_halen, sizeof address.sll_addr); ++i) {
        char byte[4];
        std::snprintf(byte, sizeof byte, "%s%02x", i == 0 ? "" : ":", address.sll_addr[i]);
        text += byte;
    }
    return text;
}

template <class Bytes>
unsigned prefix_length(Bytes const& netmask) {
    auto const* const first = reinterpret_cast<unsigned char const*>(&netmask);
    return std::accumulate(first, first + sizeof netmask, 0U, [](unsigned sum, unsigned char byte) {
        return sum + static_cast<unsigned>(std::popcount(byte));
    });
}

std::string address_text(ifaddrs const& entry) {
    auto text = [&](auto const& address, auto const* netmask) {
        char buffer[INET6_ADDRSTRLEN];
        ::inet_ntop(entry.ifa_addr->sa_family, &address, buffer, sizeof buffer);
        return std::string{buffer} + (netmask != nullptr ? "/" + std::to_string(prefix_length(*netmask)) : "");
    };
    if (entry.ifa_addr->sa_family == AF_INET) {
        auto const* const mask = reinterpret_cast<sockaddr_in const*>(entry.ifa_netmask);
        return text(reinterpret_cast<sockaddr_in const*>(entry.ifa_addr)->sin_addr, mask ? &mask->sin_addr : nullptr);
    }
    auto const* const mask = reinterpret_cast<sockaddr_in6 const*>(entry.ifa_netmask);
    return text(reinterpret_cast<sockaddr_in6 const*>(entry.ifa_addr)->sin6_addr, mask ? &mask->sin6_addr : nullptr);
}

template <class Command>
bool ask_ethtool(int socket, std::string const& name, Command& command) {
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_data = reinterpret_cast<char*>(&command);
    return ::ioctl(socket, SIOCETHTOOL, &request) == 0;
}

void ask_driver(int socket, interface_info& info) {
    ifreq request{};
    info.name.copy(request.ifr_name, IFNAMSIZ - 1);
    if (::ioctl(socket, SIOCGIFMTU, &request) == 0)
        info.mtu = static_cast<std::uint32_t>(request.ifr_mtu);

    ethtool_drvinfo driver{};
    driver.cmd = ETHTOOL_GDRVINFO;
    if (ask_ethtool(socket, info.name, driver))
        info.driver = driver.driver;

    ethtool_cmd settings{}; // the newer command tells link modes as well, which nobody needs here
    settings.cmd = ETHTOOL_GSET;
    if (ask_ethtool(socket, info.name, settings))
        if (auto const speed = ethtool_cmd_speed(&settings);
            speed != 0 && speed != static_cast<std::uint32_t>(SPEED_UNKNOWN))
            info.speed = speed;

    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    if (ask_ethtool(socket, info.name, channels))
        if (auto const queues = channels.rx_count + channels.combined_count; queues != 0)
            info.queues = queues;
}

std::vector<interface_info> list_here(error_code& ec) {
    ifaddrs* first = nullptr;
    detail::unique_descriptor const socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (!socket || ::getifaddrs(&first) != 0) {
        ec.assign(errno, boost::system::system_category());
        return {};
    }
    std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> const entries{first, &::freeifaddrs};
    std::map<std::string, interface_info> found;
    for (auto const* entry = first; entry != nullptr; entry = entry->ifa_next) {
        auto& info = found[entry->ifa_name];
        auto const family = entry->ifa_addr != nullptr ? entry->ifa_addr->sa_family : AF_UNSPEC;
        if (family == AF_PACKET)
            info.hardware_address = hardware_address_text(*reinterpret_cast<sockaddr_ll const*>(entry->ifa_addr));
        if (family == AF_INET || family == AF_INET6) {
            info.addresses.push_back(address_text(*entry));
        } else {
            // Also an interface without an address of any kind.
            info.up = (entry->ifa_flags & IFF_UP) != 0;
            info.running = info.up && (entry->ifa_flags & IFF_RUNNING) != 0;
            info.loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0;
            info.promiscuous = (entry->ifa_flags & IFF_PROMISC) != 0;
        }
    }
    std::vector<interface_info> result;
    for (auto& [name, info] : found) {
        error_code gone;
        auto const device = afpacket::detail::find_device(socket.get(), name, gone);
        if (gone)
            continue;
        info.name = name;
        info.index = device.index;
        info.link = afpacket::detail::capture_link(device.hardware_type);
        ask_driver(socket.get(), info);
        result.push_back(std::move(info));
    }
    std::ranges::sort(result, {}, &interface_info::index);
    return result;
}

} // namespace

std::vector<interface_info> list_interfaces(std::string const& network_namespace, error_code& ec) {
    std::vector<interface_info> result;
    error_code listing;
    detail::run_in_network_namespace(network_namespace, ec, [&] { result = list_here(listing); });
    if (!ec)
        ec = listing;
    return result;
}

std::vector<interface_info> list_interfaces(std::string const& network_namespace) {
    error_code ec;
    auto result = list_interfaces(network_namespace, ec);
    if (ec)
        throw system_error{ec, "list_interfaces"};
    return result;
}

} // namespace netring_asio
