#pragma once

#include <netring_asio/detail/api.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace netring_asio {

/// What becomes of the other shards when one fails.
enum class shard_failure_policy : std::uint8_t {
    stop_all, ///< they drain and end as after `stop()`
    go_on,    ///< they go on; the members of a fanout group take over the share of the failed one
};

/// Of which NUMA node the memory is that the threads of shards take, the kernel's for their rings included.
enum class numa_policy : std::uint8_t {
    inherited, ///< as the process was started; by default of the node that a thread runs on, while there is any
    local,     ///< of the node that a thread runs on while there is any, whatever the process was started with
    strict,    ///< of the shard's node only, and else there is none; wants `processors`
};

/// How shards are run. Every setting has a default that works.
class NETRING_ASIO_API shards_options {
public:
    shards_options() {}

    /// Shards, and threads, at least one; by default one for each processor that this process may use.
    shards_options& count(std::size_t value) noexcept {
        count_ = value;
        return *this;
    }
    /// Binds the thread of each shard to a processor of this list, going round it. The source is opened there, so that
    /// its memory is of the processor's node.
    shards_options& processors(std::vector<int> value) {
        processors_ = std::move(value);
        return *this;
    }
    /// Where the kernel knows no nodes, all memory is local, and nothing is done.
    shards_options& numa(numa_policy value) noexcept {
        numa_ = value;
        return *this;
    }
    shards_options& on_failure(shard_failure_policy value) noexcept {
        on_failure_ = value;
        return *this;
    }
    /// After `stop()`: how long packets that came before may be worked on.
    shards_options& drain_limit(std::chrono::nanoseconds value) noexcept {
        drain_limit_ = value;
        return *this;
    }

    std::size_t count() const noexcept;
    std::vector<int> const& processors() const noexcept { return processors_; }
    numa_policy numa() const noexcept { return numa_; }
    shard_failure_policy on_failure() const noexcept { return on_failure_; }
    std::chrono::nanoseconds drain_limit() const noexcept { return drain_limit_; }

private:
    std::optional<std::size_t> count_;
    std::vector<int> processors_;
    std::chrono::nanoseconds drain_limit_ = std::chrono::seconds{5};
    numa_policy numa_ = numa_policy::inherited;
    shard_failure_policy on_failure_ = shard_failure_policy::stop_all;
};

} // namespace netring_asio
