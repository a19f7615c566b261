#pragma once

#include <chrono>
#include <thread>

namespace lab {

/// Whether the condition came true: asked every millisecond, for longer than any machine that works takes.
template <class Condition>
bool eventually(Condition condition) {
    for (auto const end = std::chrono::steady_clock::now() + std::chrono::seconds{20}; !condition();) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return true;
}

} // namespace lab
