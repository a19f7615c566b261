#include "walker.hpp"

namespace netring_asio::decode::detail {

void walker::payload_from(std::size_t at, std::size_t end) noexcept {
    out_.payload_offset = static_cast<std::uint32_t>(at);
    out_.payload_length = static_cast<std::uint32_t>(end > at ? end - at : 0);
}

void walker::transport(std::uint8_t number, std::size_t at) noexcept {
    // RFC 4302: an authentication header stands before the transport in IPv4 and IPv6 alike.
    while (number == protocol::authentication && out_.fragment_offset == 0 && has(at, 8)) {
        number = u8(at);
        at += (u8(at + 1) + 2U) * 4U;
    }
    out_.protocol = number;
    out_.transport_offset = static_cast<std::uint32_t>(at);
    out_.has_ports = out_.has_tcp = out_.has_icmp = false;
    out_.source_port = out_.destination_port = 0;
    payload_from(at, wire_);
    if (out_.fragment_offset != 0)
        return;
    switch (number) {
    case protocol::tcp:
        return tcp(at);
    case protocol::udp:
        return udp(at);
    case protocol::sctp:
        if (has(at, 4) && at + 12 <= wire_) {
            out_.source_port = u16(at);
            out_.destination_port = u16(at + 2);
            out_.has_ports = true;
            payload_from(at + 12, wire_);
        }
        return;
    case protocol::icmp:
    case protocol::icmpv6:
        if (has(at, 2)) {
            out_.icmp_type = u8(at);
            out_.icmp_code = u8(at + 1);
            out_.has_icmp = true;
            payload_from(at + 8, wire_);
        }
        return;
    default:
        tunnel_in_ip(number, at);
    }
}

// RFC 9293
void walker::tcp(std::size_t at) noexcept {
    if (!has(at, 4))
        return;
    out_.source_port = u16(at);
    out_.destination_port = u16(at + 2);
    out_.has_ports = true;
    if (!has(at, 20)) {
        payload_from(at + 20, wire_);
        return;
    }
    std::size_t const header_length = (u8(at + 12) >> 4) * 4U;
    if (header_length < 20 || at + header_length > wire_) {
        payload_from(wire_, wire_);
        return;
    }
    out_.has_tcp = true;
    out_.sequence = u32(at + 4);
    out_.acknowledgment = u32(at + 8);
    out_.tcp_header_length = static_cast<std::uint8_t>(header_length);
    out_.tcp_flags = u8(at + 13);
    out_.window = u16(at + 14);
    payload_from(at + header_length, wire_);
}

// RFC 768
void walker::udp(std::size_t at) noexcept {
    if (!has(at, 4))
        return;
    out_.source_port = u16(at);
    out_.destination_port = u16(at + 2);
    out_.has_ports = true;
    if (!has(at, 8)) {
        payload_from(at + 8, wire_);
        return;
    }
    // 0 is a jumbogram's, and more than the packet holds a fragment's or a lie.
    std::size_t const length = u16(at + 4);
    payload_from(at + 8, length >= 8 && at + length < wire_ ? at + length : wire_);
    if (tunnels_left_ != 0)
        tunnel_in_udp(out_.source_port, out_.destination_port, at + 8);
}

} // namespace netring_asio::decode::detail
