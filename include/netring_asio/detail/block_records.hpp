#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <cstring>

#include <arpa/inet.h>
#include <linux/if_packet.h>

namespace netring_asio::detail {

// Not in the headers of Linux 6.1.
inline constexpr std::uint32_t tp_status_gso_tcp = 1U << 8;

/// struct virtio_net_hdr of the kernel, whose own header does not compile as C++ in Linux 6.1.
struct vnet_header {
    static constexpr std::uint8_t needs_checksum = 1;
    static constexpr std::uint8_t checksum_valid = 2;
    static constexpr std::uint8_t gso_ecn = 0x80;

    std::uint8_t flags = 0;
    std::uint8_t gso_type = 0;
    std::uint16_t header_length = 0;
    std::uint16_t gso_size = 0;
    std::uint16_t checksum_start = 0;
    std::uint16_t checksum_offset = 0;
};
static_assert(sizeof(vnet_header) == 10);

/// What the records of a TPACKET_V3 block, or the slots of a TPACKET_V2 ring, have in common
/// (Documentation/networking/packet_mmap.rst).
struct block_records {
    std::byte const* end = nullptr; // one past the block
    std::uint16_t vnet_header_size = 0;
    link_type link = link_type::ethernet;
    bool hardware_clock = false; // PACKET_TIMESTAMP asked for hardware stamps

    /// Whether a whole record with all its bytes lies at `record`.
    bool contains(std::byte const* record) const noexcept {
        auto const room = end - record;
        if (room < static_cast<std::ptrdiff_t>(sizeof(tpacket3_hdr) + sizeof(sockaddr_ll)))
            return false;
        auto const& header = *reinterpret_cast<tpacket3_hdr const*>(record);
        return header.tp_mac >= vnet_header_size &&
               static_cast<std::uint64_t>(header.tp_mac) + header.tp_snaplen <= static_cast<std::uint64_t>(room);
    }

    packet_view decode(std::byte const* record) const noexcept {
        auto const& header = *reinterpret_cast<tpacket3_hdr const*>(record);
        auto view = describe(record, header, header.hv1.tp_vlan_tci, header.hv1.tp_vlan_tpid);
        view.rx_hash = header.hv1.tp_rxhash;
        return view;
    }

    /// The same for a slot of a TPACKET_V2 ring, which has no hash.
    packet_view decode_slot(std::byte const* slot) const noexcept {
        auto const& header = *reinterpret_cast<tpacket2_hdr const*>(slot);
        return describe(slot, header, header.tp_vlan_tci, header.tp_vlan_tpid);
    }

    static std::byte const* next(std::byte const* record) noexcept {
        return record + reinterpret_cast<tpacket3_hdr const*>(record)->tp_next_offset;
    }

private:
    template <class Header>
    packet_view describe(std::byte const* record, Header const& header, std::uint32_t vlan_tci,
                         std::uint16_t vlan_tpid) const noexcept {
        auto const& address = *reinterpret_cast<sockaddr_ll const*>(record + TPACKET_ALIGN(sizeof(Header)));
        auto const status = header.tp_status;
        packet_view view;
        view.data = {record + header.tp_mac, header.tp_snaplen};
        view.wire_length = header.tp_len;
        view.link = link;
        view.protocol = ntohs(address.sll_protocol);
        view.time = timestamp{std::chrono::seconds{header.tp_sec} + std::chrono::nanoseconds{header.tp_nsec}};
        view.clock = (status & TP_STATUS_TS_RAW_HARDWARE) != 0 ? clock_source::hardware : clock_source::software;
        view.direction =
            address.sll_pkttype <= PACKET_OUTGOING ? static_cast<direction>(address.sll_pkttype) : direction::unknown;
        if ((status & TP_STATUS_CSUMNOTREADY) != 0)
            view.checksum = checksum_state::partial;
        else if ((status & TP_STATUS_CSUM_VALID) != 0)
            view.checksum = checksum_state::valid;
        if ((status & TP_STATUS_VLAN_VALID) != 0)
            view.vlan = {(status & TP_STATUS_VLAN_TPID_VALID) != 0 ? vlan_tpid : std::uint16_t{0x8100},
                         static_cast<std::uint16_t>(vlan_tci)};
        view.interface_index = address.sll_ifindex;
        if (vnet_header_size != 0)
            decode_offload(record + header.tp_mac - vnet_header_size, view);
        else if ((status & tp_status_gso_tcp) != 0)
            view.offload.type = gso_type::tcp;
        view.source_address.length = address.sll_halen < 8 ? address.sll_halen : std::uint8_t{8};
        std::memcpy(view.source_address.bytes.data(), address.sll_addr, 8);
        return view;
    }

    static void decode_offload(std::byte const* at, packet_view& view) noexcept {
        vnet_header vnet;
        std::memcpy(&vnet, at, sizeof vnet);
        view.offload.type = static_cast<gso_type>(vnet.gso_type & ~vnet_header::gso_ecn);
        view.offload.segment_size = vnet.gso_size;
        view.offload.header_length = vnet.header_length;
        if ((vnet.flags & vnet_header::needs_checksum) != 0) {
            view.checksum = checksum_state::partial;
            view.offload.checksum_start = vnet.checksum_start;
            view.offload.checksum_offset = vnet.checksum_offset;
        }
    }
};

} // namespace netring_asio::detail
