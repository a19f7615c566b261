#pragma once

#include <netring_asio/flow/event.hpp>

namespace bench {

namespace nr = netring_asio;
namespace flow = netring_asio::flow;

/// What an operation costs by token, and how many events go through batches and channels.
void measure_operations();
/// One shard, two, and two processes that know nothing of each other, tracking the same packets. Whether all agree.
bool measure_shards();

} // namespace bench
