#pragma once

#include <netring_asio/detail/api.hpp>

#include <cstddef>
#include <cstdint>

namespace netring_asio {

/// What an AF_XDP socket, or all of an interface, did since it was opened. Totals never go back.
///
/// A frame that the program redirected is in `received` or in one of the counters of drops; one that it did not is in
/// `passed`.
struct NETRING_ASIO_API xdp_statistics {
    std::uint64_t received = 0; ///< packets delivered in batches
    std::uint64_t received_bytes = 0;
    std::uint64_t dropped_ring_full = 0; ///< the receive ring was full: received too seldom
    std::uint64_t dropped_no_frame = 0;  ///< no chunk was there to receive into, or the frame was too long for one
    std::uint64_t fill_ring_empty =
        0; ///< times no chunk was there: batches and frames hold them, or received too seldom
    std::uint64_t dropped_invalid = 0; ///< the kernel refused an address in the fill ring
    std::uint64_t passed = 0;          ///< packets that the program passed to the stack, for this interface
    std::uint64_t passed_no_queue = 0; ///< those of them that it would have redirected, but to a queue that is not open
    std::uint64_t passed_bypassed = 0; ///< those of them whose connection is in `xdp_socket::bypass`
    std::uint64_t copied = 0;          ///< frames that `hold` copied, because the pin budget was used up or the packet
                                       ///< longer than a chunk
    std::uint64_t discarded = 0;       ///< packets lost in a batch that a channel destroyed when a pipe was cancelled
    std::uint64_t bad_addresses = 0;   ///< addresses from the kernel that were not out there, and were not used
    /// Packets whose checksum was left to the device: of all with `finish_checksums`, and finished; else of the first
    /// in each batch.
    std::uint64_t unfinished_checksums = 0;
    std::uint64_t committed = 0;   ///< frames put into the transmit ring
    std::uint64_t in_place = 0;    ///< those of them that were sent from where they were received, without a copy
    std::uint64_t taken = 0;       ///< frames that the kernel is done with
    std::uint64_t rejected = 0;    ///< those of them that it reports as lost (EBUSY)
    std::uint64_t tx_invalid = 0;  ///< descriptors that the kernel refused
    std::uint64_t kicks = 0;       ///< system calls that have the kernel look into the transmit ring
    std::uint64_t would_block = 0; ///< kicks after which frames remained
    std::uint64_t wakeups = 0;     ///< times a receiver that waited was woken
    std::size_t held_frames = 0;   ///< chunks that batches and frames hold now
    std::size_t pinned_frames = 0; ///< chunks that frames hold now

    xdp_statistics& operator+=(xdp_statistics const& other) noexcept;
};

} // namespace netring_asio
