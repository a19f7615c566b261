#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace netring_asio {

/// As the limit of `spin`: a receiver never sleeps.
inline constexpr auto spin_always = std::chrono::nanoseconds::max();

namespace detail {

/// Whether a receiver that found nothing looks again at once, or sleeps.
///
/// It looks for as long as its limit says, and while that pays: each time that nothing came meanwhile it then sleeps
/// at once twice as often, up to 63 times, until something comes within the limit again.
class spinner {
    using clock = std::chrono::steady_clock;

public:
    /// Looks in a row before other handlers have their turn: about four microseconds.
    static constexpr int looks = 512;

    spinner() = default;
    explicit spinner(std::chrono::nanoseconds limit) noexcept
        : limit_{limit} {}

    /// Nothing is there: whether to look again.
    bool goes_on() noexcept {
        if (limit_.count() <= 0)
            return false;
        auto const now = clock::now();
        if (!began_) {
            began_ = now;
            spins_ = to_skip_ == 0;
            to_skip_ -= spins_ ? 0 : 1;
        } else if (spins_ && now - *began_ >= limit_) {
            spins_ = false;
            to_skip_ = in_vain_ = std::min(2 * in_vain_ + 1, 63);
        }
        return spins_;
    }
    /// Something came, or nobody waits any more.
    void ended() noexcept {
        if (!began_)
            return;
        if (clock::now() - *began_ < limit_)
            in_vain_ = to_skip_ = 0;
        began_.reset();
        spins_ = false;
    }

    bool spins() const noexcept { return spins_; }
    /// Now and then, while it spins: to look after what is no packet, a link that went down.
    bool looks_up() noexcept { return ++rounds_ % 256 == 0; }

private:
    std::chrono::nanoseconds limit_{0};
    std::optional<clock::time_point> began_; // of the wait
    int to_skip_ = 0;
    int in_vain_ = 0;
    unsigned rounds_ = 0;
    bool spins_ = false;
};

} // namespace detail
} // namespace netring_asio
