#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace netring_asio::detail {

inline constexpr std::size_t vlan_tag_size = 4;

/// Where a tag belongs in the frames of a link type: its TPID takes the place of the protocol field, and its TCI
/// followed by the protocol go before the payload.
struct tag_place {
    std::size_t protocol = 0;
    std::size_t payload = 0; ///< 0 if frames of this link type have no tags

    static constexpr tag_place of(link_type link) noexcept {
        switch (link) {
        case link_type::ethernet:
            return {12, 14};
        case link_type::linux_sll:
            return {14, 16};
        case link_type::linux_sll2:
            return {0, 20};
        default:
            return {};
        }
    }

    /// Bytes of the frame without the tag that lie in the first `length` bytes of the frame with it.
    constexpr std::size_t without_tag(std::size_t length) const noexcept {
        auto const tag = payload == protocol + 2 ? protocol : payload;
        return length <= tag ? length : std::max(tag, length - vlan_tag_size);
    }
};

/// Whether the packet has a tag beside its bytes, and enough bytes for it to be put back.
inline bool can_insert_tag(packet_view const& packet) noexcept {
    auto const place = tag_place::of(packet.link);
    return packet.vlan && place.payload != 0 && packet.data.size() >= place.payload;
}

/// Bytes of the packet with its tag put back, as it was on the wire.
inline std::size_t wire_size(packet_view const& packet) noexcept {
    return packet.data.size() + (can_insert_tag(packet) ? vlan_tag_size : 0);
}

/// Writes the frame with its tag in place: `packet.data.size() + vlan_tag_size` bytes. Needs `can_insert_tag(packet)`.
inline void insert_tag(packet_view const& packet, std::byte* to) noexcept {
    auto const place = tag_place::of(packet.link);
    auto const* const from = packet.data.data();
    auto const put = [](std::byte* at, std::uint16_t value) {
        at[0] = static_cast<std::byte>(value >> 8);
        at[1] = static_cast<std::byte>(value & 0xff);
    };
    std::memcpy(to, from, place.payload);
    put(to + place.protocol, packet.vlan.tpid);
    put(to + place.payload, packet.vlan.tci);
    std::memcpy(to + place.payload + 2, from + place.protocol, 2);
    std::memcpy(to + place.payload + vlan_tag_size, from + place.payload, packet.data.size() - place.payload);
}

/// The EtherTypes of the tags that the kernel takes out: IEEE 802.1Q and 802.1ad.
constexpr bool is_tag_protocol(std::uint16_t ether_type) noexcept {
    return ether_type == 0x8100 || ether_type == 0x88a8;
}

} // namespace netring_asio::detail
