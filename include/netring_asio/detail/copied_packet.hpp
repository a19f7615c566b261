#pragma once

#include <netring_asio/packet/frame.hpp>
#include <netring_asio/packet/owned_packet.hpp>

namespace netring_asio::detail {

/// A frame over a copy of the packet, for when the source's own memory is not to be pinned.
inline frame copy_to_frame(packet_view const& packet) {
    struct copy final : packet_owner {
        explicit copy(packet_view const& original)
            : packet{original} {}
        void recycle() noexcept override { delete this; }
        owned_packet packet;
    };
    auto* const owner = new copy{packet};
    return {owner->packet.view(), packet_owner_ptr{owner}, true};
}

} // namespace netring_asio::detail
