#pragma once

#include <cstdint>

namespace netring_asio {

/// What became of the frames of one direction since the bridge was opened; a frame that is to be cut into segments
/// counts as one. Received are those forwarded and those of all reasons to drop except `lost`, and what is on its way.
struct bridge_direction_statistics {
    std::uint64_t received = 0;  ///< taken from the receiving ring
    std::uint64_t forwarded = 0; ///< put into the sending ring
    std::uint64_t segmented = 0; ///< of the forwarded: cut into segments by the bridge
    std::uint64_t filtered = 0;  ///< dropped by the filter

    std::uint64_t too_long = 0;            ///< beyond the MTU of the other side
    std::uint64_t unsupported_offload = 0; ///< to be cut into segments in a way that is not known
    std::uint64_t link_down = 0;           ///< the other side was down
    std::uint64_t lost = 0;                ///< found the receiving ring full, or could not be described by the kernel
    std::uint64_t abandoned = 0;           ///< received, and not sent when the time to stop was over
    std::uint64_t rejected = 0; ///< of the forwarded: refused by the kernel, as the MTU was lowered meanwhile
};

struct bridge_statistics {
    bridge_direction_statistics left_to_right;
    bridge_direction_statistics right_to_left;
};

} // namespace netring_asio
