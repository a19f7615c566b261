#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace netring_asio::afxdp::detail {

/// What our program writes before the bytes of a frame.
struct rx_metadata {
    static constexpr std::uint32_t has_time = 1, has_hash = 2, has_tag = 4;
    static constexpr std::uint32_t mark = 0x4e520000; ///< nothing else puts this there

    std::uint64_t time;
    std::uint32_t hash, hash_type;
    std::uint16_t tpid, tci; ///< tpid in network byte order
    std::uint32_t what;
};
static_assert(sizeof(rx_metadata) == 24);

/// Moves what is before the bytes into the view.
inline void take_metadata(std::byte* bytes, packet_view& view) noexcept {
    auto* const at = bytes - sizeof(rx_metadata);
    rx_metadata found;
    std::memcpy(&found, at, sizeof found);
    std::memset(at, 0, sizeof found); // or the next frame here could be taken to have it
    if ((found.what & 0xffff0000) != rx_metadata::mark)
        found.what = 0;
    bool const timed = (found.what & rx_metadata::has_time) != 0 && found.time != 0;
    if (timed)
        view.time = timestamp{std::chrono::nanoseconds{found.time}};
    view.clock = timed ? clock_source::hardware : clock_source::software;
    view.rx_hash = (found.what & rx_metadata::has_hash) != 0 ? found.hash : 0;
    auto const tpid = std::endian::native == std::endian::little
                          ? static_cast<std::uint16_t>(found.tpid >> 8 | found.tpid << 8)
                          : found.tpid;
    view.vlan = (found.what & rx_metadata::has_tag) != 0 ? vlan_tag{tpid, found.tci} : vlan_tag{};
}

} // namespace netring_asio::afxdp::detail
