#pragma once

#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace netring_asio::detail {

/// Resizes without giving up memory: surplus packets move to a store, from where they come back.
inline void resize_packets(std::vector<owned_packet>& packets, std::size_t size, std::vector<owned_packet>& spare) {
    for (; packets.size() > size; packets.pop_back())
        spare.push_back(std::move(packets.back()));
    for (; packets.size() < size && !spare.empty(); spare.pop_back())
        packets.push_back(std::move(spare.back()));
    packets.resize(size);
}

/// Copies a batch into the memory of packets that are there already.
inline void copy_packets(packet_batch const& batch, std::vector<owned_packet>& packets,
                         std::vector<owned_packet>& spare) {
    resize_packets(packets, batch.size(), spare);
    auto to = packets.begin();
    for (auto const packet : batch)
        (to++)->assign(packet);
}

} // namespace netring_asio::detail
