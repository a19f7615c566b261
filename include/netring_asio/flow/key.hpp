#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/detail/api.hpp>

#include <array>
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
///
/// It may also have, each for itself:
/// - `static constexpr bool one_connection = false`, where many connections share a key; TCP's handshakes and ends then
///   mean nothing for a flow, and only time ends it.
/// - `std::optional<std::chrono::nanoseconds> idle_timeout(key_type const&) const`: how long a flow may be silent, in
///   place of the tracker's options. It is called for every packet and depends on nothing but the key.
/// - `state_type` and `void update(state_type&, decode::headers const&, orientation) const`: what to keep of a flow,
/// and
///   what a packet does to it. It begins as `state_type{}`, and each event has a copy.
template <class T>
concept extractor = std::copy_constructible<T> && requires(T const& extract, decode::headers const& packet) {
    typename T::key_type;
    requires std::is_trivially_copyable_v<typename T::key_type> && std::equality_comparable<typename T::key_type>;
    { extract(packet) } -> std::same_as<std::optional<extracted<typename T::key_type>>>;
};

/// What flows keep where the extractor keeps nothing.
struct no_state {
    friend bool operator==(no_state const&, no_state const&) = default;
};

namespace detail {
NETRING_ASIO_API void print_vlans(std::ostream& out, std::array<std::uint16_t, 2> const& vlans);
NETRING_ASIO_API void print_tunnel(std::ostream& out, decode::tunnel kind, std::uint32_t id);

template <class Extractor>
struct state_of {
    using type = no_state;
};
template <class Extractor>
    requires requires { typename Extractor::state_type; }
struct state_of<Extractor> {
    using type = typename Extractor::state_type;
};
} // namespace detail

/// What an extractor keeps of each flow.
template <class Extractor>
using state_of = typename detail::state_of<Extractor>::type;

/// Whether a flow of an extractor is one connection at a time.
template <class Extractor>
inline constexpr bool is_one_connection = [] {
    if constexpr (requires { Extractor::one_connection; })
        return bool{Extractor::one_connection};
    else
        return true;
}();

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
struct NETRING_ASIO_API five_tuple {
    using key_type = five_tuple_key;

    std::optional<extracted<five_tuple_key>> operator()(decode::headers const& packet) const noexcept {
        return packet.has_ip() ? find(packet) : std::nullopt;
    }

private:
    static std::optional<extracted<five_tuple_key>> find(decode::headers const& packet) noexcept {
        std::optional<extracted<five_tuple_key>> result{std::in_place};
        auto& [key, way] = *result;
        // Which end is the lesser is as good as random, so it chooses without a jump.
        bool const forward = packet.source == packet.destination ? packet.source_port <= packet.destination_port
                                                                 : packet.source < packet.destination;
        decode::ip_address const* const addresses[] = {&packet.source, &packet.destination};
        std::uint16_t const ports[] = {packet.source_port, packet.destination_port};
        key.a.address = *addresses[!forward];
        key.a.port = ports[!forward];
        key.b.address = *addresses[forward];
        key.b.port = ports[forward];
        way = static_cast<orientation>(!forward);
        key.protocol = packet.protocol;
        key.ip_version = packet.ip_version;
        return result;
    }
};

/// Two addresses, the lesser one first.
struct ip_pair_key {
    decode::ip_address a;
    decode::ip_address b;
    std::uint16_t ip_version = 0;

    friend auto operator<=>(ip_pair_key const&, ip_pair_key const&) = default;
};
static_assert(std::has_unique_object_representations_v<ip_pair_key>);

/// All that two hosts exchange.
struct ip_pair {
    using key_type = ip_pair_key;
    static constexpr bool one_connection = false;

    std::optional<extracted<ip_pair_key>> operator()(decode::headers const& packet) const noexcept {
        if (!packet.has_ip())
            return std::nullopt;
        auto const forward = packet.source <= packet.destination;
        return extracted<ip_pair_key>{{forward ? packet.source : packet.destination,
                                       forward ? packet.destination : packet.source, packet.ip_version},
                                      forward ? orientation::a_to_b : orientation::b_to_a};
    }
};

/// An IEEE 802 address.
struct mac_address {
    std::array<std::uint8_t, 6> bytes{};

