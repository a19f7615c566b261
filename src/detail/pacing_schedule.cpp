#include <netring_asio/detail/pacing_schedule.hpp>

#include <algorithm>

namespace netring_asio::detail {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t most = std::uint64_t{1} << 31; // packets or bytes
constexpr std::uint64_t default_bursts = 500;          // a second: each is 2 ms of the rate

bool between(std::uint64_t low, std::uint64_t value, std::uint64_t high) noexcept {
    return low <= value && value <= high;
}

bool valid(pacer_options const& options) noexcept {
    return between(1, options.packets_per_second().value_or(1), 1'000'000'000) && options.packet_burst() <= most &&
           between(1'000, options.bits_per_second().value_or(1'000), 1'000'000'000'000) &&
           options.byte_burst() <= most && options.packet_overhead() <= 1'000;
}

/// Half of what the bucket holds, so that what comes in until a timer wakes still has room.
token_bucket::nanoseconds worth_waking_for(token_bucket const& bucket) noexcept {
    return std::min<token_bucket::nanoseconds>(bucket.depth() / 2, 1ms);
}

} // namespace

pacing_schedule::pacing_schedule(pacer_options const& options, nanoseconds now, bool burst, error_code& ec) noexcept
    : overhead_{options.packet_overhead()} {
    ec = valid(options) ? error_code{} : make_error_code(error::invalid_option);
    if (ec)
        return;
    auto const fill = [&](std::optional<token_bucket>& bucket, std::uint64_t rate, std::uint64_t tokens) {
        bucket.emplace(rate, tokens, now);
        if (!burst)
            bucket.emplace(rate, tokens, now + bucket->depth());
    };
    if (auto const rate = options.packets_per_second())
        fill(packets_, *rate,
             options.packet_burst() != 0 ? options.packet_burst() : std::max<std::uint64_t>(1, *rate / default_bursts));
    if (auto const rate = options.bits_per_second())
        fill(bits_, *rate, options.byte_burst() != 0 ? 8 * options.byte_burst() : *rate / default_bursts);
}

bool pacing_schedule::take(std::uint64_t packets, std::uint64_t bytes, nanoseconds now, bool waited) noexcept {
    for (auto* const bucket : {&packets_, &bits_})
        if (*bucket)
            (*bucket)->advance(now, waited);
    if ((packets_ && packets_->due(packets) > now) || (bits_ && bits_->due(bits(packets, bytes)) > now))
        return false;
    if (packets_)
        packets_->take(packets);
    if (bits_)
        bits_->take(bits(packets, bytes));
    return true;
}

pacing_schedule::nanoseconds pacing_schedule::wake(std::uint64_t packets, std::uint64_t bytes) const noexcept {
    auto result = nanoseconds::min();
    if (packets_)
        result = packets_->due(packets, worth_waking_for(*packets_));
    if (bits_)
        result = std::max(result, bits_->due(bits(packets, bytes), worth_waking_for(*bits_)));
    return result;
}

std::uint64_t pacing_schedule::bits(std::uint64_t packets, std::uint64_t bytes) const noexcept {
    return 8 * (std::min(bytes, most) + std::min(packets, most) * overhead_);
}

} // namespace netring_asio::detail
