#pragma once

#include <cstddef>
#include <cstdint>

namespace netring_asio {

/// What a capture did since it was opened. Totals never go back and are the same for every reader.
struct capture_statistics {
    std::uint64_t received = 0;    ///< packets the kernel stored in the ring
    std::uint64_t dropped = 0;     ///< packets that passed the filter and found the ring full
    std::uint64_t freezes = 0;     ///< times the ring was full
    std::uint64_t filtered = 0;    ///< received packets that the filter rejected in user space
    std::uint64_t copied = 0;      ///< frames that `hold` copied because the pin budget was used up
    std::uint64_t discarded = 0;   ///< packets lost in a batch that a channel destroyed when a pipe was cancelled
    std::size_t held_blocks = 0;   ///< blocks that batches and frames hold now
    std::size_t pinned_blocks = 0; ///< blocks that frames hold now

    /// The totals of several captures.
    capture_statistics& operator+=(capture_statistics const& other) noexcept {
        received += other.received;
        dropped += other.dropped;
        freezes += other.freezes;
        filtered += other.filtered;
        copied += other.copied;
        discarded += other.discarded;
        held_blocks += other.held_blocks;
        pinned_blocks += other.pinned_blocks;
        return *this;
    }
};

} // namespace netring_asio
