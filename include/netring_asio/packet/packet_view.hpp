#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace netring_asio {

/// A point in packet time: nanoseconds since the Unix epoch.
using timestamp = std::chrono::sys_time<std::chrono::nanoseconds>;

/// The clock that stamped a packet.
enum class clock_source : std::uint8_t {
    unknown,  ///< a file, or a source that does not say
    software, ///< the kernel's real-time clock, read when the packet was received or stored
    hardware, ///< the network device's own clock, which need not agree with the system's
};

/// How a packet relates to the host that captured it; the values are the kernel's packet types (packet(7)).
enum class direction : std::uint8_t {
    host = 0,       ///< addressed to this host
    broadcast = 1,  ///< link-layer broadcast
    multicast = 2,  ///< link-layer multicast
    other_host = 3, ///< addressed to somebody else, seen in promiscuous mode
    outgoing = 4,   ///< sent by this host
    unknown = 255,
};

/// What is known of the transport checksum.
enum class checksum_state : std::uint8_t {
    unknown,
    valid,   ///< verified by the device or the kernel
    partial, ///< not computed yet: a local sender left it to the device. The bytes look wrong and are not corrupt.
};

/// The header that a packet begins with; the values are the LINKTYPE numbers of pcap files.
enum class link_type : std::uint16_t {
    null_loopback = 0, ///< BSD loopback: a protocol family in the byte order of the writer
    ethernet = 1,
    raw_ip = 101,    ///< no link header: an IPv4 or IPv6 packet
    loop = 108,      ///< OpenBSD loopback: a protocol family in network byte order
    linux_sll = 113, ///< Linux cooked capture, version 1
    ipv4 = 228,
    ipv6 = 229,
    linux_sll2 = 276, ///< Linux cooked capture, version 2
};

/// An IEEE 802.1Q or 802.1ad tag that the kernel or the device took out of the frame.
struct vlan_tag {
    std::uint16_t tpid = 0; ///< tag protocol, 0x8100 or 0x88a8; 0 if there is no tag
    std::uint16_t tci = 0;  ///< priority, drop eligibility and identifier

    constexpr explicit operator bool() const noexcept { return tpid != 0; }
    constexpr std::uint16_t id() const noexcept { return tci & 0x0fff; }
    constexpr std::uint8_t priority() const noexcept { return static_cast<std::uint8_t>(tci >> 13); }
    friend constexpr bool operator==(vlan_tag const&, vlan_tag const&) = default;
};

/// How a frame beyond the MTU is meant to be cut into segments; the values are those of the kernel's virtio_net_hdr.
enum class gso_type : std::uint8_t {
    none = 0,
    tcp_ipv4 = 1,
    udp = 3, ///< UDP fragmentation
    tcp_ipv6 = 4,
    udp_l4 = 5, ///< UDP segmentation
    tcp = 255,  ///< TCP of a version that was not told; the segment size is not known
};

/// Offload state of a frame. Known in full only where the ring was opened with a vnet header.
struct offload_info {
    gso_type type = gso_type::none;
    std::uint16_t segment_size = 0;    ///< payload bytes of each segment, 0 if not known
    std::uint16_t header_length = 0;   ///< bytes before the payload that each segment repeats, 0 if not known
    std::uint16_t checksum_start = 0;  ///< with `checksum_state::partial`: where summing begins, 0 if not known
    std::uint16_t checksum_offset = 0; ///< from `checksum_start` to the checksum field
    friend constexpr bool operator==(offload_info const&, offload_info const&) = default;
};

/// The sender's link-layer address as the device reported it.
struct link_address {
    std::array<std::byte, 8> bytes{};
    std::uint8_t length = 0;
    std::span<std::byte const> span() const noexcept { return {bytes.data(), length}; }
    friend constexpr bool operator==(link_address const&, link_address const&) = default;
};

/// One packet, borrowed.
///
/// @par Lifetime
/// The bytes belong to the `packet_batch` or `frame` that the view came from and are valid while it lives.
///
/// @par Thread safety
/// A plain value; reading the bytes from several threads is safe.
struct packet_view {
    std::span<std::byte const> data; ///< the captured bytes, from the link header on, without `vlan`
    std::uint32_t wire_length = 0;   ///< bytes the packet had on the wire, `vlan` not counted
    netring_asio::link_type link = link_type::ethernet;
    std::uint16_t protocol = 0; ///< EtherType the kernel saw, host byte order; 0 if not known
    timestamp time{};           ///< when the packet was stamped
    clock_source clock = clock_source::unknown;
    netring_asio::direction direction = direction::unknown;
    checksum_state checksum = checksum_state::unknown;
    vlan_tag vlan{};                  ///< the tag that was taken out of `data`
    std::uint32_t rx_hash = 0;        ///< the flow hash of the device or the kernel, 0 if none
    std::int32_t interface_index = 0; ///< kernel index, or number of the interface in a pcapng file; 0 if not known
    std::uint32_t queue = 0;          ///< receive queue, where the source knows it
    offload_info offload{};
    link_address source_address{};

    /// Bytes are missing at the end: a snap length, or a slot too short.
    constexpr bool truncated() const noexcept { return data.size() < wire_length; }
};
static_assert(std::is_trivially_copyable_v<packet_view>);

} // namespace netring_asio
