#pragma once

#include <netring_asio/channel.hpp>
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <type_traits>
#include <vector>

namespace netring_asio::detail {

/// Batches where a channel takes them, or else packets of their own.
template <class Channel>
using channel_message = std::conditional_t<takes<Channel, packet_batch>, packet_batch, std::vector<owned_packet>>;

/// Makes what a channel takes from a batch.
template <class Channel>
channel_message<Channel> make_channel_message(packet_batch batch) {
    if constexpr (takes<Channel, packet_batch>)
        return batch;
    else {
        std::vector<owned_packet> packets;
        packets.reserve(batch.size());
        for (auto const packet : batch)
            packets.emplace_back(packet);
        return packets;
    }
}

} // namespace netring_asio::detail
