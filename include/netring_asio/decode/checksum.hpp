#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/detail/api.hpp>

#include <cstdint>

namespace netring_asio::decode {

/// What the checksums of a packet say of it.
enum class checksum_verdict : std::uint8_t {
    unknown,         ///< there is none, or what it covers is not all there
    right,           ///< those that could be verified
    wrong_network,   ///< the IPv4 header's, so that its addresses say nothing
    wrong_transport, ///< that of TCP, UDP, ICMP or ICMPv6
};

/// Verifies the checksums of the innermost IP header and of what it carries (RFC 1071; RFC 8200, 8.1).
///
/// `unknown` where the capture says that a device verified or has yet to compute them, see `checksum_state`, where
/// bytes are missing, and where an IPv6 option or route hides an address. Of a fragment the header alone is verified,
/// and nothing where the IPv4 header leaves the length to who cuts the packet into segments.
NETRING_ASIO_API checksum_verdict verify_checksums(headers const& packet,
                                                   checksum_state state = checksum_state::unknown) noexcept;

/// Verifies the transport's checksum of a datagram put together from fragments, see `defragmenter`, of which `fragment`
/// is one: its extension headers, which are not in the datagram, can hide an address.
NETRING_ASIO_API checksum_verdict verify_datagram(headers const& datagram, headers const& fragment) noexcept;

} // namespace netring_asio::decode
