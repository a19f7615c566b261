#include "direct_socket.hpp"

#include "../detail/kernel_constants.hpp"
#include "tx_metadata.hpp"

#include <bit>
#include <cerrno>
#include <type_traits>

#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace netring_asio::afxdp::detail {
namespace {

/// struct xdp_umem_reg of Linux 6.8.
struct umem_registration {
    std::uint64_t address, length;
    std::uint32_t chunk_size, headroom, flags, tx_metadata_length;
};
static_assert(sizeof(umem_registration) == 32);

} // namespace

direct_socket::~direct_socket() {
    for (auto const& mapping : std::span{mappings_}.first(mapped_))
        ::munmap(mapping.data(), mapping.size());
}

template <class Ring>
bool direct_socket::map(Ring& ring, int option, std::uint32_t size, xdp_ring_offset const& offsets, std::uint64_t page,
                        std::size_t entry) noexcept {
    if (::setsockopt(socket_.get(), SOL_XDP, option, &size, sizeof size) != 0)
        return false;
    auto const length = static_cast<std::size_t>(offsets.desc) + size * entry;
    void* const mapped = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, socket_.get(),
                                std::bit_cast<off_t>(page));
    if (mapped == MAP_FAILED)
        return false;
    auto* const bytes = static_cast<std::byte*>(mapped);
    mappings_[mapped_++] = {bytes, length};
    ring.mask = size - 1;
    ring.size = size;
    ring.producer = reinterpret_cast<__u32*>(bytes + offsets.producer);
    ring.consumer = reinterpret_cast<__u32*>(bytes + offsets.consumer);
    ring.flags = reinterpret_cast<__u32*>(bytes + offsets.flags);
    ring.ring = bytes + offsets.desc;
    ring.cached_prod = *ring.producer;
    // What produces counts from a ring's length further on.
    ring.cached_cons = *ring.consumer + (std::is_same_v<Ring, xsk_ring_prod> ? size : 0);
    return true;
}

int direct_socket::open(memory_settings const& memory, direct_socket const* sharing, char const* interface,
                        std::uint32_t queue, unsigned bind_flags, rings const& wanted) noexcept {
    socket_.reset(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!socket_)
        return -errno;
    if (sharing == nullptr) {
        umem_registration const registration{reinterpret_cast<std::uintptr_t>(memory.area.data()),
                                             memory.area.size(),
                                             memory.chunk_size,
                                             memory.headroom,
                                             memory.flags | XDP_UMEM_TX_METADATA_LEN,
                                             sizeof(tx_metadata)};
        if (::setsockopt(socket_.get(), SOL_XDP, XDP_UMEM_REG, &registration, sizeof registration) != 0)
            return errno == EINVAL ? -EOPNOTSUPP : -errno; // all else in it was checked
    }
    xdp_mmap_offsets offsets{};
    socklen_t length = sizeof offsets;
    if (::getsockopt(socket_.get(), SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) != 0 ||
        !map(*wanted.fill, XDP_UMEM_FILL_RING, wanted.fill_size, offsets.fr, XDP_UMEM_PGOFF_FILL_RING,
             sizeof(std::uint64_t)) ||
        !map(*wanted.completion, XDP_UMEM_COMPLETION_RING, wanted.completion_size, offsets.cr,
             XDP_UMEM_PGOFF_COMPLETION_RING, sizeof(std::uint64_t)) ||
        !map(*wanted.rx, XDP_RX_RING, wanted.rx_size, offsets.rx, XDP_PGOFF_RX_RING, sizeof(xdp_desc)) ||
        (wanted.tx != nullptr &&
         !map(*wanted.tx, XDP_TX_RING, wanted.tx_size, offsets.tx, XDP_PGOFF_TX_RING, sizeof(xdp_desc))))
        return -errno;
    sockaddr_xdp address{};
    address.sxdp_family = AF_XDP;
    address.sxdp_ifindex = ::if_nametoindex(interface);
    address.sxdp_queue_id = queue;
    address.sxdp_flags = static_cast<std::uint16_t>(sharing != nullptr ? XDP_SHARED_UMEM : bind_flags);
    if (sharing != nullptr)
        address.sxdp_shared_umem_fd = static_cast<std::uint32_t>(sharing->descriptor());
    return ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : -errno;
}

} // namespace netring_asio::afxdp::detail
