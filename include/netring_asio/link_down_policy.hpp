#pragma once

#include <cstdint>

namespace netring_asio {

/// What a pending operation does when the interface goes down or is removed.
enum class link_down_policy : std::uint8_t {
    fail,           ///< completes with `error::interface_down`, or with `error::interface_removed`
    wait_until_up,  ///< goes on waiting while it is down; completes with `error::interface_removed`
    reopen_by_name, ///< goes on waiting in both cases, and goes on with the next interface of that name
};

} // namespace netring_asio
