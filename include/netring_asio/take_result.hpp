#pragma once

#include <cstdint>

namespace netring_asio {

/// What looking into a receive ring found.
enum class take_result : std::uint8_t {
    taken, ///< the batch has packets
    empty, ///< nothing is there; wait for `wait_handle`
    again, ///< the filter rejected many packets in a row; let others work, then take again
};

} // namespace netring_asio
