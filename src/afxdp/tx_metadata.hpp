#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <time.h>

namespace netring_asio::afxdp::detail {

/// What the kernel is asked before the bytes of a frame that is sent: struct xsk_tx_metadata of Linux 6.8
/// (Documentation/networking/xsk-tx-metadata.rst). When it is done with the frame, the time stands in place of the
/// request.
struct tx_metadata {
    static constexpr std::uint64_t timestamp = 1, checksum = 2;

    std::uint64_t flags = 0;
    std::uint16_t checksum_start = 0, checksum_offset = 0;
    std::uint32_t reserved = 0;
    std::uint64_t launch_time = 0;
};
static_assert(sizeof(tx_metadata) == 24);

inline void ask(std::byte* frame, tx_metadata const& request) noexcept {
    std::memcpy(frame - sizeof request, &request, sizeof request);
}

/// The time that the kernel wrote before a frame, 0 if none.
inline std::chrono::nanoseconds time_of(std::byte const* frame) noexcept {
    std::uint64_t time = 0;
    std::memcpy(&time, frame - sizeof(tx_metadata) + sizeof(std::uint64_t), sizeof time);
    return std::chrono::nanoseconds{time};
}

/// Where frames are copied the kernel's clock is atomic time.
inline timestamp from_atomic_time(std::chrono::nanoseconds time) noexcept {
    timespec atomic{}, real{};
    ::clock_gettime(CLOCK_TAI, &atomic);
    ::clock_gettime(CLOCK_REALTIME, &real);
    auto const offset = std::chrono::round<std::chrono::seconds>(
        std::chrono::seconds{atomic.tv_sec - real.tv_sec} + std::chrono::nanoseconds{atomic.tv_nsec - real.tv_nsec});
    return timestamp{time - offset};
}

} // namespace netring_asio::afxdp::detail
