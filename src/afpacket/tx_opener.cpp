#include "tx_opener.hpp"

#include "../detail/network_namespace.hpp"
#include <netring_asio/detail/block_records.hpp>
#include <netring_asio/detail/vlan.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <climits>

#include <linux/if_ether.h>
#include <linux/net_tstamp.h>
#include <net/if_arp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace netring_asio::afpacket {
namespace {

// The kernel wants room for an address as well, though it does not use it when it sends.
constexpr std::size_t smallest_frame = TPACKET_ALIGN(TPACKET3_HDRLEN);
constexpr std::size_t largest_frame = std::size_t{1} << 20;
constexpr std::size_t largest_ring = std::size_t{1} << 30;
constexpr std::size_t block_size = std::size_t{64} << 10;
constexpr std::size_t large_block_size = std::size_t{1} << 20;

// The kernel cuts what is longer into segments for this much at most, unless it was told otherwise.
constexpr std::size_t largest_segmented = std::size_t{64} << 10;

// What the kernel accounts for a frame besides its bytes is about 1 KiB (sk_buff, shared info, head); this is more.
constexpr std::size_t accounted_beside = 2048;

constexpr std::size_t round_up(std::size_t value, std::size_t unit) noexcept {
    return (value + unit - 1) / unit * unit;
}

} // namespace

void tx_opener::open(int socket, error_code& ec) {
    ec = {};
    socket_.reset(socket);
    if (ring_.is_open()) {
        fail(ec, error::already_open, "open");
        return;
    }
    if (!validate(ec))
        return;
    error_code namespace_error;
    netring_asio::detail::run_in_network_namespace(options_.network_namespace(), namespace_error,
                                                   [&] { open_in_namespace(ec); });
    if (namespace_error)
        fail(ec, namespace_error, "network namespace '" + options_.network_namespace() + "'");
}

bool tx_opener::validate(error_code& ec) {
    auto const& o = options_;
    if (o.frame_size() != 0 &&
        (o.frame_size() % TPACKET_ALIGNMENT != 0 || o.frame_size() < smallest_frame || o.frame_size() > largest_frame))
        return fail(ec, error::invalid_ring_geometry, "frame_size");
    if (o.frame_count() == 0 || o.frame_count() > largest_ring / std::max(o.frame_size(), smallest_frame))
        return fail(ec, error::invalid_ring_geometry, "frame_count");
    if (o.send_buffer() && (*o.send_buffer() == 0 || *o.send_buffer() > INT_MAX))
        return fail(ec, error::invalid_option, "send_buffer");
    return true;
}

void tx_opener::open_in_namespace(error_code& ec) {
    if (!find_interface(ec) || !choose_geometry(ec) || !set_socket_options(ec) || !make_ring(ec) ||
        !size_send_buffer(ec) || !bind(ec))
        return;
    ring_ = tx_ring{};
    ring_.link_ = link_;
    ring_.core_.reset(new detail::tx_core{std::move(socket_), std::move(link_events_), std::move(memory_), geometry_,
                                          header_, mtu_, ample_send_buffer_, std::move(options_), ec});
    if (ec) {
        context_ = "epoll";
        ring_ = tx_ring{};
    }
}

bool tx_opener::find_interface(error_code& ec) {
    if (!find_device(options_.interface_name(), options_.interface_index(),
                     options_.on_link_down() == link_down_policy::fail, ec))
        return false;
    options_.interface_name(device_.name).interface_index(device_.index);
    link_ = detail::capture_link(device_.hardware_type);
    if (link_ == link_type::ethernet)
        header_ = {link_, ETH_HLEN, device_.hardware_type == ARPHRD_ETHER ? std::size_t{4} : 0};
    else if (link_ == link_type::raw_ip)
        header_ = {link_, 0, 0};
    else
        return fail(ec, error::unsupported_link_type, "sending on interface '" + device_.name + "'");
    if (options_.insert_vlan() && link_ != link_type::ethernet)
        return fail(ec, error::unsupported_link_type, "insert_vlan on interface '" + device_.name + "'");
    return make_socket(SOCK_RAW, ec);
}

