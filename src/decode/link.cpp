#include "walker.hpp"
#include <netring_asio/decode/decoder.hpp>

#include <cstring>
#include <type_traits>

namespace netring_asio::decode {
namespace detail {
namespace {

namespace ether {
constexpr std::uint16_t ipv4 = 0x0800;
constexpr std::uint16_t ipv6 = 0x86dd;
constexpr std::uint16_t bridging = 0x6558;
constexpr std::uint16_t ppp = 0x880b;
constexpr std::uint16_t mpls = 0x8847;
constexpr std::uint16_t mpls_multicast = 0x8848;
constexpr std::uint16_t pppoe_session = 0x8864;
constexpr std::uint16_t backbone = 0x88e7;
constexpr std::uint16_t jumbo_llc = 0x8870;
constexpr std::uint16_t first = 0x0600; // smaller values are IEEE 802.3 lengths
} // namespace ether

constexpr bool is_vlan(std::uint16_t type) noexcept {
    return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200 || type == 0x9300;
}

// A chain of link layers longer than this was made to waste time.
constexpr std::uint8_t max_depth = 32;

} // namespace

bool walker::link(link_type type) noexcept {
    switch (type) {
    case link_type::ethernet:
        return ethernet(0);
    case link_type::raw_ip:
    case link_type::ipv4:
    case link_type::ipv6:
        return ip(0);
    case link_type::null_loopback:
        return has(0, 4) && loopback(boost::endian::load_little_u32(base_), 4);
    case link_type::loop:
        return has(0, 4) && loopback(u32(0), 4);
    case link_type::linux_sll:
        return has(0, 16) && cooked(u16(14), 16);
    case link_type::linux_sll2:
        return has(0, 20) && cooked(u16(0), 20);
    }
    return false;
}

// On a cooked socket Linux tells the protocol behind all tags, but of the tags it takes out only the outermost: the
// packet then begins with the identifier of the next, whose own protocol field is in no place.
bool walker::cooked(std::uint16_t type, std::size_t at) noexcept {
    if (!is_whole_ip(type, at)) {
        auto inner = at;
        auto next = type;
        unsigned tags = 0;
        do {
            if (!has(inner, 4) || ++tags > out_.vlans.size())
                return ether_type(type, at);
            next = u16(inner + 2);
            inner += 4;
        } while (is_vlan(next));
        if (next == type && is_whole_ip(type, inner))
            return ether_type(0x8100, at);
    }
    return ether_type(type, at);
}

bool walker::is_whole_ip(std::uint16_t type, std::size_t at) const noexcept {
    auto const left = wire_ - std::min(wire_, at);
    if (type == ether::ipv4)
        return has(at, 20) && u8(at) >> 4 == 4 && (u8(at) & 0x0f) >= 5 && u16(at + 2) <= left;
    return type == ether::ipv6 && has(at, 40) && u8(at) >> 4 == 6 && u16(at + 4) + std::size_t{40} <= left;
}

bool walker::ethernet(std::size_t at) noexcept {
    if (!has(at, 14))
        return false;
    out_.link_offset = static_cast<std::uint32_t>(at);
    out_.has_ethernet = true;
    return ether_type(u16(at + 12), at + 14);
}

bool walker::ether_type(std::uint16_t type, std::size_t at) noexcept {
    while (is_vlan(type)) {
        if (!has(at, 4))
            return false;
        if (out_.vlan_count < out_.vlans.size())
            out_.vlans[out_.vlan_count] = {type, u16(at)};
        if (out_.vlan_count != 255)
            ++out_.vlan_count;
        type = u16(at + 2);
        at += 4;
    }
    out_.ether_type = type;
    out_.ip_offset = static_cast<std::uint32_t>(at);
    switch (type) {
    case ether::ipv4:
        return ipv4(at);
    case ether::ipv6:
        return ipv6(at);
    case ether::mpls:
    case ether::mpls_multicast:
        return mpls(at);
    case ether::pppoe_session:
        return pppoe(at);
    case ether::ppp:
        return ppp(at);
    case ether::bridging:
        return ++depth_ < max_depth && ethernet(at);
    case ether::backbone: // IEEE 802.1ah: the service tag stands before the customer's frame
        return ++depth_ < max_depth && ethernet(at + 4);
    case ether::jumbo_llc:
        return logical_link(at);
    default:
        if (type >= ether::first)
            return false;
        // Linux cooked captures use small values of their own; what counts there is that LLC follows.
        if (type > 4)
            end_at(at + type);
        return logical_link(at);
    }
}

// IEEE 802.2: SNAP carries an EtherType.
bool walker::logical_link(std::size_t at) noexcept {
    if (!has(at, 8) || u24(at) != 0xaaaa03)
        return false;
    auto const organisation = u24(at + 3);
    auto const type = u16(at + 6);
    return (organisation == 0 || organisation == 0x0000f8) && type >= ether::first && ++depth_ < max_depth &&
           ether_type(type, at + 8);
}

// The families of all systems that write such files; the byte order of DLT_NULL is the writer's.
bool walker::loopback(std::uint32_t family, std::size_t at) noexcept {
    if (family > 0xffff)
        family = boost::endian::endian_reverse(family);
    switch (family) {
    case 2:
        return ipv4(at);
    case 10: // Linux
    case 24: // NetBSD, OpenBSD
    case 28: // FreeBSD
    case 30: // Darwin
        return ipv6(at);
    default: // some drivers write other things, and IP tells itself
        return ip(at);
    }
}

// RFC 2516
bool walker::pppoe(std::size_t at) noexcept {
    if (!has(at, 6) || u8(at) != 0x11 || u8(at + 1) != 0)
        return false;
    end_at(at + 6 + u16(at + 4));
    return ppp(at + 6);
}

// RFC 1661, with the address, control and protocol fields compressed or not.
bool walker::ppp(std::size_t at) noexcept {
    if (has(at, 2) && u16(at) == 0xff03)
        at += 2;
    if (!has(at, 2))
        return false;
    auto const compressed = (u8(at) & 1) != 0;
    auto const type = compressed ? u8(at) : u16(at);
    at += compressed ? 1 : 2;
    switch (type) {
    case 0x0021:
        return ipv4(at);
    case 0x0057:
        return ipv6(at);
    case 0x0281:
    case 0x0283:
        return mpls(at);
    default:
        return false;
    }
}

// RFC 792, RFC 4443, and RFC 4884 for errors that carry more than the datagram.
std::span<std::byte const> quotation(headers const& error) noexcept {
    std::size_t const at = error.transport_offset;
    auto const payload = error.payload();
    if (!error.has_icmp || payload.empty())
        return {};
    auto const type = error.icmp_type;
    std::size_t told = 0; // length of the quotation, where it is told
    if (error.protocol == protocol::icmp && (type == 3 || type == 4 || type == 5 || type == 11 || type == 12)) {
        if (type != 4 && type != 5)
            told = std::to_integer<std::size_t>(error.data[at + 5]) * 4;
    } else if (error.protocol == protocol::icmpv6 && type >= 1 && type <= 4) {
        if (type == 1 || type == 3)
            told = std::to_integer<std::size_t>(error.data[at + 4]) * 8;
    } else {
        return {};
    }
    return told != 0 && told < payload.size() ? payload.first(told) : payload;
}

namespace {

// Assigning all at once becomes `rep stos`, which takes longer than decoding does.
void clear(headers& out) noexcept {
    static constexpr headers blank;
    constexpr std::size_t piece = 64;
    static_assert(std::is_trivially_copyable_v<headers> && sizeof blank > piece);
    auto* const to = reinterpret_cast<std::byte*>(&out);
    auto const* const from = reinterpret_cast<std::byte const*>(&blank);
    std::size_t at = 0;
    for (; at + piece <= sizeof blank; at += piece)
        std::memcpy(to + at, from + at, piece);
    std::memcpy(to + sizeof blank - piece, from + sizeof blank - piece, piece);
}

} // namespace
} // namespace detail

bool decoder::operator()(packet_view const& packet, headers& out) const noexcept {
    detail::clear(out);
    out.data = packet.data;
    out.time = packet.time;
    out.link = packet.link;
    auto const wire = std::max<std::size_t>(packet.wire_length, packet.data.size());
    out.wire_length = static_cast<std::uint32_t>(wire + (packet.vlan ? 4 : 0));
    if (packet.vlan) {
        out.vlans[0] = packet.vlan;
        out.vlan_count = 1;
    }
    return detail::walker{out, packet.data, wire, options_.max_tunnels()}.link(packet.link);
}

bool decoder::layer(headers const& packet, std::uint8_t layer, headers& out) const noexcept {
    packet_view view;
    view.data = packet.data;
    view.time = packet.time;
    view.link = packet.link;
    view.wire_length = packet.wire_length;
    return decoder{decoder_options{}.max_tunnels(static_cast<std::uint8_t>(layer - 1))}(view, out);
}

bool decoder::datagram(std::span<std::byte const> bytes, headers& out) const noexcept {
    headers whole;
    whole.time = out.time;
    whole.link = link_type::raw_ip;
    whole.wire_length = out.wire_length;
    whole.vlan_count = out.vlan_count;
    whole.vlans = out.vlans;
    whole.ether_type = out.ether_type;
    whole.tunnel = out.tunnel;
    whole.tunnel_id = out.tunnel_id;
    whole.ip_layers = static_cast<std::uint8_t>(out.ip_layers - 1);
    whole.data = bytes;
    auto const opened = whole.ip_layers < options_.max_tunnels() ? whole.ip_layers : options_.max_tunnels();
    detail::walker walker{whole, bytes, bytes.size(), static_cast<std::uint8_t>(options_.max_tunnels() - opened)};
    if (!walker.ip(0))
        return false;
    out = whole;
    return true;
}

bool decoder::quoted(headers const& error, headers& out) const noexcept {
    out = {};
    auto const place = detail::quotation(error);
    if (place.empty())
        return false;
    out.data = place;
    out.time = error.time;
    out.link = link_type::raw_ip;
    // What was cut off was on the wire once.
    auto const* const bytes = reinterpret_cast<unsigned char const*>(place.data());
    std::size_t wire = place.size();
    if (place.size() >= 20 && bytes[0] >> 4 == 4)
        wire = std::max<std::size_t>(wire, boost::endian::load_big_u16(bytes + 2));
    else if (place.size() >= 40 && bytes[0] >> 4 == 6)
        wire = std::max<std::size_t>(wire, boost::endian::load_big_u16(bytes + 4) + 40U);
    out.wire_length = static_cast<std::uint32_t>(wire);
    return detail::walker{out, place, wire, options_.max_tunnels()}.ip(0);
}

} // namespace netring_asio::decode
