#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/detail/api.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace netring_asio::decode {

/// The options of a TCP header, as far as they were captured.
struct tcp_options {
    struct timestamps_option {
        std::uint32_t value = 0;
        std::uint32_t echo = 0;
    };
    struct sack_block {
        std::uint32_t begin = 0;
        std::uint32_t end = 0;
    };

    std::optional<std::uint16_t> maximum_segment_size; ///< RFC 9293
    std::optional<std::uint8_t> window_scale;          ///< RFC 7323; more than 14 counts as 14
    std::optional<timestamps_option> timestamps;       ///< RFC 7323
    bool sack_permitted = false;                       ///< RFC 2018
    bool fast_open = false;                            ///< RFC 7413: a cookie, or the wish for one
    bool malformed = false;                            ///< a length that lies; what came before it is here
    std::uint8_t sack_count = 0;
    std::array<sack_block, 4> sack{};
};

/// Reads the options that `headers::tcp_options` gives.
NETRING_ASIO_API tcp_options parse_tcp_options(std::span<std::byte const> bytes) noexcept;

inline tcp_options parse_tcp_options(headers const& packet) noexcept { return parse_tcp_options(packet.tcp_options()); }

} // namespace netring_asio::decode
