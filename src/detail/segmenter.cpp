#include "frame_bytes.hpp"
#include <netring_asio/detail/offload.hpp>
#include <netring_asio/detail/segmenter.hpp>
#include <netring_asio/detail/vlan.hpp>

#include <algorithm>

#include <netinet/in.h>

namespace netring_asio::detail {
namespace {

constexpr std::uint16_t bridged_ethertype = 0x6558; // an Ethernet frame follows
constexpr std::size_t vxlan_header_size = 8;
constexpr std::size_t shortest_geneve = 8;
constexpr std::size_t shortest_gre = 4;

constexpr std::byte fin_and_push{0x09};
constexpr std::byte congestion_window_reduced{0x80};

void put_long(std::span<std::byte> bytes, std::size_t at, std::uint32_t value) noexcept {
    put_word(bytes, at, value >> 16);
    put_word(bytes, at + 2, value & 0xffff);
}

} // namespace

bool segmenter::begin(packet_view const& frame) {
    frame_ = frame;
    index_ = 0;
    bool const known = frame.offload.type == gso_type::tcp_ipv4 || frame.offload.type == gso_type::tcp_ipv6 ||
                       frame.offload.type == gso_type::udp_l4;
    if (!known || frame.offload.segment_size == 0 || frame.checksum != checksum_state::partial || !find_headers()) {
        reset();
        return false;
    }
    payload_ = header_size_;
    make();
    return true;
}

void segmenter::next() {
    payload_ += frame_.offload.segment_size;
    ++index_;
    if (!done())
        make();
}

bool segmenter::add(kind what, std::size_t offset, std::size_t ip) noexcept {
    if (header_count_ == headers_.size())
        return false;
    headers_[header_count_++] = {what, offset, ip};
    return true;
}

bool segmenter::find_headers() noexcept {
    frame_reader const bytes{frame_.data};
    header_count_ = 0;
    std::size_t at = 0;
    std::uint16_t protocol = bytes.byte(0) / 16 == 6 ? ipv6_ethertype : ipv4_ethertype;
    if (frame_.link == link_type::ethernet)
        protocol = bridged_ethertype;
    else if (frame_.link != link_type::raw_ip)
        return false;
    for (;;) {
        if (protocol == bridged_ethertype && !find_link(at, protocol))
            return false;
        auto const ip = at;
        auto const transport = find_transport(frame_.data.subspan(std::min(at, frame_.data.size())), link_type::raw_ip);
        if ((protocol != ipv4_ethertype && protocol != ipv6_ethertype) || !transport ||
            !add(protocol == ipv4_ethertype ? kind::ipv4 : kind::ipv6, ip, ip))
            return false;
        at = ip + transport.offset;
        if (transport.protocol == IPPROTO_UDP && !add(kind::udp, at, ip))
            return false;
        if (at == frame_.offload.checksum_start)
            break;
        if (!find_tunnel(transport.protocol, at, protocol))
            return false;
    }
    bool const tcp = frame_.offload.type != gso_type::udp_l4;
    if (tcp == (headers_[header_count_ - 1].what == kind::udp))
        return false;
    if (tcp && !add(kind::tcp, at, headers_[header_count_ - 1].offset))
        return false;
    auto const size = tcp ? std::size_t{bytes.byte(at + 12)} / 16 * 4 : udp_header_size;
    header_size_ = at + size;
    return size >= (tcp ? shortest_tcp : udp_header_size) && header_size_ < frame_.data.size();
}

bool segmenter::find_link(std::size_t& at, std::uint16_t& protocol) const noexcept {
    frame_reader const bytes{frame_.data};
    for (at += 14; is_tag_protocol(bytes.word(at - 2)); at += vlan_tag_size) {
    }
    protocol = bytes.word(at - 2);
    return at < frame_.data.size();
}

bool segmenter::find_tunnel(std::uint8_t transport, std::size_t& at, std::uint16_t& protocol) const noexcept {
    frame_reader const bytes{frame_.data};
    switch (transport) {
    case IPPROTO_IPIP:
        protocol = ipv4_ethertype;
        return true;
    case IPPROTO_IPV6:
        protocol = ipv6_ethertype;
        return true;
    case IPPROTO_GRE: { // RFC 2784, RFC 2890: with a key, not with a checksum or sequence number
        auto const flags = bytes.word(at);
        protocol = bytes.word(at + 2);
        at += shortest_gre + ((flags & 0x2000) != 0 ? 4U : 0U);
        return (flags & ~0x2000U) == 0;
    }
    case IPPROTO_UDP:
        switch (bytes.word(at + 2)) {
        case 4789: // VXLAN (RFC 7348), and the port that Linux used before
        case 8472:
            at += udp_header_size + vxlan_header_size;
            protocol = bridged_ethertype;
            return true;
        case 6081: // Geneve (RFC 8926)
            protocol = bytes.word(at + udp_header_size + 2);
            at += udp_header_size + shortest_geneve + std::size_t{bytes.byte(at + udp_header_size) & 0x3fU} * 4;
            return true;
        default:
            return false;
        }
    default:
        return false;
    }
}

void segmenter::make() {
    auto const payload = frame_.data.subspan(
        payload_, std::min<std::size_t>(frame_.offload.segment_size, frame_.data.size() - payload_));
    bytes_.resize(header_size_ + payload.size());
    std::ranges::copy(frame_.data.first(header_size_), bytes_.begin());
    std::ranges::copy(payload, bytes_.begin() + static_cast<std::ptrdiff_t>(header_size_));
    // From the inside out: what is summed outside is finished inside.
    for (auto left = header_count_; left != 0; --left)
        correct(headers_[left - 1]);
    segment_ = frame_;
    segment_.data = bytes_;
    segment_.wire_length = static_cast<std::uint32_t>(bytes_.size());
    segment_.checksum = checksum_state::unknown;
    segment_.offload = {};
}

void segmenter::correct(header const& of) noexcept {
    frame_reader const bytes{bytes_};
    auto const at = of.offset;
    auto const length = bytes_.size() - at;
    auto const finish = [&](std::uint8_t protocol, std::uint16_t field) {
        bool const six = bytes.byte(of.ip) / 16 == 6;
        auto const addresses = of.ip + (six ? 8U : 12U);
        put_word(bytes_, at + field, bytes.sum(addresses, addresses + (six ? 32U : 8U), protocol + length));
        finish_checksum(bytes_, {.checksum_start = static_cast<std::uint16_t>(at), .checksum_offset = field});
    };
    switch (of.what) {
    case kind::ipv4:
        put_word(bytes_, at + 2, length);
        put_word(bytes_, at + 4, bytes.word(at + 4) + index_);
        put_word(bytes_, at + 10, 0);
        put_word(bytes_, at + 10, 0xffffU - bytes.sum(at, at + std::size_t{bytes.byte(at) & 0xfU} * 4));
        break;
    case kind::ipv6:
        put_word(bytes_, at + 4, length - 40);
        break;
    case kind::udp:
        put_word(bytes_, at + 4, length);
        // A tunnel over IPv4 may do without.
        if (at == frame_.offload.checksum_start || bytes.word(at + 6) != 0)
            finish(IPPROTO_UDP, 6);
        break;
    case kind::tcp: {
        auto const sequence = std::uint32_t{bytes.word(at + 4)} << 16 | bytes.word(at + 6);
        put_long(bytes_, at + 4, sequence + index_ * frame_.offload.segment_size);
        if (payload_ + frame_.offload.segment_size < frame_.data.size())
            bytes_[at + 13] &= ~fin_and_push;
        if (index_ != 0)
            bytes_[at + 13] &= ~congestion_window_reduced;
        finish(IPPROTO_TCP, 16);
        break;
    }
    }
}

} // namespace netring_asio::detail