    friend auto operator<=>(mac_address const&, mac_address const&) = default;
    friend NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, mac_address const& address);
};

/// Two addresses, the lesser one first.
struct mac_pair_key {
    mac_address a;
    mac_address b;

    friend auto operator<=>(mac_pair_key const&, mac_pair_key const&) = default;
};

/// All that two stations exchange, whatever the protocol, by the innermost Ethernet header.
struct NETRING_ASIO_API mac_pair {
    using key_type = mac_pair_key;
    static constexpr bool one_connection = false;

    std::optional<extracted<mac_pair_key>> operator()(decode::headers const& packet) const noexcept;
};

/// Prints as `tcp 10.0.0.1:40000 > 10.0.0.2:80`, `[2001:db8::1]:53` where IPv6 has a port.
NETRING_ASIO_API void print(std::ostream& out, five_tuple_key const& key, orientation way);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, five_tuple_key const& key);

/// Prints as `10.0.0.1 > 10.0.0.2`.
NETRING_ASIO_API void print(std::ostream& out, ip_pair_key const& key, orientation way);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, ip_pair_key const& key);

/// Prints as `02:00:00:00:00:01 > 02:00:00:00:00:02`.
NETRING_ASIO_API void print(std::ostream& out, mac_pair_key const& key, orientation way);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, mac_pair_key const& key);

/// Prints any other key that can be printed, whichever way it goes.
template <class Key>
void print(std::ostream& out, Key const& key, orientation) {
    out << key;
}

/// Flows of the same key in different VLANs are different ones: with_vlan<five_tuple>.
template <class Extractor>
struct with_vlan : Extractor {
    struct key_type : Extractor::key_type {
        std::array<std::uint16_t, 2> vlans{}; ///< identifiers of the outermost tags, 0 where there is none

        friend auto operator<=>(key_type const&, key_type const&) = default;
        friend void print(std::ostream& out, key_type const& key, orientation way) {
            print(out, static_cast<typename Extractor::key_type const&>(key), way);
            detail::print_vlans(out, key.vlans);
        }
        friend std::ostream& operator<<(std::ostream& out, key_type const& key) {
            print(out, key, orientation::a_to_b);
            return out;
        }
    };

    std::optional<extracted<key_type>> operator()(decode::headers const& packet) const noexcept {
        auto const found = Extractor::operator()(packet);
        if (!found)
            return std::nullopt;
        return extracted<key_type>{{found->key, {packet.vlans[0].id(), packet.vlans[1].id()}}, found->orientation};
    }
};

/// Flows of the same key in different tunnels are different ones: with_tunnel<five_tuple>.
template <class Extractor>
struct with_tunnel : Extractor {
    struct key_type : Extractor::key_type {
        std::array<std::uint16_t, 2> id{}; ///< VNI, GRE key, TEID or label of the innermost tunnel, high part first
        std::uint16_t kind = 0;            ///< a `decode::tunnel`

        decode::tunnel tunnel() const noexcept { return static_cast<decode::tunnel>(kind); }
        std::uint32_t tunnel_id() const noexcept { return static_cast<std::uint32_t>(id[0]) << 16 | id[1]; }

        friend auto operator<=>(key_type const&, key_type const&) = default;
        friend void print(std::ostream& out, key_type const& key, orientation way) {
            print(out, static_cast<typename Extractor::key_type const&>(key), way);
            detail::print_tunnel(out, key.tunnel(), key.tunnel_id());
        }
        friend std::ostream& operator<<(std::ostream& out, key_type const& key) {
            print(out, key, orientation::a_to_b);
            return out;
        }
    };

    std::optional<extracted<key_type>> operator()(decode::headers const& packet) const noexcept {
        auto const found = Extractor::operator()(packet);
        if (!found)
            return std::nullopt;
        return extracted<key_type>{{found->key,
                                    {static_cast<std::uint16_t>(packet.tunnel_id >> 16),
                                     static_cast<std::uint16_t>(packet.tunnel_id & 0xffff)},
                                    static_cast<std::uint16_t>(packet.tunnel)},
                                   found->orientation};
    }
};

} // namespace netring_asio::flow
