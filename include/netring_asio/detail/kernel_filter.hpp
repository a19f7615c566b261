#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/detail/vlan.hpp>
#include <netring_asio/filter.hpp>

#include <cstdint>
#include <vector>

namespace netring_asio::detail {

/// How far a program in the kernel says what its filter means.
struct kernel_verdict {
    bool exact = true;          ///< verdict and snap length are final for every packet
    bool exact_untagged = true; ///< they are final for packets without a VLAN tag

    /// Whether nothing is left to decide for a packet that the program let through.
    bool decides(packet_view const& packet) const noexcept {
        bool const cooked = packet.link == link_type::linux_sll || packet.link == link_type::linux_sll2;
        return exact || (exact_untagged && !packet.vlan && !(cooked && is_tag_protocol(packet.protocol)));
    }
};

/// The classic program to attach to a packet socket (SO_ATTACH_FILTER) for a filter.
///
/// The socket is of type SOCK_RAW for Ethernet and raw IP, and of type SOCK_DGRAM for the cooked link types: there the
/// kernel's program sees the packet from the network header on, and the reader puts the cooked header before it.
///
/// The program never rejects what the filter accepts. Where the kernel cannot tell, the program accepts whole packets
/// and the reader decides with `filter::apply`, for those packets only that `verdict` does not decide: others may be
/// cut to the snap length already.
struct NETRING_ASIO_API kernel_filter {
    std::vector<filter::instruction> program;
    kernel_verdict verdict{};

    /// Accepts every packet, cut to a length.
    static kernel_filter accept(std::uint32_t snap_length = filter::whole_packet);

    /// Rejects every packet.
    static kernel_filter reject_all();

    /// Accepts every packet and decides nothing: for a kernel that refuses a longer program (ENOMEM beyond
    /// net.core.optmem_max).
    static kernel_filter undecided();
};

NETRING_ASIO_API kernel_filter make_kernel_filter(filter const& wanted);

} // namespace netring_asio::detail
