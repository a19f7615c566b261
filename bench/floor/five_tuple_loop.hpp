#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <cstdint>
#include <span>

namespace bench {

/// Makes of each Ethernet frame with IPv4 or IPv6 and TCP or UDP a five-tuple, its lesser end first, and hashes it: the
/// least that anybody does who follows flows. Returns the sum of the hashes.
std::uint64_t five_tuple_loop(std::span<netring_asio::packet_view const> packets) noexcept;

} // namespace bench
