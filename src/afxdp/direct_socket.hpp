#pragma once

#include "../detail/unique_descriptor.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <linux/if_xdp.h>
#include <sys/types.h>
#include <xdp/xsk.h>

namespace netring_asio::afxdp::detail {

/// An AF_XDP socket with its rings by system calls, for memory that has room for transmit metadata: the libxdp of
/// Debian 12 registers none (Documentation/networking/xsk-tx-metadata.rst).
class direct_socket {
public:
    struct memory_settings {
        std::span<std::byte> area;
        std::uint32_t chunk_size = 0, headroom = 0, flags = 0;
    };
    struct rings {
        xsk_ring_cons* rx = nullptr;
        xsk_ring_prod* tx = nullptr; // may be missing
        xsk_ring_prod* fill = nullptr;
        xsk_ring_cons* completion = nullptr;
        std::uint32_t rx_size = 0, tx_size = 0, fill_size = 0, completion_size = 0;
    };

    direct_socket() noexcept = default;
    direct_socket(direct_socket const&) = delete;
    direct_socket& operator=(direct_socket const&) = delete;
    ~direct_socket();

    int descriptor() const noexcept { return socket_.get(); }

    /// 0, or a negative error number as libxdp's. With `sharing` it is over the memory of that socket.
    int open(memory_settings const& memory, direct_socket const* sharing, char const* interface, std::uint32_t queue,
             unsigned bind_flags, rings const& wanted) noexcept;

private:
    template <class Ring>
    bool map(Ring& ring, int option, std::uint32_t size, xdp_ring_offset const& offsets, std::uint64_t page,
             std::size_t entry) noexcept;

    netring_asio::detail::unique_descriptor socket_;
    std::array<std::span<std::byte>, 4> mappings_;
    std::size_t mapped_ = 0;
};

} // namespace netring_asio::afxdp::detail
