#pragma once

#include <netring_asio/flow/event.hpp>

namespace bench {

namespace nr = netring_asio;
namespace flow = netring_asio::flow;

/// How a measurement went: what is wrong is so on any machine, and what falls short on this one.
struct outcome {
    bool right = true;
    bool met = true;
};

/// What an operation costs by token, and how many events go through batches and channels.
outcome measure_operations();
/// One shard, two, and two processes that know nothing of each other, tracking the same packets.
outcome measure_shards();

} // namespace bench