bool tx_opener::choose_geometry(error_code& ec) {
    auto const mtu = detail::query_mtu(socket_.get(), device_.index);
    if (!mtu)
        return fail(ec, error::no_such_interface, "MTU of '" + device_.name + "'");
    mtu_ = *mtu;
    auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    if (options_.frame_size() == 0) {
        auto const offload = options_.offload() ? sizeof(netring_asio::detail::vnet_header) : 0;
        auto const inserted = options_.insert_vlan() ? netring_asio::detail::vlan_tag_size : 0;
        auto const payload = offload != 0 ? std::max(mtu_, largest_segmented) : mtu_;
        auto const needed = detail::tx_header_size + offload + header_.size + inserted + header_.tag + payload;
        auto const size = std::max<std::size_t>(needed, 2048);
        // Within a page where possible: a frame across two costs the kernel a fragment more.
        options_.frame_size(size <= page ? std::bit_ceil(size) : round_up(size, page));
    }
    auto const size = options_.frame_size();
    if (options_.frame_count() > largest_ring / size)
        return fail(ec, error::invalid_ring_geometry, "frame_count");
    auto const whole = round_up(size * options_.frame_count(), page);
    // The kernel allocates blocks by powers of two of a page.
    auto const block = size > block_size ? std::max(large_block_size / size, std::size_t{1}) * size : block_size;
    geometry_ = {std::min(whole, round_up(std::max(size, block), page)), 1, size};
    geometry_.block_count = (options_.frame_count() + geometry_.frames_in_block() - 1) / geometry_.frames_in_block();
    return true;
}

bool tx_opener::set_socket_options(error_code& ec) {
    return set(SOL_PACKET, PACKET_VERSION, int{TPACKET_V3}, ec, "TPACKET_V3") &&
           (!options_.offload() || set(SOL_PACKET, PACKET_VNET_HDR, int{1}, ec, "offload")) &&
           (!options_.timestamps() || enable_timestamps(ec)) &&
           (!options_.qdisc_bypass() || set(SOL_PACKET, PACKET_QDISC_BYPASS, int{1}, ec, "qdisc_bypass"));
}

bool tx_opener::enable_timestamps(error_code& ec) {
    // They wait in the receive buffer, which takes about 1 KiB for each. One without its frame's bytes is enough.
    auto const room = static_cast<int>(
        std::min<std::size_t>(detail::timestamps_in_flight(options_.frame_count()) * 1024, INT_MAX / 2));
    constexpr int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_SOFTWARE |
                          SOF_TIMESTAMPING_RAW_HARDWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
    return (::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) == 0 ||
            set(SOL_SOCKET, SO_RCVBUF, room, ec, "timestamps: receive buffer")) &&
           set(SOL_SOCKET, SO_TIMESTAMPING, flags, ec, "timestamps");
}

bool tx_opener::make_ring(error_code& ec) {
    tpacket_req3 request{};
    request.tp_block_size = static_cast<unsigned>(geometry_.block_size);
    request.tp_block_nr = static_cast<unsigned>(geometry_.block_count);
    request.tp_frame_size = static_cast<unsigned>(geometry_.frame_size);
    request.tp_frame_nr = static_cast<unsigned>(geometry_.frame_count());
    if (map_ring(PACKET_TX_RING, request)) {
        options_.frame_count(geometry_.frame_count());
        return true;
    }
    if (errno == EINVAL)
        return fail(ec, error::invalid_ring_geometry, "PACKET_TX_RING");
    if (errno == ENOMEM || errno == EAGAIN)
        return fail(ec, error::no_ring_memory, "frame_count");
    return fail_with_errno(ec, "PACKET_TX_RING");
}

bool tx_opener::size_send_buffer(error_code& ec) {
    // The kernel doubles what is asked for, and tells that the socket is writable while less than half is in use.
    auto const whole = geometry_.frame_count() * (geometry_.frame_size + accounted_beside);
    auto const wanted = static_cast<int>(std::min<std::size_t>(options_.send_buffer().value_or(whole), INT_MAX / 2));
    if (::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) != 0 &&
        !set(SOL_SOCKET, SO_SNDBUF, wanted, ec, "send_buffer"))
        return false;
    int obtained = 0;
    socklen_t length = sizeof obtained;
    if (::getsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &obtained, &length) != 0)
        return fail_with_errno(ec, "send_buffer");
    auto const half = static_cast<std::size_t>(obtained) / 2;
    options_.send_buffer(half);
    ample_send_buffer_ = half >= whole;
    return true;
}

bool tx_opener::bind(error_code& ec) {
    // Protocol 0: otherwise the kernel clones every packet of the interface to a socket that only sends.
    if (detail::bind_packet_socket(socket_.get(), device_.index, 0))
        return true;
    return errno == ENODEV ? fail(ec, error::no_such_interface, "bind") : fail_with_errno(ec, "bind");
}

} // namespace netring_asio::afpacket
