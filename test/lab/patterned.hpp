#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <lab/lab.hpp>
#include <lab/numbered.hpp>
#include <span>
#include <string>
#include <thread>

#include <sched.h>

namespace lab {

/// Numbered frames of all sizes whose every byte follows from the number, so that whoever receives one can tell a
/// damaged one.
class pattern {
public:
    /// Frames of `shortest` to `longest` bytes, to this destination.
    explicit pattern(std::array<std::uint8_t, 6> const& destination, std::size_t shortest = 60,
                     std::size_t longest = 1514);

    std::size_t size(std::uint64_t number) const noexcept;
    /// Writes the frame; `to` has at least its size.
    void write(std::uint64_t number, std::span<std::byte> to) const noexcept;
    bool matches(std::uint64_t number, std::span<std::byte const> frame) const noexcept;

private:
    std::span<std::byte const> body(std::uint64_t number) const noexcept;

    std::array<std::byte, 14> header_;
    std::size_t shortest_, longest_;
};

/// Receives frames of a pattern through a plain packet socket and looks at each, on a thread of its own. Meanwhile the
/// thread that made it stays on one processor: what two processors send may overtake each other within the kernel.
class pattern_receiver {
public:
    pattern_receiver(side const& at, pattern const& expected);
    ~pattern_receiver();
    pattern_receiver(pattern_receiver const&) = delete;
    pattern_receiver& operator=(pattern_receiver const&) = delete;

    struct findings {
        std::uint64_t received = 0;
        std::uint64_t damaged = 0;  ///< bytes or length are not those of the number
        std::uint64_t repeated = 0; ///< came before, or came after a later one
        std::uint64_t missing = 0;  ///< numbers left out before the last that came
        std::uint64_t dropped = 0;  ///< by the socket, for want of memory: the test is void
        std::uint64_t last = 0;     ///< the highest number
        friend bool operator==(findings const&, findings const&) = default;
    };

    /// How many came until now, so that a sender need not outrun it.
    std::uint64_t received() const noexcept { return received_.load(std::memory_order_relaxed); }
    /// Waits until `count` came or none for `limit`, and tells.
    findings finish(std::uint64_t count, std::chrono::milliseconds limit = std::chrono::seconds{1});

private:
    void run();

    pattern expected_;
    findings found_;
    std::atomic<std::uint64_t> received_{0};
    std::atomic<bool> stop_{false};
    int socket_;
    std::thread thread_;
    cpu_set_t processors_; // of the thread that made this
};

} // namespace lab
