#include "ring_opener.hpp"

#include "../detail/kernel_constants.hpp"
#include "../detail/network_namespace.hpp"
#include "address_program.hpp"
#include "ring_core.hpp"
#include <netring_asio/detail/kernel_filter.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace netring_asio::afpacket {

namespace {
constexpr unsigned cooked_reserve = 32;
}

namespace detail {

bool add_memberships(int socket, capture_options const& options, error_code& ec) noexcept {
    for (auto const& [wanted, type] : {std::pair{options.promiscuous(), PACKET_MR_PROMISC},
                                       std::pair{options.all_multicast(), PACKET_MR_ALLMULTI}}) {
        packet_mreq request{};
        request.mr_ifindex = options.interface_index();
        request.mr_type = static_cast<unsigned short>(type);
        if (wanted && ::setsockopt(socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0) {
            ec.assign(errno, boost::system::system_category());
            return false;
        }
    }
    return true;
}

bool attach_filter(int socket, filter const& wanted, netring_asio::detail::kernel_verdict& verdict, error_code& ec) {
    auto attach = [&](netring_asio::detail::kernel_filter const& kernel) {
        verdict = kernel.verdict;
        sock_fprog const argument{
            static_cast<unsigned short>(kernel.program.size()),
            const_cast<sock_filter*>(reinterpret_cast<sock_filter const*>(kernel.program.data()))};
        return ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &argument, sizeof argument) == 0;
    };
    // ENOMEM: the program is over net.core.optmem_max, and user space decides alone.
    if (attach(netring_asio::detail::make_kernel_filter(wanted)) ||
        (errno == ENOMEM && attach(netring_asio::detail::kernel_filter::undecided())))
        return true;
    ec.assign(errno, boost::system::system_category());
    return false;
}

} // namespace detail

