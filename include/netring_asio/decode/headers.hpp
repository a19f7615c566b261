#pragma once

#include <netring_asio/decode/ip_address.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace netring_asio::decode {

/// Numbers of the IANA registry "Protocol Numbers", as found in `headers::protocol`.
namespace protocol {
inline constexpr std::uint8_t hop_by_hop = 0;
inline constexpr std::uint8_t icmp = 1;
inline constexpr std::uint8_t ipv4 = 4;
inline constexpr std::uint8_t tcp = 6;
inline constexpr std::uint8_t udp = 17;
inline constexpr std::uint8_t ipv6 = 41;
inline constexpr std::uint8_t routing = 43;
inline constexpr std::uint8_t fragment = 44;
inline constexpr std::uint8_t gre = 47;
inline constexpr std::uint8_t esp = 50;
inline constexpr std::uint8_t authentication = 51;
inline constexpr std::uint8_t icmpv6 = 58;
inline constexpr std::uint8_t none = 59;
inline constexpr std::uint8_t destination_options = 60;
inline constexpr std::uint8_t etherip = 97;
inline constexpr std::uint8_t sctp = 132;
inline constexpr std::uint8_t mobility = 135;
inline constexpr std::uint8_t mpls_in_ip = 137;
inline constexpr std::uint8_t host_identity = 139;
inline constexpr std::uint8_t shim6 = 140;
} // namespace protocol

/// Bits of `headers::tcp_flags` (RFC 9293, 3.1).
namespace tcp_flag {
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t syn = 0x02;
inline constexpr std::uint8_t rst = 0x04;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
inline constexpr std::uint8_t urg = 0x20;
inline constexpr std::uint8_t ece = 0x40;
inline constexpr std::uint8_t cwr = 0x80;
} // namespace tcp_flag

/// What an innermost header was carried in.
enum class tunnel : std::uint8_t {
    none,
    ip_in_ip, ///< RFC 2003, RFC 4213, RFC 2473
    gre,      ///< RFC 2784, RFC 2890, RFC 2637
    erspan,
    etherip, ///< RFC 3378
    mpls,    ///< L2 over MPLS (RFC 4448), MPLS in IP (RFC 4023) or in UDP (RFC 7510)
    vxlan,   ///< RFC 7348
    geneve,  ///< RFC 8926
    gtp_u,   ///< 3GPP TS 29.281
    teredo,  ///< RFC 4380
};

/// The headers of one packet, as far as its bytes go.
///
/// Addresses, ports and everything below them are those of the innermost header that was found, or of the outermost
/// where decapsulation is off. Lengths are those on the wire, so they may exceed what was captured; a length that a
/// header leaves at 0 for segmentation offload or BIG TCP is the rest of the frame. Link-layer padding is in no length
/// but `wire_length`.
///
/// @par Lifetime
/// Borrows the bytes of the packet; everything but `data` and what `payload()` returns is a copy.
struct headers {
    std::span<std::byte const> data; ///< the frame, or the datagram put together from fragments
    timestamp time{};
    link_type link = link_type::ethernet;
    std::uint32_t wire_length = 0;    ///< the whole frame, with a tag that the kernel had taken out
    std::uint32_t ip_length = 0;      ///< the IP header and everything it carries
    std::uint32_t payload_length = 0; ///< what the transport header carries

    // Offsets into data.
    std::uint32_t link_offset = 0;             ///< the innermost Ethernet header, where `has_ethernet`
    std::uint32_t ip_offset = 0;               ///< the IP header, or what stands in its place behind the EtherType
    std::uint32_t fragment_payload_offset = 0; ///< what a fragment carries
    std::uint32_t transport_offset = 0;
    std::uint32_t payload_offset = 0;

    ip_address source;
    ip_address destination;
    std::uint16_t source_port = 0;      ///< 0 where the protocol has none
    std::uint16_t destination_port = 0; ///< 0 where the protocol has none
    std::uint8_t ip_version = 0;        ///< 4 or 6; 0 if no IP header was found
    std::uint8_t protocol = 0;          ///< the transport's number, behind all extension headers
    std::uint8_t traffic_class = 0;
    std::uint8_t hop_limit = 0; ///< time to live

    bool is_fragment = false; ///< not a whole datagram
    bool more_fragments = false;
    bool has_ports = false;
    bool has_ethernet = false;
    std::uint8_t fragment_next_header = 0; ///< what the fragments put together begin with
    std::uint32_t fragment_id = 0;
    std::uint32_t fragment_offset = 0; ///< in bytes; the transport header is present only where it is 0

    // TCP: complete only where has_tcp.
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgment = 0;
    std::uint16_t window = 0;
    bool has_tcp = false;
    std::uint8_t tcp_flags = 0;
    std::uint8_t tcp_header_length = 0;

    bool has_icmp = false;
    std::uint8_t icmp_type = 0;
    std::uint8_t icmp_code = 0;

    std::uint8_t ip_layers = 0;      ///< IP headers passed, outer ones included
    std::uint8_t fragment_layer = 0; ///< which of these, from 1, was of a fragment first; 0 if none was
    decode::tunnel tunnel = decode::tunnel::none;
    std::uint32_t tunnel_id = 0; ///< VNI, GRE key, TEID or MPLS label of the innermost tunnel

    std::uint8_t vlan_count = 0;     ///< tags seen; more than `vlans` holds are only counted
    std::uint16_t ether_type = 0;    ///< behind all tags; 0 if the link layer has none
    std::array<vlan_tag, 4> vlans{}; ///< outermost first

    bool has_ip() const noexcept { return ip_version != 0; }
    bool is_first_fragment() const noexcept { return is_fragment && fragment_offset == 0; }
    bool is_later_fragment() const noexcept { return is_fragment && fragment_offset != 0; }

    /// The captured part of the transport's payload.
    std::span<std::byte const> payload() const noexcept {
        if (payload_offset >= data.size())
            return {};
        auto const rest = data.subspan(payload_offset);
        return rest.first(rest.size() < payload_length ? rest.size() : payload_length);
    }
    /// The captured part of the TCP options.
    std::span<std::byte const> tcp_options() const noexcept {
        if (!has_tcp || tcp_header_length <= 20 || transport_offset + 20 >= data.size())
            return {};
        auto const rest = data.subspan(transport_offset + 20);
        std::size_t const length = tcp_header_length - 20U;
        return rest.first(rest.size() < length ? rest.size() : length);
    }
};

} // namespace netring_asio::decode
