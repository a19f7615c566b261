#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <chrono>
#include <cstdint>

namespace netring_asio::pcap::detail {

/// A time later by a duration, or the last that there is: files have times of any 64 bits, and durations may stand for
/// ever.
inline timestamp later(timestamp time, std::chrono::nanoseconds by) noexcept {
    std::int64_t result = 0;
    if (__builtin_add_overflow(time.time_since_epoch().count(), by.count(), &result))
        return by.count() < 0 ? timestamp::min() : timestamp::max();
    return timestamp{std::chrono::nanoseconds{result}};
}

} // namespace netring_asio::pcap::detail
