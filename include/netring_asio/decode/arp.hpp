#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/detail/api.hpp>

#include <array>
#include <cstdint>
#include <optional>

namespace netring_asio::decode {

/// An ARP packet for IPv4 over Ethernet (RFC 826).
struct arp {
    std::uint16_t operation = 0; ///< 1 asks, 2 answers
    std::array<std::uint8_t, 6> sender_hardware{};
    ip_address sender;
    std::array<std::uint8_t, 6> target_hardware{};
    ip_address target;
};

/// The ARP packet behind these headers; nothing if there is none, or not of IPv4 over Ethernet, or cut.
NETRING_ASIO_API std::optional<arp> arp_of(headers const& packet) noexcept;

} // namespace netring_asio::decode
