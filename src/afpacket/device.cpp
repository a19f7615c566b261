#include "device.hpp"

#include <cerrno>
#include <cstring>

#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519 // glibc's <net/if_arp.h> does not know it
#endif

namespace netring_asio::afpacket::detail {
namespace {

ifreq request_for(std::string const& name) noexcept {
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    return request;
}

error_code no_device_or(int code) {
    return code == ENODEV || code == ENXIO ? error_code{error::no_such_interface}
                                           : error_code{code, boost::system::system_category()};
}

} // namespace

link_type capture_link(unsigned short hardware_type) noexcept {
    switch (hardware_type) {
    case ARPHRD_ETHER:
    case ARPHRD_LOOPBACK:
        return link_type::ethernet;
    case ARPHRD_NONE:
    case ARPHRD_RAWIP:
        return link_type::raw_ip;
    default:
        return link_type::linux_sll2;
    }
}

device find_device(int socket, std::string const& name, error_code& ec) {
    ec = {};
    device found{.name = name};
    if (name.empty() || name.size() >= IFNAMSIZ) {
        ec = error::no_such_interface;
        return found;
    }
    auto request = request_for(name);
    if (::ioctl(socket, SIOCGIFINDEX, &request) != 0) {
        ec = no_device_or(errno);
        return found;
    }
    found.index = request.ifr_ifindex;
    if (::ioctl(socket, SIOCGIFHWADDR, &request) != 0)
        ec = no_device_or(errno);
    else
        found.hardware_type = request.ifr_hwaddr.sa_family;
    return found;
}

device find_device(int socket, int index, error_code& ec) {
    ifreq request{};
    request.ifr_ifindex = index;
    if (::ioctl(socket, SIOCGIFNAME, &request) != 0) {
        ec = no_device_or(errno);
        return {};
    }
    return find_device(socket, request.ifr_name, ec);
}

link_state query_link(int socket, int index) noexcept {
    ifreq request{};
    request.ifr_ifindex = index;
    if (::ioctl(socket, SIOCGIFNAME, &request) != 0 || ::ioctl(socket, SIOCGIFFLAGS, &request) != 0)
        return link_state::removed;
    return (request.ifr_flags & IFF_UP) != 0 ? link_state::up : link_state::down;
}

link_state query_bound_link(int socket, int index) noexcept {
    sockaddr_ll bound{};
    socklen_t length = sizeof bound;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &length) == 0 && bound.sll_ifindex != index)
        return link_state::removed;
    return query_link(socket, index);
}

bool discards_frames(int socket, int index) noexcept {
    ifreq request{};
    request.ifr_ifindex = index;
    return ::ioctl(socket, SIOCGIFNAME, &request) == 0 && ::ioctl(socket, SIOCGIFFLAGS, &request) == 0 &&
           (request.ifr_flags & IFF_RUNNING) == 0;
}

std::optional<std::size_t> query_mtu(int socket, int index) noexcept {
    ifreq request{};
    request.ifr_ifindex = index;
    if (::ioctl(socket, SIOCGIFNAME, &request) != 0 || ::ioctl(socket, SIOCGIFMTU, &request) != 0)
        return {};
    return static_cast<std::size_t>(request.ifr_mtu);
}

bool enable_hardware_timestamps(int socket, std::string const& name) noexcept {
    hwtstamp_config config{};
    auto request = request_for(name);
    request.ifr_data = reinterpret_cast<char*>(&config);
    if (::ioctl(socket, SIOCGHWTSTAMP, &request) == 0 && config.rx_filter == HWTSTAMP_FILTER_ALL)
        return true;
    config.rx_filter = HWTSTAMP_FILTER_ALL;
    return ::ioctl(socket, SIOCSHWTSTAMP, &request) == 0 && config.rx_filter != HWTSTAMP_FILTER_NONE;
}

unique_descriptor open_link_events(error_code& ec) {
    ec = {};
    unique_descriptor socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)};
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK;
    if (!socket || ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        ec.assign(errno, boost::system::system_category());
    return socket;
}

void drain_link_events(int socket) noexcept {
    char ignored;
    while (::recv(socket, &ignored, sizeof ignored, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS ||
           errno == EINTR)
        ;
}

} // namespace netring_asio::afpacket::detail
