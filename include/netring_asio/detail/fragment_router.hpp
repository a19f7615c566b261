#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace netring_asio::detail {

/// Tells where packets belong that `fanout_mode::flows` placed by their addresses alone: fragments, and IPv6 packets
/// with extension headers. The fragments of a datagram all come to one router, which learns the ports from the first.
class NETRING_ASIO_API fragment_router {
public:
    enum class fate : std::uint8_t {
        stays,    ///< belongs where it came
        goes,     ///< belongs to `place()`
        waits,    ///< for the first fragment of its datagram; the router has a copy
        unplaced, ///< too many wait for that one already
    };

    fate operator()(packet_view const& packet);
    /// Of what goes: the number by which the group chooses a member.
    std::uint32_t place() const noexcept { return place_; }
    /// Those that waited and belong to `place()` as well.
    std::vector<owned_packet>& followers() noexcept { return followers_; }

    /// Those that waited too long for a first fragment, or too many, at this packet time.
    std::vector<owned_packet>& overdue(timestamp now);
    /// All that wait.
    std::vector<owned_packet>& rest();

private:
    struct key {
        std::array<std::byte, 32> addresses{};
        std::uint32_t id = 0;
        std::uint32_t protocol = 0; // of IPv4
        friend bool operator==(key const&, key const&) = default;
    };
    struct key_hash {
        std::size_t operator()(key const& k) const noexcept;
    };
    struct datagram {
        std::optional<std::uint32_t> place;
        std::vector<owned_packet> waiting;
    };
    struct header {
        key from;
        bool fragment = false;
        bool first = true;
    };

    std::span<std::byte const> from_type(packet_view const& packet);
    header read(std::span<std::byte const> bytes, std::size_t at);
    void give_up();

    boost::unordered_flat_map<key, datagram, key_hash> datagrams_;
    std::deque<std::pair<timestamp, key>> begun_;
    std::vector<std::byte> typed_; // where no EtherType is before the IP header
    std::vector<std::byte> whole_; // as it would be without fragmentation and extension headers
    std::vector<owned_packet> followers_;
    std::vector<owned_packet> overdue_;
    std::uint32_t place_ = 0;
};

} // namespace netring_asio::detail
