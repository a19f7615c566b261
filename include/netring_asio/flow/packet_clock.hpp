#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace netring_asio::flow {

/// Time as the packets tell it: never goes back, and does not believe a single wild stamp.
///
/// Stamps far behind the time reached come from a clock that was set back, or from another one: time then goes on by
/// what passes between them. A clock that was set forward while a steady one says that no time passed takes all
/// deadlines along. A file has no steady clock: there a jump that is confirmed means that so much time passed.
///
/// @par Thread safety
/// A plain value.
class packet_clock {
public:
    using duration = std::chrono::nanoseconds;

    packet_clock(duration max_jump, duration max_live_jump) noexcept
        : max_jump_{max_jump}
        , max_live_jump_{max_live_jump}
        , even_jump_{std::min(max_jump, max_live_jump)} {}

    /// The time by which deadlines count; it goes on evenly where the clock was set. Nothing before the first packet.
    std::optional<timestamp> now() const noexcept { return now_; }
    /// The same time as the clock of the packets shows it.
    timestamp shown(timestamp time) const noexcept { return time + set_by_; }
    timestamp deadline_of(timestamp shown) const noexcept { return shown - set_by_; }

    /// A stamp about which there is no question: notes it, as `observe` would, and returns true. Most are so.
    bool goes_on(timestamp stamp) noexcept {
        stamp -= set_by_;
        if (!is_even_ || stamp < *now_ || stamp - *now_ > even_jump_) [[unlikely]]
            return false;
        now_ = stamp;
        return true;
    }

    /// A packet was stamped so; returns the time at which it is processed.
    timestamp observe(timestamp stamp, clock_source clock) noexcept {
        if (!now_) { // deadlines count from here, whatever the stamp
            set_by_ = stamp.time_since_epoch();
            return set(timestamp{});
        }
        stamp -= set_by_;
        auto const live = clock != clock_source::unknown;
        auto const bound = live ? max_live_jump_ : max_jump_;
        if (stamp >= *now_ - max_live_jump_ && stamp - *now_ <= bound + passed_) [[likely]] {
            is_confirmed_ = true;
            return stamp > *now_ ? set(stamp) : *now_;
        }
        if (!is_confirmed_) { // nothing says yet which of the two is right
            set_by_ += stamp - *now_;
            ++doubts_;
            return *now_;
        }
        is_even_ = false;
        if (stamp < *now_)
            return behind(stamp, bound);
        // A second packet near the first wild one confirms it.
        if (doubted_ && stamp >= *doubted_ - bound && stamp <= *doubted_ + bound) {
            ++jumps_;
            if (live) {
                set_by_ += stamp - *now_ - passed_;
                return set(*now_ + passed_);
            }
            return set(stamp);
        }
        doubted_ = stamp;
        ++doubts_;
        return *now_;
    }

    /// So much time passed by a steady clock since the last packet or the last call: the next stamp may be as much
    /// later.
    void pass(duration elapsed) noexcept {
        passed_ += elapsed;
        is_even_ = false;
    }

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
        behind_.reset();
        passed_ = {};
        is_even_ = is_confirmed_;
        return stamp;
    }

    timestamp behind(timestamp stamp, duration bound) noexcept {
        auto step = behind_ ? stamp - *behind_ : passed_;
        if (step < duration{} || step > bound + passed_)
            step = passed_;
        behind_ = stamp;
        passed_ = {};
        return *(now_ = *now_ + step);
    }

    duration max_jump_;
    duration max_live_jump_;
    duration even_jump_;
    std::optional<timestamp> now_;
    std::optional<timestamp> doubted_;
    std::optional<timestamp> behind_; // the last stamp that was far behind
    duration set_by_{};               // how far the packets' clock is ahead of now_
    duration passed_{};
    bool is_confirmed_ = false; // two packets have agreed
    bool is_even_ = false;      // since then nothing was doubted, set or passed that the next packet has not settled
    std::uint64_t doubts_ = 0;
    std::uint64_t jumps_ = 0;
};

} // namespace netring_asio::flow
