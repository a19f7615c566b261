#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/key.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace netring_asio::flow {

/// The Community ID (version 1) of a flow, by which records of other tools, as Zeek and Suricata, can be joined with
/// it: `1:` and a SHA-1 in Base64, the same for both directions.
///
/// Of ICMP it needs type and code, which a key does not have: take it from one of the packets.
///
/// @param seed as the other tools are configured; 0 unless somebody changed it
NETRING_ASIO_API std::string community_id(five_tuple_key const& key, std::uint16_t seed = 0);

/// The same for the flow of a packet; nothing where there is no IP header.
NETRING_ASIO_API std::optional<std::string> community_id(decode::headers const& packet, std::uint16_t seed = 0);

} // namespace netring_asio::flow
