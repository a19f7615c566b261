#include "walker.hpp"

namespace netring_asio::decode::detail {

template <class Inner>
bool walker::attempt(tunnel kind, std::uint32_t id, Inner inner) noexcept {
    if (tunnels_left_ == 0)
        return false;
    auto const before = *this;
    auto const outer = out_;
    --tunnels_left_;
    out_.tunnel = kind;
    out_.tunnel_id = id;
    if (inner())
        return true;
    out_ = outer;
    captured_ = before.captured_;
    wire_ = before.wire_;
    tunnels_left_ = before.tunnels_left_;
    depth_ = before.depth_;
    return false;
}

bool walker::mpls(std::size_t at) noexcept {
    // RFC 3032: what follows the bottom of the stack is not told, so its first nibble decides (RFC 4928).
    std::uint32_t entry = 0;
    do {
        if (!has(at, 4))
            return false;
        entry = u32(at);
        at += 4;
    } while ((entry & 0x100) == 0);
    if (!has(at, 1))
        return false;
    auto const label = entry >> 12;
    auto const nibble = u8(at) >> 4;
    if (nibble == 4 || nibble == 6) {
        auto const before = out_;
        if (ip(at))
            return true;
        out_ = before;
    }
    // RFC 4385: a control word begins with a zero nibble.
    return (nibble == 0 && attempt(tunnel::mpls, label, [&] { return ethernet(at + 4); })) ||
           attempt(tunnel::mpls, label, [&] { return ethernet(at); });
}

bool walker::tunnel_in_ip(std::uint8_t number, std::size_t at) noexcept {
    switch (number) {
    case protocol::ipv4:
        return attempt(tunnel::ip_in_ip, 0, [&] { return ipv4(at); });
    case protocol::ipv6:
        return attempt(tunnel::ip_in_ip, 0, [&] { return ipv6(at); });
    case protocol::gre:
        return gre(at);
    case protocol::etherip: // RFC 3378
        return has(at, 2) && u8(at) >> 4 == 3 && attempt(tunnel::etherip, 0, [&] { return ethernet(at + 2); });
    case protocol::mpls_in_ip:
        return attempt(tunnel::mpls, 0, [&] { return mpls(at); });
    default:
        return false;
    }
}

bool walker::tunnel_in_udp(std::uint16_t source, std::uint16_t destination, std::size_t at) noexcept {
    switch (destination) {
    case 4789:
    case 8472: // Linux before the port was assigned
        if (vxlan(at))
            return true;
        break;
    case 6081:
        if (geneve(at))
            return true;
        break;
    case 6635:
        if (attempt(tunnel::mpls, 0, [&] { return mpls(at); }))
            return true;
        break;
    default:
        break;
    }
    if ((source == 2152 || destination == 2152) && gtp_u(at))
        return true;
    return (source == 3544 || destination == 3544) && teredo(at);
}

// RFC 2784 and 2890; version 1 is PPTP's (RFC 2637).
bool walker::gre(std::size_t at) noexcept {
    if (!has(at, 4))
        return false;
    auto const flags = u16(at);
    auto const type = u16(at + 2);
    auto const version = flags & 7;
    bool const has_key = (flags & 0x2000) != 0;
    bool const has_sequence = (flags & 0x1000) != 0;
    bool const has_routing = (flags & 0x4000) != 0;
    if (version > 1 || has_routing)
        return false;
    at += 4;
    if (version == 0 && (flags & 0x8000) != 0) // checksum and reserved
        at += 4;
    std::uint32_t key = 0;
    if (has_key) {
        if (!has(at, 4))
            return false;
        key = u32(at);
        at += 4;
    }
    if (has_sequence)
        at += 4;
    if (version == 1 && (flags & 0x0080) != 0) // acknowledgment number
        at += 4;

    constexpr std::uint16_t erspan_2 = 0x88be;
    constexpr std::uint16_t erspan_3 = 0x22eb;
    if (type == erspan_2) // type I has neither sequence number nor header of its own
        return attempt(tunnel::erspan, has_sequence && has(at, 8) ? u16(at + 2) & 0x3ffU : 0,
                       [&] { return ethernet(has_sequence ? at + 8 : at); });
    if (type == erspan_3) {
        if (!has(at, 12))
            return false;
        auto const platform_header = (u8(at + 11) & 1) != 0;
        return attempt(tunnel::erspan, u16(at + 2) & 0x3ffU,
                       [&] { return ethernet(at + (platform_header ? 20 : 12)); });
    }
    return attempt(tunnel::gre, key, [&] { return ether_type(type, at); });
}

bool walker::vxlan(std::size_t at) noexcept {
    if (!has(at, 8) || (u8(at) & 0x08) == 0)
        return false;
    return attempt(tunnel::vxlan, u24(at + 4), [&] { return ethernet(at + 8); });
}

bool walker::geneve(std::size_t at) noexcept {
    if (!has(at, 8) || u8(at) >> 6 != 0)
        return false;
    auto const type = u16(at + 2);
    auto const inner = at + 8 + (u8(at) & 0x3fU) * 4U;
    return attempt(tunnel::geneve, u24(at + 4), [&] { return ether_type(type, inner); });
}

bool walker::gtp_u(std::size_t at) noexcept {
    // Version 1, protocol type GTP, message "G-PDU".
    if (!has(at, 8) || (u8(at) & 0xf0) != 0x30 || u8(at + 1) != 255)
        return false;
    auto const flags = u8(at) & 7;
    auto const end = at + 8 + u16(at + 2);
    auto const id = u32(at + 4);
    at += 8;
    if (flags != 0) {
        if (!has(at, 4))
            return false;
        auto next = (flags & 4) != 0 ? u8(at + 3) : std::uint8_t{0};
        at += 4;
        while (next != 0) {
            if (!has(at, 1) || u8(at) == 0)
                return false;
            std::size_t const length = u8(at) * 4U;
            if (!has(at, length))
                return false;
            next = u8(at + length - 1);
            at += length;
        }
    }
    return attempt(tunnel::gtp_u, id, [&] {
        end_at(end);
        return ip(at);
    });
}

bool walker::teredo(std::size_t at) noexcept {
    return attempt(tunnel::teredo, 0, [&] {
        if (has(at, 4) && u16(at) == 1) // authentication: identifier and value of the lengths told, nonce, confirmation
            at += 4U + u8(at + 2) + u8(at + 3) + 9U;
        if (has(at, 2) && u16(at) == 0) // origin indication
            at += 8;
        return ipv6(at);
    });
}

} // namespace netring_asio::decode::detail
