#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace netring_asio::detail {

inline constexpr std::uint16_t ipv4_ethertype = 0x0800;
inline constexpr std::uint16_t ipv6_ethertype = 0x86dd;
inline constexpr std::size_t shortest_tcp = 20;
inline constexpr std::size_t udp_header_size = 8;

/// Numbers in network byte order. What lies beyond the end reads as 0.
class frame_reader {
public:
    explicit frame_reader(std::span<std::byte const> bytes) noexcept
        : bytes_{bytes} {}
    std::uint8_t byte(std::size_t at) const noexcept {
        return at < bytes_.size() ? std::to_integer<std::uint8_t>(bytes_[at]) : std::uint8_t{0};
    }
    std::uint16_t word(std::size_t at) const noexcept {
        return static_cast<std::uint16_t>(byte(at) << 8 | byte(at + 1));
    }
    /// The sum of the Internet checksum (RFC 1071), not complemented.
    std::uint16_t sum(std::size_t from, std::size_t to, std::uint64_t start = 0) const noexcept {
        // Four bytes at once: the order of bytes matters to the result only (RFC 1071, section 2).
        std::uint64_t words = 0;
        for (std::uint32_t word = 0; from + sizeof word <= std::min(to, bytes_.size()); from += sizeof word) {
            std::memcpy(&word, bytes_.data() + from, sizeof word);
            words += word;
        }
        while (words >> 16 != 0)
            words = (words & 0xffff) + (words >> 16);
        start += std::endian::native == std::endian::little ? (words >> 8 | words << 8) & 0xffff : words;
        for (; from < to; from += 2)
            start += from + 1 < to ? word(from) : static_cast<unsigned>(byte(from) << 8);
        while (start >> 16 != 0)
            start = (start & 0xffff) + (start >> 16);
        return static_cast<std::uint16_t>(start);
    }

private:
    std::span<std::byte const> bytes_;
};

inline void put_word(std::span<std::byte> bytes, std::size_t at, std::size_t value) noexcept {
    bytes[at] = static_cast<std::byte>(value >> 8 & 0xff);
    bytes[at + 1] = static_cast<std::byte>(value & 0xff);
}

} // namespace netring_asio::detail
