#include <netring_asio/flow/community_id.hpp>

#include <boost/endian/conversion.hpp>
#include <boost/uuid/detail/sha1.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <string_view>
#include <utility>

namespace netring_asio::flow {
namespace {

/// Two numbers that stand in the place of ports.
struct port_pair {
    std::uint16_t source;
    std::uint16_t destination;
    bool one_way; // whoever sends it is the source, whatever the addresses
};

// Messages that come in pairs of question and answer have the other's type as their second number.
port_pair icmp_ports(decode::headers const& packet) noexcept {
    using pairs = std::pair<std::uint8_t, std::uint8_t>;
    static constexpr pairs v4[] = {{8, 0},   {0, 8},   {9, 10},  {10, 9},  {13, 14},
                                   {14, 13}, {15, 16}, {16, 15}, {17, 18}, {18, 17}};
    static constexpr pairs v6[] = {{128, 129}, {129, 128}, {130, 131}, {131, 130}, {133, 134}, {134, 133},
                                   {135, 136}, {136, 135}, {139, 140}, {140, 139}, {144, 145}, {145, 144}};
    auto const find = [&](auto const& table) -> port_pair {
        auto const found = std::find_if(std::begin(table), std::end(table),
                                        [&](pairs const& p) { return p.first == packet.icmp_type; });
        if (found == std::end(table))
            return {packet.icmp_type, packet.icmp_code, true};
        return {found->first, found->second, false};
    };
    return packet.protocol == decode::protocol::icmp ? find(v4) : find(v6);
}

class hasher {
public:
    void add(void const* bytes, std::size_t size) { sha_.process_bytes(bytes, size); }
    void add(std::uint8_t byte) { sha_.process_byte(byte); }
    void add(std::uint16_t number) {
        add(static_cast<std::uint8_t>(number >> 8));
        add(static_cast<std::uint8_t>(number & 255));
    }
    void add(decode::ip_address const& address, int version) {
        if (version == 4)
            add(address.bytes.data() + 12, 4);
        else
            add(address.bytes.data(), 16);
    }

    std::array<std::uint8_t, 20> digest() {
        // Words up to Boost 1.85, bytes since.
        boost::uuids::detail::sha1::digest_type words;
        sha_.get_digest(words);
        for (auto& word : words)
            boost::endian::native_to_big_inplace(word);
        std::array<std::uint8_t, 20> result;
        static_assert(sizeof words == sizeof result);
        std::memcpy(result.data(), &words, sizeof result);
        return result;
    }

private:
    boost::uuids::detail::sha1 sha_;
};

std::string base64(std::array<std::uint8_t, 20> const& bytes) {
    static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string result;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = 0; j != 3; ++j)
            group = group << 8 | (i + j < bytes.size() ? bytes[i + j] : 0U);
        for (unsigned shift = 24; shift != 0; shift -= 6)
            result += digits[group >> (shift - 6) & 63];
    }
    result.back() = '='; // twenty bytes lack one of a multiple of three
    return result;
}

std::string identify(endpoint const& from, endpoint const& to, std::uint8_t protocol, int version, bool with_ports,
                     std::uint16_t seed) {
    hasher hash;
    hash.add(seed);
    hash.add(from.address, version);
    hash.add(to.address, version);
    hash.add(protocol);
    hash.add(std::uint8_t{0});
    if (with_ports) {
        hash.add(from.port);
        hash.add(to.port);
    }
    return "1:" + base64(hash.digest());
}

bool has_ports(std::uint8_t protocol) noexcept {
    return protocol == decode::protocol::tcp || protocol == decode::protocol::udp || protocol == decode::protocol::sctp;
}

} // namespace

std::string community_id(five_tuple_key const& key, std::uint16_t seed) {
    return identify(key.a, key.b, key.protocol, key.ip_version, has_ports(key.protocol), seed);
}

std::optional<std::string> community_id(decode::headers const& packet, std::uint16_t seed) {
    if (!packet.has_ip())
        return std::nullopt;
    endpoint from{packet.source, packet.source_port};
    endpoint to{packet.destination, packet.destination_port};
    bool one_way = false;
    if (packet.has_icmp) {
        auto const ports = icmp_ports(packet);
        from.port = ports.source;
        to.port = ports.destination;
        one_way = ports.one_way;
    }
    if (!one_way && to < from)
        std::swap(from, to);
    return identify(from, to, packet.protocol, packet.ip_version, has_ports(packet.protocol) || packet.has_icmp, seed);
}

} // namespace netring_asio::flow
