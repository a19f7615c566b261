#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>

#include <functional>
#include <string>

namespace netring_asio::detail {

/// Calls `function` with the network namespace of that name or path entered, on a thread of its own so that the
/// caller's namespace never changes; where the name is empty, on the calling thread. What it throws is thrown here.
NETRING_ASIO_API void run_in_network_namespace(std::string const& name_or_path, error_code& ec,
                                               std::function<void()> const& function);

} // namespace netring_asio::detail
