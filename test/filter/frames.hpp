#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

/// Hand-made Ethernet frames.
namespace frames {

using bytes = std::vector<std::uint8_t>;

inline bytes operator+(bytes left, bytes const& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

inline netring_asio::packet_view view_of(bytes const& data) {
    return {.data = std::as_bytes(std::span{data}), .wire_length = static_cast<std::uint32_t>(data.size())};
}

inline bytes be16(std::size_t value) {
    return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

inline bytes payload(std::size_t size) {
    bytes data(size);
    for (std::size_t i = 0; i != size; ++i)
        data[i] = static_cast<std::uint8_t>(i * 7 + 1);
    return data;
}

inline bytes udp(unsigned source, unsigned destination, std::size_t size = 26) {
    return be16(source) + be16(destination) + be16(8 + size) + be16(0) + payload(size);
}

inline bytes tcp(unsigned source, unsigned destination, std::uint8_t flags, std::size_t size = 14) {
    return be16(source) + be16(destination) + bytes{0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags} + be16(1024) + be16(0) +
           be16(0) + payload(size);
}

/// `fragment` is the flags and the offset in eights; `options` counts words behind the header.
inline bytes ip4(std::uint8_t protocol, bytes const& inner, bytes const& source = {10, 77, 0, 1},
                 bytes const& destination = {10, 77, 0, 2}, unsigned fragment = 0, std::uint8_t options = 0) {
    return bytes{static_cast<std::uint8_t>(0x45 + options), 0} + be16(20U + 4U * options + inner.size()) + be16(1) +
           be16(fragment) + bytes{64, protocol} + be16(0) + source + destination + bytes(4U * options, 1) + inner;
}

inline bytes ip6(std::uint8_t next, bytes const& inner, std::uint8_t last_byte = 2) {
    bytes address(16);
    address[0] = 0xfd;
    address[15] = 1;
    auto const header = bytes{0x60, 0, 0, 0} + be16(inner.size()) + bytes{next, 64} + address;
    address[15] = last_byte;
    return header + address + inner;
}

inline bytes ethernet(unsigned type, bytes const& inner, bytes const& destination = {2, 0, 0, 0, 0, 2}) {
    return destination + bytes{2, 0, 0, 0, 0, 1} + be16(type) + inner;
}

/// A frame with tags in its data, the outermost first.
inline bytes with_tags(bytes frame, std::initializer_list<netring_asio::vlan_tag> tags) {
    for (auto tag = std::rbegin(tags); tag != std::rend(tags); ++tag) {
        auto const field = be16(tag->tpid) + be16(tag->tci);
        frame.insert(frame.begin() + 12, field.begin(), field.end());
    }
    return frame;
}

/// A packet as the kernel delivers it: the outer tag beside the bytes.
struct stripped {
    bytes data;
    netring_asio::packet_view view;

    explicit stripped(bytes const& whole)
        : data{whole} {
        auto const type = static_cast<std::uint16_t>(data[12] << 8 | data[13]);
        netring_asio::vlan_tag tag;
        if (type == 0x8100 || type == 0x88a8) {
            tag = {type, static_cast<std::uint16_t>(data[14] << 8 | data[15])};
            data.erase(data.begin() + 12, data.begin() + 16);
        }
        view = view_of(data);
        view.vlan = tag;
    }
    stripped(stripped const&) = delete;
    stripped& operator=(stripped const&) = delete;
};

struct named {
    std::string name;
    bytes data;
};

inline std::vector<named> untagged() {
    bytes const broadcast(6, 0xff);
    bytes const multicast{1, 0, 0x5e, 0, 0, 5};
    bytes const here{10, 77, 0, 1}, there{10, 77, 0, 2};
    bytes const arp{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 77, 0, 1, 0, 0, 0, 0, 0, 0, 10, 77, 0, 2};
    bytes const fragment_header{17, 0, 0, 8, 0, 0, 0, 1};
    bytes const pppoe{0x11, 0, 0, 7, 0, 56, 0, 0x21};
    bytes const label{0, 1, 0x41, 64};
    return {
        {"udp", ethernet(0x800, ip4(17, udp(1234, 53)))},
        {"udp from 53", ethernet(0x800, ip4(17, udp(53, 4000)))},
        {"udp with options", ethernet(0x800, ip4(17, udp(53, 5000), here, there, 0, 5))},
        {"first fragment", ethernet(0x800, ip4(17, udp(1234, 53), here, there, 0x2000))},
        {"later fragment", ethernet(0x800, ip4(17, udp(1234, 53), here, there, 0x2002))},
        {"tcp syn", ethernet(0x800, ip4(6, tcp(40000, 80, 2)))},
        {"tcp data", ethernet(0x800, ip4(6, tcp(443, 40001, 0x18, 300), {192, 168, 1, 9}))},
        {"tcp reset", ethernet(0x800, ip4(6, tcp(22, 6000, 4), {172, 16, 3, 4}, {8, 8, 8, 8}))},
        {"icmp", ethernet(0x800, ip4(1, bytes{8, 0, 0, 0, 0, 1, 0, 1} + payload(40)))},
        {"igmp",
         ethernet(0x800, ip4(2, bytes{0x16, 0, 0, 0, 224, 0, 0, 5} + payload(20), here, {224, 0, 0, 5}), multicast)},
        {"sctp", ethernet(0x800, ip4(132, be16(2905) + be16(2905) + payload(24)))},
        {"gre", ethernet(0x800, ip4(47, bytes{0, 0, 8, 0} + ip4(6, tcp(1, 2, 16))))},
        {"udp6", ethernet(0x86dd, ip6(17, udp(1234, 53)))},
        {"tcp6", ethernet(0x86dd, ip6(6, tcp(50000, 443, 0x12), 9))},
        {"icmp6", ethernet(0x86dd, ip6(58, bytes{128, 0, 0, 0} + payload(20)))},
        {"fragment6", ethernet(0x86dd, ip6(44, fragment_header + udp(1234, 53)))},
        {"arp", ethernet(0x806, arp + payload(18), broadcast)},
        {"mpls", ethernet(0x8847, label + ip4(17, udp(7, 9)))},
        {"mpls two labels", ethernet(0x8847, bytes{0, 0x10, 0, 64} + label + ip4(17, udp(7, 53)))},
        {"pppoe", ethernet(0x8864, pppoe + ip4(17, udp(7, 53)))},
        {"llc", ethernet(40, bytes{0x42, 0x42, 3} + payload(43), {1, 0x80, 0xc2, 0, 0, 0})},
        {"experimental", ethernet(0x88b5, payload(46))},
        {"large", ethernet(0x800, ip4(17, udp(9, 9, 1400)))},
    };
}

/// The frames untagged, with one tag of each kind, and with two.
inline std::vector<named> all() {
    std::vector<named> result;
    for (auto const& [name, data] : untagged()) {
        result.push_back({name, data});
        result.push_back({name + ", vlan 5", with_tags(data, {{0x8100, 5}})});
        result.push_back({name + ", vlan 100 priority 5", with_tags(data, {{0x8100, 0xa064}})});
        result.push_back({name + ", 802.1ad 7", with_tags(data, {{0x88a8, 7}})});
        result.push_back({name + ", 802.1ad 7, vlan 5", with_tags(data, {{0x88a8, 7}, {0x8100, 5}})});
        result.push_back({name + ", vlan 5, vlan 6", with_tags(data, {{0x8100, 5}, {0x8100, 6}})});
    }
    return result;
}

} // namespace frames