void ring_opener::open(int socket, error_code& ec) {
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

bool ring_opener::validate(error_code& ec) {
    auto const& o = options_;
    auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    if (o.block_size() == 0 || o.block_size() % page != 0)
        return fail(ec, error::invalid_ring_geometry, "block_size");
    if (o.block_count() < 2 || o.block_count() > UINT_MAX / o.block_size())
        return fail(ec, error::invalid_ring_geometry, "block_count");
    if (o.minimum_block_count() < 2 || o.minimum_block_count() > o.block_count())
        return fail(ec, error::invalid_ring_geometry, "minimum_block_count");
    if (o.block_timeout().count() < 0 || o.block_timeout() > std::chrono::minutes{1})
        return fail(ec, error::invalid_option, "block_timeout");
    if (o.snap_length() == 0 || o.snap_length() > INT_MAX)
        return fail(ec, error::invalid_option, "snap_length");
    if (o.pin_budget() > o.block_count())
        return fail(ec, error::invalid_option, "pin_budget");
    if (o.busy_poll() && (o.busy_poll()->count() < 0 || o.busy_poll()->count() > INT_MAX))
        return fail(ec, error::invalid_option, "busy_poll");
    if (o.latency_budget().count() < 0 || o.latency_budget() > std::chrono::seconds{10})
        return fail(ec, error::invalid_option, "latency_budget");
    if (o.latency_budget().count() != 0 && !o.low_latency())
        return fail(ec, error::conflicting_options, "latency_budget and blocks, whose block_timeout it would be");
    if (o.low_latency() && (o.any_interface() || o.rx_hash()))
        return fail(ec, error::conflicting_options, "low_latency and all interfaces or rx_hash");
    if (o.any_interface() && (o.promiscuous() || o.all_multicast()))
        return fail(ec, error::conflicting_options, "promiscuous mode and all interfaces");
    if (o.any_interface() && o.timestamps() == timestamp_source::hardware)
        return fail(ec, error::conflicting_options, "hardware timestamps and all interfaces");
    if (!o.fanout())
        return true;
    auto const& fanout = *o.fanout();
    if (o.on_link_down() == link_down_policy::reopen_by_name)
        return fail(ec, error::conflicting_options, "reopen_by_name and fanout: a member cannot be bound anew");
    if (fanout.roll_over() && fanout.mode() == fanout_mode::rollover)
        return fail(ec, error::conflicting_options, "fanout: roll_over and the mode of that name");
    if (fanout.maximum_members() > 65536)
        return fail(ec, error::invalid_option, "fanout: maximum_members");
    if ((fanout.mode() == fanout_mode::classic_bpf) == fanout.classic_program().empty())
        return fail(ec, error::conflicting_options, "fanout: classic_bpf and its program go together");
    if ((fanout.mode() == fanout_mode::extended_bpf) != (fanout.extended_program() >= 0))
        return fail(ec, error::conflicting_options, "fanout: extended_bpf and its program go together");
    return true;
}

void ring_opener::open_in_namespace(error_code& ec) {
    if (!find_interface(ec) || !set_socket_options(ec) || !make_ring(ec) || !install_filter(ec) || !bind(ec) ||
        !join_fanout(ec))
        return;
    ring_ = rx_ring{};
    detail::ring_geometry const geometry{.unit_size = slot_size_ != 0 ? slot_size_ : options_.block_size(),
                                         .has_slots = slot_size_ != 0,
                                         .latency_budget = options_.latency_budget()};
    ring_.core_.reset(new detail::ring_core{std::move(socket_), std::move(link_events_), std::move(memory_), geometry,
                                            options_.pin_budget(), ec});
    if (ec) {
        context_ = "epoll";
        ring_.core_.reset();
        return;
    }
    ring_.open_ = true;
    ring_.options_ = std::move(options_);
    ring_.filter_ = filter_;
    ring_.verdict_ = verdict_;
    ring_.user_filter_ = ring_.settled_user_filter();
    ring_.records_.link = link_;
    ring_.records_.vnet_header_size = vnet_header_size_;
    ring_.cooked_ = cooked_;
    ring_.fanout_id_ = fanout_id_;
}

bool ring_opener::find_interface(error_code& ec) {
    if (!options_.any_interface()) {
        if (!find_device(options_.interface_name(), options_.interface_index(),
                         options_.on_link_down() == link_down_policy::fail, ec))
            return false;
        options_.interface_name(device_.name).interface_index(device_.index);
    }
    link_ = options_.any_interface() ? link_type::linux_sll2 : detail::capture_link(device_.hardware_type);
    cooked_ = link_ == link_type::linux_sll2;
    return make_socket(cooked_ ? SOCK_DGRAM : SOCK_RAW, ec);
}

bool ring_opener::set_socket_options(error_code& ec) {
    auto const& o = options_;
    if (!set(SOL_PACKET, PACKET_VERSION, int{o.low_latency() ? TPACKET_V2 : TPACKET_V3}, ec, "PACKET_VERSION"))
        return false;
    if (cooked_ && !set(SOL_PACKET, PACKET_RESERVE, cooked_reserve, ec, "PACKET_RESERVE"))
        return false;
    if (o.offload_details()) {
        vnet_header_size_ = sizeof(netring_asio::detail::vnet_header);
        if (!set(SOL_PACKET, PACKET_VNET_HDR, int{1}, ec, "offload_details"))
            return false;
    }
    if (o.ignore_outgoing() && !set(SOL_PACKET, PACKET_IGNORE_OUTGOING, int{1}, ec, "ignore_outgoing"))
        return false;
    if (o.timestamps() == timestamp_source::hardware) {
        if (!detail::enable_hardware_timestamps(socket_.get(), device_.name))
            return fail(ec, error::unsupported_option, "hardware timestamps on '" + device_.name + "'");
        if (!set(SOL_PACKET, PACKET_TIMESTAMP, int{SOF_TIMESTAMPING_RAW_HARDWARE}, ec, "timestamps"))
            return false;
    }
    if (o.busy_poll() && !set(SOL_SOCKET, SO_BUSY_POLL, static_cast<int>(o.busy_poll()->count()), ec, "busy_poll"))
        return false;
    if (o.prefer_busy_poll()) {
        if (!set(SOL_SOCKET, SO_PREFER_BUSY_POLL, int{1}, ec, "prefer_busy_poll"))
            return false;
        if (*o.prefer_busy_poll() != 0 &&
            !set(SOL_SOCKET, SO_BUSY_POLL_BUDGET, int{*o.prefer_busy_poll()}, ec, "prefer_busy_poll: budget"))
            return false;
    }
    if (!detail::add_memberships(socket_.get(), o, ec))
        return fail(ec, ec, "promiscuous or multicast mode");
    return true;
}

bool ring_opener::choose_slots(error_code& ec) {
    auto const mtu = detail::query_mtu(socket_.get(), device_.index);
    if (!mtu)
        return fail(ec, error::no_such_interface, "'" + device_.name + "'");
    // As the kernel lays a slot out: headers, the room before an Ethernet header, the packet and two tags.
    auto const before = TPACKET_ALIGN(TPACKET2_HDRLEN + 16) + vnet_header_size_ + (cooked_ ? cooked_reserve : 0);
    slot_size_ = std::bit_ceil(before + std::min<std::size_t>(*mtu + 8, options_.snap_length()));
    if (slot_size_ > options_.block_size())
        options_.block_size(slot_size_);
    if (options_.block_size() % slot_size_ != 0 ||
        options_.block_size() / slot_size_ > UINT_MAX / options_.block_count())
        return fail(ec, error::invalid_ring_geometry,
                    "block_size: not a multiple of its slots of " + std::to_string(slot_size_) + " bytes");
    return true;
}

bool ring_opener::make_ring(error_code& ec) {
    auto const& o = options_;
    if (o.low_latency() && !choose_slots(ec))
        return false;
    auto const size = o.block_size();
    auto const minimum = options_.minimum_block_count();
    for (auto count = options_.block_count();; count = std::max(minimum, count - (count + 3) / 4)) {
        tpacket_req3 request{};
        request.tp_block_size = static_cast<unsigned>(size);
        request.tp_block_nr = static_cast<unsigned>(count);
        // V3 packs frames of any size; the kernel only checks the sum.
        request.tp_frame_size = slot_size_ != 0 ? static_cast<unsigned>(slot_size_) : request.tp_block_size;
        request.tp_frame_nr = request.tp_block_nr * (request.tp_block_size / request.tp_frame_size);
        request.tp_retire_blk_tov = static_cast<unsigned>(options_.block_timeout().count());
        request.tp_feature_req_word = o.rx_hash() ? TP_FT_REQ_FILL_RXHASH : 0;
        if (map_ring(PACKET_RX_RING, request)) {
            auto const pin_budget = std::min(options_.pin_budget(), count);
            options_.minimum_block_count(minimum).block_count(count).pin_budget(pin_budget);
            return true;
        }
        if (errno == EINVAL)
            return fail(ec, error::invalid_ring_geometry, "PACKET_RX_RING");
        if (errno != ENOMEM && errno != EAGAIN)
            return fail_with_errno(ec, "PACKET_RX_RING");
        if (count == minimum)
            return fail(ec, error::no_ring_memory,
                        "not even " + std::to_string(minimum) + " blocks of " + std::to_string(size) + " bytes");
    }
}

bool ring_opener::install_filter(error_code& ec) {
    std::string message;
    filter_ = filter::compile(options_.filter(), link_, options_.snap_length(), ec, &message);
    if (ec)
        return fail(ec, ec, "filter: " + message);
    return detail::attach_filter(socket_.get(), filter_, verdict_, ec) || fail(ec, ec, "SO_ATTACH_FILTER");
}

bool ring_opener::bind(error_code& ec) {
    if (detail::bind_packet_socket(socket_.get(), options_.any_interface() ? 0 : device_.index, ETH_P_ALL))
        return true;
    return errno == ENODEV ? fail(ec, error::no_such_interface, "bind") : fail_with_errno(ec, "bind");
}

bool ring_opener::join_fanout(error_code& ec) {
    if (!options_.fanout())
        return true;
    auto const& options = options_;
    auto const& o = *options.fanout();
    unsigned flags = 0;
    if (!o.id())
        flags |= PACKET_FANOUT_FLAG_UNIQUEID;
    if (o.roll_over())
        flags |= PACKET_FANOUT_FLAG_ROLLOVER;
    if (o.defragment())
        flags |= PACKET_FANOUT_FLAG_DEFRAG;
    if (options.ignore_outgoing())
        flags |= PACKET_FANOUT_FLAG_IGNORE_OUTGOING; // in a group the option of the socket has no effect
    bool const of_ours = o.mode() == fanout_mode::addresses || o.mode() == fanout_mode::flows;
    auto const mode = of_ours ? fanout_mode::classic_bpf : o.mode();
    struct {
        std::uint16_t id;
        std::uint16_t type_flags;
        std::uint32_t max_num_members;
    } const arguments{o.id().value_or(0), static_cast<std::uint16_t>(static_cast<unsigned>(mode) | flags),
                      o.maximum_members()};
    if (::setsockopt(socket_.get(), SOL_PACKET, PACKET_FANOUT, &arguments,
                     o.maximum_members() != 0 ? sizeof arguments : sizeof(int)) != 0)
        return errno == EINVAL || errno == EALREADY ? fail(ec, error::fanout_conflict, "fanout")
                                                    : fail_with_errno(ec, "fanout");
    if (mode == fanout_mode::classic_bpf) {
        auto program = o.mode() == fanout_mode::addresses ? detail::make_address_program()
                       : o.mode() == fanout_mode::flows   ? detail::make_flow_program()
                                                          : o.classic_program();
        sock_fprog const argument{static_cast<unsigned short>(program.size()),
                                  reinterpret_cast<sock_filter*>(program.data())};
        if (!set(SOL_PACKET, PACKET_FANOUT_DATA, argument, ec, "fanout: program"))
            return false;
    }
    if (o.mode() == fanout_mode::extended_bpf &&
        !set(SOL_PACKET, PACKET_FANOUT_DATA, o.extended_program(), ec, "fanout: program"))
        return false;
    int group = 0;
    socklen_t length = sizeof group;
    if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_FANOUT, &group, &length) != 0)
        return fail_with_errno(ec, "fanout");
    fanout_id_ = static_cast<std::uint16_t>(group & 0xffff);
    return true;
}

} // namespace netring_asio::afpacket
