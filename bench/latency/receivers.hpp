#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <time.h>

namespace bench {

inline constexpr std::size_t stamp_offset = 14;

inline std::int64_t monotonic_now() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// How long ago a frame was stamped by its sender.
inline std::int64_t age_of(std::byte const* frame) noexcept {
    std::int64_t stamp = 0;
    std::memcpy(&stamp, frame + stamp_offset, sizeof stamp);
    return monotonic_now() - stamp;
}

/// One way to receive. `sample` is called with the age of each frame, and says whether to go on.
class latency_receiver {
public:
    virtual ~latency_receiver() = default;
    virtual void run(std::function<bool(std::int64_t)> const& sample) = 0;
};

struct latency_candidate {
    char const* name;
    bool spins;
    char const* beside; ///< the candidate that it is compared with
    std::function<std::unique_ptr<latency_receiver>(std::string const& interface)> open;
};

std::unique_ptr<latency_receiver> open_bare_loop(std::string const& interface, bool spins);
std::unique_ptr<latency_receiver> open_pcap(std::string const& interface);
std::unique_ptr<latency_receiver> open_capture(std::string const& interface, bool spins);
std::unique_ptr<latency_receiver> open_coroutine(std::string const& interface);

} // namespace bench
