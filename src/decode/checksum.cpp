#include "../detail/frame_bytes.hpp"
#include <netring_asio/decode/checksum.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>

namespace netring_asio::decode {
namespace {

using netring_asio::detail::frame_reader;

constexpr std::uint16_t right_sum = 0xffff;

// Where the two addresses lie that a checksum covers in IPv6; nothing where an option or a route hides one.
struct addresses {
    std::size_t source;
    std::size_t destination;
};

bool has_home_address(frame_reader const& frame, std::size_t at, std::size_t end) noexcept {
    constexpr std::uint8_t home_address = 0xc9; // RFC 6275, 6.3
    while (at < end && frame.byte(at) != home_address)
        at += frame.byte(at) == 0 ? 1 : frame.byte(at + 1) + std::size_t{2};
    return at < end;
}

std::optional<addresses> find_addresses(frame_reader const& frame, headers const& packet) noexcept {
    constexpr std::size_t size = 16;
    addresses result{packet.ip_offset + std::size_t{8}, packet.ip_offset + std::size_t{24}};
    auto next = frame.byte(packet.ip_offset + std::size_t{6});
    for (std::size_t at = packet.ip_offset + std::size_t{40}; at < packet.transport_offset;) {
        auto const end = at + (next == protocol::authentication ? (frame.byte(at + 1) + std::size_t{2}) * 4
                               : next == protocol::fragment     ? std::size_t{8}
                                                                : (frame.byte(at + 1) + std::size_t{1}) * 8);
        if (next == protocol::destination_options && has_home_address(frame, at + 2, end))
            return std::nullopt;
        if (next == protocol::routing && frame.byte(at + 3) != 0) { // segments are left: it goes to the last (RFC 5095)
            if (frame.byte(at + 2) != 0 || end < at + 8 + size)
                return std::nullopt;
            result.destination = end - size;
        }
        next = frame.byte(at);
        at = end;
    }
    return result;
}

checksum_verdict verify_transport(frame_reader const& frame, headers const& packet) noexcept {
    std::size_t const begin = packet.transport_offset;
    std::size_t end = packet.ip_offset + std::size_t{packet.ip_length};
    bool with_addresses = true;
    switch (packet.protocol) {
    case protocol::tcp:
        break;
    case protocol::udp:
        if (auto const length = frame.word(begin + 4); length >= 8)
            end = std::min<std::size_t>(end, begin + length);
        if (frame.word(begin + 6) == 0) // none, which RFC 6935 allows in IPv6 too
            return checksum_verdict::unknown;
        break;
    case protocol::icmp:
        with_addresses = packet.ip_version == 6;
        break;
    case protocol::icmpv6:
        break;
    default:
        return checksum_verdict::unknown;
    }
    if (end > packet.data.size() ||
        end < begin + (packet.protocol == protocol::tcp ? netring_asio::detail::shortest_tcp : 4))
        return checksum_verdict::unknown;
    std::uint64_t sum = 0;
    if (with_addresses) {
        auto const length = end - begin;
        sum = packet.protocol + (length >> 16) + (length & 0xffff);
        if (packet.ip_version == 4) {
            sum = frame.sum(packet.ip_offset + std::size_t{12}, packet.ip_offset + std::size_t{20}, sum);
        } else {
            auto const found = find_addresses(frame, packet);
            if (!found)
                return checksum_verdict::unknown;
            sum = frame.sum(found->source, found->source + 16, sum);
            sum = frame.sum(found->destination, found->destination + 16, sum);
        }
    }
    return frame.sum(begin, end, sum) == right_sum ? checksum_verdict::right : checksum_verdict::wrong_transport;
}

} // namespace

checksum_verdict verify_checksums(headers const& packet, checksum_state state) noexcept {
    if (!packet.has_ip() || state != checksum_state::unknown)
        return checksum_verdict::unknown;
    frame_reader const frame{packet.data};
    std::size_t const ip = packet.ip_offset;
    auto result = checksum_verdict::unknown;
    if (packet.ip_version == 4) {
        auto const end = ip + (frame.byte(ip) & 0xfU) * 4;
        if (end <= packet.data.size())
            result = frame.sum(ip, end) == right_sum ? checksum_verdict::right : checksum_verdict::wrong_network;
        if (frame.word(ip + 2) == 0) // to be cut into segments, each of which gets a checksum of its own
            return result;
    }
    if (packet.is_fragment || result == checksum_verdict::wrong_network)
        return result;
    auto const transport = verify_transport(frame, packet);
    return transport == checksum_verdict::unknown ? result : transport;
}

checksum_verdict verify_datagram(headers const& datagram, headers const& fragment) noexcept {
    if (!datagram.has_ip() || datagram.is_fragment)
        return checksum_verdict::unknown;
    if (fragment.ip_version == 6) {
        auto const found = find_addresses(frame_reader{fragment.data}, fragment);
        if (!found || found->destination != fragment.ip_offset + std::size_t{24})
            return checksum_verdict::unknown;
    }
    return verify_transport(frame_reader{datagram.data}, datagram);
}

} // namespace netring_asio::decode
