#include "walker.hpp"

namespace netring_asio::decode::detail {

bool walker::ip(std::size_t at) noexcept {
    if (!has(at, 1))
        return false;
    switch (u8(at) >> 4) {
    case 4:
        return ipv4(at);
    case 6:
        return ipv6(at);
    default:
        return false;
    }
}

// RFC 791
bool walker::ipv4(std::size_t at) noexcept {
    if (!has(at, 20) || u8(at) >> 4 != 4)
        return false;
    std::size_t const header_length = (u8(at) & 0x0f) * 4U;
    std::size_t const left = wire_ - at;
    std::size_t total = u16(at + 2);
    if (total == 0)
        total = left;
    auto const inner = out_.ip_layers != 0;
    if (header_length < 20 || total < header_length || (inner && total > left && out_.fragment_layer == 0))
        return false;

    out_.ip_version = 4;
    out_.ip_offset = static_cast<std::uint32_t>(at);
    out_.ip_length = static_cast<std::uint32_t>(total);
    out_.traffic_class = u8(at + 1);
    out_.hop_limit = u8(at + 8);
    out_.source = ip_address::from_v4(base_ + at + 12);
    out_.destination = ip_address::from_v4(base_ + at + 16);
    ++out_.ip_layers;
    end_at(at + total);

    auto const fragment = u16(at + 6);
    out_.fragment_offset = (fragment & 0x1fffU) * 8U;
    out_.more_fragments = (fragment & 0x2000) != 0;
    out_.is_fragment = out_.more_fragments || out_.fragment_offset != 0;
    out_.fragment_id = u16(at + 4);
    out_.fragment_payload_offset = static_cast<std::uint32_t>(at + header_length);
    out_.fragment_next_header = u8(at + 9);
    if (out_.is_fragment && out_.fragment_layer == 0)
        out_.fragment_layer = out_.ip_layers;
    transport(u8(at + 9), at + header_length);
    return true;
}

// RFC 2675: the length of a jumbogram lies in a hop-by-hop option.
bool walker::ipv6_jumbo_length(std::size_t at, std::size_t length, std::size_t& jumbo) const noexcept {
    auto const end = at + length;
    at += 2;
    while (at + 2 <= end && has(at, 2)) {
        if (u8(at) == 0) { // Pad1
            ++at;
            continue;
        }
        if (u8(at) == 0xc2 && u8(at + 1) == 4 && has(at, 6)) {
            jumbo = u32(at + 2);
            return true;
        }
        at += 2U + u8(at + 1);
    }
    return false;
}

// RFC 8200
bool walker::ipv6(std::size_t at) noexcept {
    if (!has(at, 40) || u8(at) >> 4 != 6)
        return false;
    std::size_t const left = wire_ - at;
    std::size_t payload = u16(at + 4);
    auto next = u8(at + 6);
    if (payload == 0 && next != protocol::none) {
        payload = left - 40;
        if (next == protocol::hop_by_hop && has(at + 40, 8))
            ipv6_jumbo_length(at + 40, (u8(at + 41) + 1U) * 8U, payload);
    }
    auto const inner = out_.ip_layers != 0;
    if (inner && 40 + payload > left && out_.fragment_layer == 0)
        return false;

    out_.ip_version = 6;
    out_.ip_offset = static_cast<std::uint32_t>(at);
    out_.ip_length = static_cast<std::uint32_t>(40 + payload);
    out_.traffic_class = static_cast<std::uint8_t>(u16(at) >> 4);
    out_.hop_limit = u8(at + 7);
    out_.source = ip_address::from_v6(base_ + at + 8);
    out_.destination = ip_address::from_v6(base_ + at + 24);
    out_.is_fragment = out_.more_fragments = false;
    out_.fragment_offset = out_.fragment_id = 0;
    ++out_.ip_layers;
    end_at(at + 40 + payload);

    at += 40;
    for (;;) {
        switch (next) {
        case protocol::hop_by_hop:
        case protocol::routing:
        case protocol::destination_options:
        case protocol::mobility:
        case protocol::host_identity:
        case protocol::shim6:
            if (!has(at, 2)) {
                transport(next, at);
                return true;
            }
            next = u8(at);
            at += (u8(at + 1) + 1U) * 8U;
            break;
        case protocol::authentication: // RFC 4302: in units of four bytes, and two of them not counted
            if (!has(at, 8)) {
                transport(next, at);
                return true;
            }
            next = u8(at);
            at += (u8(at + 1) + 2U) * 4U;
            break;
        case protocol::fragment: {
            // Behind the header of a fragment another one is part of what is fragmented.
            if (!has(at, 8) || out_.is_fragment) {
                transport(next, at);
                return true;
            }
            auto const fragment = u16(at + 2);
            next = u8(at);
            out_.fragment_offset = fragment & 0xfff8U;
            out_.more_fragments = (fragment & 1) != 0;
            out_.is_fragment = out_.more_fragments || out_.fragment_offset != 0;
            out_.fragment_id = u32(at + 4);
            if (out_.is_fragment && out_.fragment_layer == 0)
                out_.fragment_layer = out_.ip_layers;
            at += 8;
            out_.fragment_payload_offset = static_cast<std::uint32_t>(at);
            out_.fragment_next_header = next;
            if (out_.fragment_offset != 0) {
                transport(next, at);
                return true;
            }
            break;
        }
        default:
            transport(next, at);
            return true;
        }
    }
}

} // namespace netring_asio::decode::detail
