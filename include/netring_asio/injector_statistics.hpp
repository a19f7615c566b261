#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <cstddef>
#include <cstdint>

namespace netring_asio {

/// What an injector did since it was opened. Totals never go back and are the same for every reader.
///
/// *Taken* is not *arrived*: a queueing discipline, the device or the wire may lose what the kernel took. When the
/// interface goes down, frames in flight and those taken meanwhile are discarded: no more than the ring holds thrice.
/// Without a carrier the kernel discards all; the ring then stops after a lap until there is one again.
struct injector_statistics {
    std::uint64_t committed = 0;   ///< frames put into the ring
    std::uint64_t taken = 0;       ///< frames that the kernel took over
    std::uint64_t rejected = 0;    ///< frames that the kernel refused and that were left out
    std::uint64_t kicks = 0;       ///< system calls that have the kernel look into the ring
    std::uint64_t would_block = 0; ///< kicks after which frames remained, for want of send buffer or queue
};

/// What became of the frames that left the ring since the last drain, or since it was opened.
struct tx_result {
    std::uint64_t taken = 0;    ///< the kernel took them over and is done with them; that they arrived is not known
    std::uint64_t rejected = 0; ///< the kernel refused them
};

/// When a frame was sent.
struct tx_timestamp {
    std::uint64_t frame = 0; ///< how many frames the kernel had taken before it
    timestamp time{};
    clock_source clock = clock_source::unknown; ///< software: when the driver got it; hardware: when the device sent it
};

} // namespace netring_asio
