#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace netring_asio::flow {

/// Time as the packets tell it: never goes back, and does not believe a single wild stamp.
///
/// @par Thread safety
/// A plain value.
class packet_clock {
public:
    using duration = std::chrono::nanoseconds;

    packet_clock(duration max_jump, duration max_live_jump) noexcept
        : max_jump_{max_jump}
        , max_live_jump_{max_live_jump} {}

    /// The time reached; nothing before the first packet.
    std::optional<timestamp> now() const noexcept { return now_; }

    /// A packet was stamped so; returns the time at which it is processed.
    timestamp observe(timestamp stamp, clock_source clock) noexcept {
        if (!now_)
            return set(stamp);
        if (stamp <= *now_)
            return *now_;
        auto const bound = clock == clock_source::unknown ? max_jump_ : max_live_jump_;
        if (stamp - *now_ <= bound + passed_) [[likely]]
            return set(stamp);
        // A second packet near the first wild one confirms it.
        if (doubted_ && stamp >= *doubted_ - bound && stamp <= *doubted_ + bound) {
            ++jumps_;
            return set(stamp);
        }
        doubted_ = stamp;
        ++doubts_;
        return *now_;
    }

    /// So much time passed by a steady clock since the last packet or the last call: the next stamp may be as much
    /// later.
    void pass(duration elapsed) noexcept { passed_ += elapsed; }

    /// No packet came until then.
    void idle_until(timestamp time) noexcept {
        if (now_ && time > *now_) {
            auto const gone = time - *now_;
            passed_ = passed_ > gone ? passed_ - gone : duration{};
            now_ = time;
        }
    }

    /// Packets whose stamp was not believed at first.
    std::uint64_t doubts() const noexcept { return doubts_; }
    /// Jumps that a second packet confirmed.
    std::uint64_t jumps() const noexcept { return jumps_; }

private:
    timestamp set(timestamp stamp) noexcept {
        now_ = stamp;
        doubted_.reset();
        passed_ = {};
        return stamp;
    }

    duration max_jump_;
    duration max_live_jump_;
    std::optional<timestamp> now_;
    std::optional<timestamp> doubted_;
    duration passed_{};
    std::uint64_t doubts_ = 0;
    std::uint64_t jumps_ = 0;
};

} // namespace netring_asio::flow
