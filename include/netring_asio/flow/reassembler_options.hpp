#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace netring_asio::flow {

/// Which bytes count where two segments claim the same place in a stream with different content. What was handed over
/// already stays.
enum class overlap_policy : std::uint8_t {
    first,    ///< those that came first
    last,     ///< those that came last
    as_linux, ///< those of the segment that begins first; of two that begin together, of the longer one
};

/// What happens where more waits for missing bytes than a budget allows.
enum class budget_policy : std::uint8_t {
    skip, ///< the missing bytes are given up and told as a gap, and what waited is handed over
    drop, ///< a segment that does not fit is not kept; it is missing unless it comes again
    stop, ///< the direction is given up: what waits and all that follows is told as one gap when it ends
};

/// How a `reassembler` works.
class reassembler_options {
public:
    using duration = std::chrono::nanoseconds;

    reassembler_options() = default;

    /// Default `first`.
    reassembler_options& overlap(overlap_policy value) noexcept { return overlap_ = value, *this; }
    /// Bytes kept for later, of one direction; each segment kept counts 128 more. Default 1 MiB.
    reassembler_options& max_buffered(std::size_t value) noexcept { return max_buffered_ = value, *this; }
    /// What to do above that, or where a `reassembly_memory` is used up. Default `skip`.
    reassembler_options& over_budget(budget_policy value) noexcept { return over_budget_ = value, *this; }
    /// How far behind what was delivered a segment may begin and still be believed. Default 1 GiB, TCP's largest
    /// window.
    reassembler_options& max_ahead(std::uint32_t value) noexcept { return max_ahead_ = value, *this; }
    /// How long bytes that the receiver has acknowledged may still turn up. Default 1 s.
    reassembler_options& acknowledged_grace(duration value) noexcept { return grace_ = value, *this; }
    /// How many segments of the direction must come meanwhile, so that a pause alone gives nothing up. Default 8.
    reassembler_options& reordering(unsigned value) noexcept { return reordering_ = value, *this; }
    /// How long bytes are waited for that nobody acknowledged, as where the other side is not seen. Default 120 s.
    reassembler_options& max_wait(duration value) noexcept { return max_wait_ = value, *this; }

    overlap_policy overlap() const noexcept { return overlap_; }
    std::size_t max_buffered() const noexcept { return max_buffered_; }
    budget_policy over_budget() const noexcept { return over_budget_; }
    std::uint32_t max_ahead() const noexcept { return max_ahead_; }
    duration acknowledged_grace() const noexcept { return grace_; }
    unsigned reordering() const noexcept { return reordering_; }
    duration max_wait() const noexcept { return max_wait_; }

private:
    std::size_t max_buffered_ = std::size_t{1} << 20;
    duration grace_ = std::chrono::seconds{1};
    duration max_wait_ = std::chrono::seconds{120};
    std::uint32_t max_ahead_ = std::uint32_t{1} << 30;
    unsigned reordering_ = 8;
    overlap_policy overlap_ = overlap_policy::first;
    budget_policy over_budget_ = budget_policy::skip;
};

} // namespace netring_asio::flow
