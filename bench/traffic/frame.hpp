#pragma once

#include "generator.hpp"

#include <algorithm>
#include <vector>

namespace bench {

inline constexpr std::size_t number_offset = 14;

/// The bytes of a frame, with number 0.
inline std::vector<std::uint8_t> make_frame(traffic const& what) {
    std::vector<std::uint8_t> frame(std::max(what.length, number_offset + sizeof(std::uint64_t)));
    auto at = std::copy(what.destination.begin(), what.destination.end(), frame.begin());
    at = std::copy(what.source.begin(), what.source.end(), at);
    *at++ = 0x88;
    *at = 0xb5;
    return frame;
}

} // namespace bench
