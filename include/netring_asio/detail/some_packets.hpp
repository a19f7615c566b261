#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <vector>

namespace netring_asio::detail {

/// Leaves in a batch what was kept of it. Allocates where that is not all.
NETRING_ASIO_API void keep_only(std::vector<packet_view> const& kept, packet_batch& batch);

} // namespace netring_asio::detail
