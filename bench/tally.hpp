#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

/// What every candidate does with a packet: the same reads, and a sum that proves that all saw the same bytes.
struct tally {
    /// The byte that is summed: the lowest of the frame's number, behind the Ethernet header.
    static constexpr std::size_t summed_byte = 14;

    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t sum = 0;

    void add(std::byte const* data, std::size_t length) noexcept {
        ++packets;
        bytes += length;
        sum += std::to_integer<std::uint64_t>(data[summed_byte]);
    }

    /// What `count` numbered frames of this length come to, the first of which has number 0.
    static constexpr tally of_frames(std::uint64_t count, std::uint64_t length) noexcept {
        auto const rest = count % 256;
        return {count, count * length, count / 256 * (255 * 256 / 2) + rest * (rest - 1) / 2};
    }

    friend constexpr tally operator+(tally const& a, tally const& b) noexcept {
        return {a.packets + b.packets, a.bytes + b.bytes, a.sum + b.sum};
    }
    friend bool operator==(tally const&, tally const&) = default;
};

} // namespace bench
