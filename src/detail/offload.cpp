#include "frame_bytes.hpp"
#include <netring_asio/detail/offload.hpp>
#include <netring_asio/detail/vlan.hpp>

#include <netinet/in.h>

namespace netring_asio::detail {
namespace {

transport_header behind_ipv6(frame_reader const& frame, std::size_t at) noexcept {
    auto const network = at;
    auto next = frame.byte(at + 6);
    at += 40;
    for (int headers = 0; headers != 8; ++headers) {
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
            break;
        next = frame.byte(at);
        at += (frame.byte(at + 1) + std::size_t{1}) * 8;
    }
    return next == IPPROTO_FRAGMENT ? transport_header{} : transport_header{at, next, network};
}

std::size_t header_size(frame_reader const& frame, transport_header const& transport) noexcept {
    return transport.protocol == IPPROTO_UDP ? udp_header_size
                                             : std::size_t{frame.byte(transport.offset + 12)} / 16 * 4;
}

} // namespace

transport_header find_transport(std::span<std::byte const> bytes, link_type link) noexcept {
    frame_reader const frame{bytes};
    std::size_t at = 0;
    if (link == link_type::ethernet) {
        at = 14;
        while (is_tag_protocol(frame.word(at - 2)))
            at += vlan_tag_size;
        if (frame.word(at - 2) != ipv4_ethertype && frame.word(at - 2) != ipv6_ethertype)
            return {};
    } else if (link != link_type::raw_ip) {
        return {};
    }
    transport_header found;
    if (frame.byte(at) / 16 == 6) {
        found = behind_ipv6(frame, at);
    } else if (frame.byte(at) / 16 == 4 && frame.byte(at) >= 0x45 && (frame.word(at + 6) & 0x3fff) == 0) {
        found = {at + std::size_t{frame.byte(at) & 0xfU} * 4, frame.byte(at + 9), at};
    }
    return found.offset < bytes.size() ? found : transport_header{};
}

offload_info complete_offload(std::span<std::byte const> bytes, link_type link, offload_info offload, bool unfinished,
                              error_code& ec) noexcept {
    ec = {};
    auto const transport = find_transport(bytes, link);
    bool const tcp = transport.protocol == IPPROTO_TCP;
    bool const udp = transport.protocol == IPPROTO_UDP;
    if (unfinished && offload.checksum_start == 0 && (tcp || udp)) {
        offload.checksum_start = static_cast<std::uint16_t>(transport.offset);
        offload.checksum_offset = tcp ? 16 : 6;
    }
    bool valid = offload.checksum_start != 0
                     ? std::size_t{offload.checksum_start} + offload.checksum_offset + 2 <= bytes.size()
                     : !unfinished;
    if (offload.type != gso_type::none) {
        // Another start of summing than the outermost transport header is that of a packet in a tunnel, whose outer
        // headers would not be made right for each segment.
        auto const size = header_size(frame_reader{bytes}, transport);
        offload.header_length = static_cast<std::uint16_t>(transport.offset + size);
        valid = valid && offload.segment_size != 0 && offload.checksum_start == transport.offset &&
                offload.header_length < bytes.size() &&
                (offload.type == gso_type::udp_l4
                     ? udp
                     : tcp && size >= shortest_tcp &&
                           (offload.type == gso_type::tcp_ipv4 || offload.type == gso_type::tcp_ipv6));
    }
    if (!valid)
        ec = error::invalid_offload;
    return offload;
}

void finish_checksum(std::span<std::byte> frame, offload_info const& offload) noexcept {
    auto const sum = frame_reader{frame}.sum(offload.checksum_start, frame.size());
    // 0 says in UDP that there is none, and is the same number otherwise.
    put_word(frame, std::size_t{offload.checksum_start} + offload.checksum_offset, sum == 0xffff ? sum : 0xffffU - sum);
}

offload_info find_unfinished_checksum(std::span<std::byte const> bytes, link_type link) noexcept {
    auto const [start, protocol, ip] = find_transport(bytes, link);
    if (start == 0 || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
        return {};
    frame_reader const frame{bytes};
    bool const six = frame.byte(ip) / 16 == 6;
    auto const end = six ? ip + 40 + frame.word(ip + 4) : ip + frame.word(ip + 2);
    auto const field = start + (protocol == IPPROTO_TCP ? 16U : 6U);
    if (field + 2 > end || end > bytes.size())
        return {};
    auto const addresses = ip + (six ? 8U : 12U);
    auto const pseudo_header = frame.sum(addresses, addresses + (six ? 32U : 8U), protocol + (end - start));
    // A checksum may be that number by chance; then it is right.
    if (frame.word(field) != pseudo_header || frame.sum(start, end, pseudo_header) == 0xffff)
        return {};
    return {.checksum_start = static_cast<std::uint16_t>(start),
            .checksum_offset = static_cast<std::uint16_t>(field - start)};
}

} // namespace netring_asio::detail
