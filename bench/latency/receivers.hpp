#pragma once

#include <netring_asio/capture_options.hpp>
#include <netring_asio/xdp_options.hpp>

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
    char const* beside;    ///< the candidate that it is compared with
    std::uint64_t divisor; ///< of the number of samples
    bool spins;            ///< and so leaves a sender on its processor no time
    std::function<std::unique_ptr<latency_receiver>(std::string const& interface)> open;
};

/// A TPACKET_V2 ring read by hand: with poll(2), without sleeping, or with an Asio descriptor over the packet socket.
enum class bare_wait { poll, spin, asio };
std::unique_ptr<latency_receiver> open_bare_loop(std::string const& interface, bare_wait how);

std::unique_ptr<latency_receiver> open_pcap(std::string const& interface);
/// netring with Tokio, as a process of its own.
std::unique_ptr<latency_receiver> open_netring(std::string const& interface, std::string const& program);

std::unique_ptr<latency_receiver> open_capture(netring_asio::capture_options const& options);
std::unique_ptr<latency_receiver> open_coroutine(netring_asio::capture_options const& options);
/// Calls `try_receive` a thousand times, then `poll`, and so on.
std::unique_ptr<latency_receiver> open_trying(netring_asio::capture_options const& options);
std::unique_ptr<latency_receiver> open_xdp(netring_asio::xdp_options const& options);

} // namespace bench
