#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace netring_asio::detail {

/// A token bucket that knows only when it will be full: the generic cell rate algorithm (ITU-T I.371, virtual
/// scheduling), in whole nanoseconds of any clock and without rounding errors that add up.
class token_bucket {
public:
    using nanoseconds = std::chrono::nanoseconds;

    /// How much later than asked a waiter may wake without losing what came meanwhile.
    static constexpr nanoseconds patience = std::chrono::milliseconds{10};
    /// So many tokens can be taken at once without an overflow.
    static constexpr std::uint64_t most_tokens = std::uint64_t{1} << 34;

    token_bucket(std::uint64_t rate, std::uint64_t burst, nanoseconds full_at) noexcept
        : rate_{rate}
        , full_at_{full_at}
        , at_{full_at} {
        depth_ = time_of(burst);
    }

    /// How long the bucket takes to fill.
    nanoseconds depth() const noexcept { return depth_; }

    /// Moves on to a time. What the bucket had no room for is lost, unless somebody was waiting for it; what was kept
    /// for that reason fades as time goes by with nobody waiting.
    void advance(nanoseconds now, bool waited) noexcept {
        auto const kept = waited ? patience : std::max(nanoseconds::zero(), at_ - full_at_ - (now - at_));
        if (full_at_ < now - kept) {
            full_at_ = now - kept;
            rest_ = 0;
        }
        at_ = now;
    }

    /// When so many tokens can be taken, and at least so many nanoseconds' worth are there. Those who ask for more than
    /// the bucket holds wait until it is full, and leave it with a debt.
    nanoseconds due(std::uint64_t tokens, nanoseconds worth = nanoseconds::zero()) const noexcept {
        return full_at_ - std::max(nanoseconds::zero(), depth_ - std::max(time_of(tokens), worth));
    }

    void take(std::uint64_t tokens) noexcept {
        auto const total = std::min(tokens, most_tokens) * second + rest_;
        full_at_ += nanoseconds{total / rate_};
        rest_ = total % rate_;
    }

private:
    static constexpr std::uint64_t second = 1'000'000'000;

    nanoseconds time_of(std::uint64_t tokens) const noexcept {
        return nanoseconds{std::min(tokens, most_tokens) * second / rate_};
    }

    std::uint64_t rate_; // tokens a second
    nanoseconds depth_{};
    nanoseconds full_at_;
    nanoseconds at_;         // the time moved on to
    std::uint64_t rest_ = 0; // of full_at_, in parts of a nanosecond: rate_ of them make one
};

} // namespace netring_asio::detail
