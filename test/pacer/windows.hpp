#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

/// By how many packets windows hold more, or fewer, than they may. Not positive where all are well.
struct deviation {
    double over, under;

    double worst() const noexcept { return std::max(over, under); }
};

/// How the worst of all windows of at least a second differ from the rate beyond what they may: the largest of 2 %, one
/// packet and a millisecond's worth.
inline deviation worst_windows(std::vector<std::chrono::nanoseconds> const& times, double rate) {
    auto const second = [](std::chrono::nanoseconds time) { return std::chrono::duration<double>{time}.count(); };
    auto const at = [&](std::size_t i) { return second(times[i] - times.front()); };
    deviation worst{-rate, -rate};
    // A window that begins with packet i and ends with j has the most for its length, the one between them the fewest.
    auto const look = [&](std::size_t i, std::size_t j, double allowed) {
        auto const between = static_cast<double>(j - i);
        auto const due = rate * (at(j) - at(i));
        worst.over = std::max(worst.over, between + 1 - due - allowed);
        worst.under = std::max(worst.under, due - (between - 1) - allowed);
    };
    // While that is less than 2 % of five seconds, one packet is the largest.
    bool const slow = rate < 50;
    double const fixed = std::max(1.0, rate / 1000);
    double fewest = 0, most = 0; // of i -/+ rate * at(i), allowing 2 %, among those a second back
    for (std::size_t i = 0, j = 0; j != times.size(); ++j) {
        auto const index = static_cast<double>(j);
        for (; at(j) - at(i) >= 1; ++i) {
            auto const before = static_cast<double>(i);
            auto const low = before - 1.02 * rate * at(i), high = before - 0.98 * rate * at(i);
            fewest = i == 0 ? low : std::min(fewest, low);
            most = i == 0 ? high : std::max(most, high);
        }
        if (i == 0)
            continue;
        if (slow) {
            for (std::size_t k = 0; k != i; ++k)
                look(k, j, std::max(fixed, 0.02 * rate * (at(j) - at(k))));
            continue;
        }
        // Those less than a second apart lie together in a window of a second.
        worst.over = std::max(
            {worst.over, index + 1 - 1.02 * rate * at(j) - fewest, static_cast<double>(j - i) + 1 - 1.02 * rate});
        worst.under = std::max(worst.under, most - (index - 1) + 0.98 * rate * at(j));
    }
    return worst;
}
