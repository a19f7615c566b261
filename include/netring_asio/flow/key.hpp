#pragma once

#include <netring_asio/decode/headers.hpp>

#include <compare>
#include <concepts>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <type_traits>

namespace netring_asio::flow {

/// Which way a packet or a flow goes, seen from the endpoints of its canonical key.
enum class orientation : std::uint8_t {
    a_to_b,
    b_to_a,
};

constexpr orientation opposite(orientation value) noexcept {
    return value == orientation::a_to_b ? orientation::b_to_a : orientation::a_to_b;
}

/// What an extractor found in a packet.
template <class Key>
struct extracted {
    Key key{};
    flow::orientation orientation = orientation::a_to_b;
};

/// Says which flow a packet belongs to: a function object from `decode::headers` to a key that is the same for both
/// directions, with the direction of this packet beside it; empty for packets that belong to no flow.
///
/// A key is trivially copyable and comparable. It is hashed by its bytes if they determine its value, else by a
/// function `std::size_t hash_value(key)` found by argument-dependent lookup.
template <class T>
concept extractor = std::copy_constructible<T> && requires(T const& extract, decode::headers const& packet) {
    typename T::key_type;
    requires std::is_trivially_copyable_v<typename T::key_type> && std::equality_comparable<typename T::key_type>;
    { extract(packet) } -> std::same_as<std::optional<extracted<typename T::key_type>>>;
};

/// An address and a port; the port is 0 where the protocol has none.
struct endpoint {
    decode::ip_address address;
    std::uint16_t port = 0;

    friend auto operator<=>(endpoint const&, endpoint const&) = default;
};

/// Two endpoints, the lesser one first, and the protocol between them.
struct five_tuple_key {
    endpoint a;
    endpoint b;
    std::uint8_t protocol = 0;
    std::uint8_t ip_version = 0;

    friend auto operator<=>(five_tuple_key const&, five_tuple_key const&) = default;
};
static_assert(std::has_unique_object_representations_v<five_tuple_key>);

/// Flows between two endpoints by one protocol, both directions together.
///
/// ICMP and protocols without ports have one flow for each pair of addresses.
struct five_tuple {
    using key_type = five_tuple_key;

    std::optional<extracted<five_tuple_key>> operator()(decode::headers const& packet) const noexcept {
        if (!packet.has_ip())
            return std::nullopt;
        std::optional<extracted<five_tuple_key>> result{std::in_place};
        endpoint const source{packet.source, packet.source_port};
        endpoint const destination{packet.destination, packet.destination_port};
        auto& [key, way] = *result;
        if (source <= destination) {
            key.a = source;
            key.b = destination;
        } else {
            key.a = destination;
            key.b = source;
            way = orientation::b_to_a;
        }
        key.protocol = packet.protocol;
        key.ip_version = packet.ip_version;
        return result;
    }
};

/// Prints as `tcp 10.0.0.1:40000 > 10.0.0.2:80`, `[2001:db8::1]:53` where IPv6 has a port.
void print(std::ostream& out, five_tuple_key const& key, orientation way);
std::ostream& operator<<(std::ostream& out, five_tuple_key const& key);

/// Prints any other key that can be printed, whichever way it goes.
template <class Key>
void print(std::ostream& out, Key const& key, orientation) {
    out << key;
}

} // namespace netring_asio::flow
