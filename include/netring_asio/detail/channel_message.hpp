#pragma once

#include <netring_asio/error.hpp>
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <type_traits>
#include <utility>
#include <vector>

namespace netring_asio::detail {

/// Whether a channel takes batches, or else packets of their own.
template <class Channel>
inline constexpr bool takes_batches = requires(Channel& channel, packet_batch batch) {
    channel.async_send(error_code{}, std::move(batch), [](error_code) {});
};

template <class Channel>
using channel_message = std::conditional_t<takes_batches<Channel>, packet_batch, std::vector<owned_packet>>;

/// Makes what a channel takes from a batch.
template <class Channel>
channel_message<Channel> make_channel_message(packet_batch batch) {
    if constexpr (takes_batches<Channel>)
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
