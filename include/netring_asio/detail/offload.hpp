#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace netring_asio::detail {

/// Where the header behind the outermost IP header begins.
struct transport_header {
    std::size_t offset = 0; ///< 0 if there is none, or in a fragment
    std::uint8_t protocol = 0;
    std::size_t network = 0; ///< where the IP header begins

    explicit operator bool() const noexcept { return offset != 0; }
};

NETRING_ASIO_API transport_header find_transport(std::span<std::byte const> frame, link_type link) noexcept;

/// What is left to do to a frame, with what is not known filled in from its headers; `unfinished` says that the
/// checksum is. `error::invalid_offload` where it cannot be said in a vnet header.
NETRING_ASIO_API offload_info complete_offload(std::span<std::byte const> frame, link_type link, offload_info offload,
                                               bool unfinished, error_code& ec) noexcept;

/// The same for the frame with `bytes` more before its network header.
constexpr offload_info shift(offload_info offload, std::size_t bytes) noexcept {
    if (offload.checksum_start != 0)
        offload.checksum_start = static_cast<std::uint16_t>(offload.checksum_start + bytes);
    if (offload.header_length != 0)
        offload.header_length = static_cast<std::uint16_t>(offload.header_length + bytes);
    return offload;
}

/// Computes the checksum that was left to the device. The field holds the sum of the pseudo-header until then.
NETRING_ASIO_API void finish_checksum(std::span<std::byte> frame, offload_info const& offload) noexcept;

/// Where the checksum of TCP or UDP was left to the device, as far as the frame itself tells: the field holds the sum
/// of the pseudo-header, and the checksum is not right. All 0 elsewhere.
NETRING_ASIO_API offload_info find_unfinished_checksum(std::span<std::byte const> frame, link_type link) noexcept;

} // namespace netring_asio::detail
