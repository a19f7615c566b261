#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace netring_asio::afxdp {

namespace detail {
class umem_core;
NETRING_ASIO_API void intrusive_ptr_add_ref(umem_core const* core) noexcept;
NETRING_ASIO_API void intrusive_ptr_release(umem_core const* core) noexcept;
} // namespace detail

/// How a UMEM is made. Every setting has a default that works; values are checked when it is made.
class umem_options {
public:
    umem_options() noexcept = default;

    /// Bytes of a chunk, which holds one frame with 256 bytes of headroom: 2048 or 4096; with `unaligned` any number
    /// from 512 to the page size.
    umem_options& frame_size(std::size_t value) noexcept {
        frame_size_ = value;
        return *this;
    }
    /// Chunks for all queues, and both directions, that share the UMEM: at least 2, together at most 4 GiB.
    umem_options& frame_count(std::size_t value) noexcept {
        frame_count_ = value;
        return *this;
    }
    /// Bytes to leave free before each received frame, besides the kernel's 256.
    umem_options& headroom(std::size_t value) noexcept {
        headroom_ = value;
        return *this;
    }
    /// Asks for reserved huge pages, and takes transparent ones, as without, where there are none; `umem::huge_pages`
    /// tells.
    umem_options& huge_pages(bool value) noexcept {
        huge_pages_ = value;
        return *this;
    }
    /// Takes the memory from this NUMA node; `error::unsupported_option` where it cannot.
    umem_options& numa_node(unsigned value) noexcept {
        numa_node_ = value;
        return *this;
    }
    /// Leaves room before each frame that is sent for what is asked of the device (Linux 6.11): those who share the
    /// memory may then have `xdp_options::timestamps` and `offload`, which make such a memory where they have their
    /// own.
    umem_options& transmit_metadata(bool value) noexcept {
        transmit_metadata_ = value;
        return *this;
    }
    /// Lets chunks be of any size and lie across pages (XDP_UMEM_UNALIGNED_CHUNK_FLAG).
    umem_options& unaligned(bool value) noexcept {
        unaligned_ = value;
        return *this;
    }

    std::size_t frame_size() const noexcept { return frame_size_; }
    std::size_t frame_count() const noexcept { return frame_count_; }
    std::size_t headroom() const noexcept { return headroom_; }
    bool huge_pages() const noexcept { return huge_pages_; }
    std::optional<unsigned> numa_node() const noexcept { return numa_node_; }
    bool transmit_metadata() const noexcept { return transmit_metadata_; }
    bool unaligned() const noexcept { return unaligned_; }

    friend bool operator==(umem_options const&, umem_options const&) = default;

private:
    std::optional<unsigned> numa_node_;
    std::size_t frame_size_ = 2048;
    std::size_t frame_count_ = 16384;
    std::size_t headroom_ = 0;
    bool huge_pages_ = false;
    bool transmit_metadata_ = false;
    bool unaligned_ = false;
};

/// Where the chunks of a UMEM are. The sum is always the number of chunks.
struct umem_ledger {
    std::size_t free = 0;     ///< in a pool
    std::size_t kernel = 0;   ///< lent to the kernel, to receive into
    std::size_t held = 0;     ///< with batches and frames
    std::size_t reserved = 0; ///< being filled, to be sent
    std::size_t sending = 0;  ///< with the kernel, to be sent
    std::size_t total() const noexcept { return free + kernel + held + reserved + sending; }
    friend bool operator==(umem_ledger const&, umem_ledger const&) = default;
};

/// Memory that AF_XDP sockets receive into and send from, cut into chunks of one frame each
/// (Documentation/networking/af_xdp.rst).
///
/// Chunks belong to pools, one for each queue and direction, and go back to their pool from wherever they have been, so
/// that neither direction and no queue starves another. A ledger knows where each chunk is: an address that the kernel
/// returns and that is not out there is counted and never used.
///
/// A handle: copies share the memory, which lives as long as a handle, a socket, a batch or a frame of it.
///
/// @par Thread safety
/// Safe on any thread; one handle object is not to be changed by several at once.
class NETRING_ASIO_API umem {
public:
    /// No memory.
    umem() noexcept = default;
    /// Makes one.
    ///
    /// @par Errors
    /// `error::invalid_ring_geometry`, `unsupported_option`, `no_ring_memory`; others of the system.
    explicit umem(umem_options const& options);
    umem(umem_options const& options, error_code& ec);

    explicit operator bool() const noexcept { return core_ != nullptr; }

    /// The options as obtained.
    umem_options const& options() const noexcept;
    /// Whether huge pages were there.
    bool huge_pages() const noexcept;
    /// The longest frame that a chunk has room for when it is received.
    std::size_t frame_capacity() const noexcept;
    umem_ledger ledger() const noexcept;
    /// Whether the bytes of a packet lie in this memory.
    bool contains(packet_view const& packet) const noexcept;

    friend bool operator==(umem const& a, umem const& b) noexcept { return a.core_ == b.core_; }

private:
    friend class xsk;
    boost::intrusive_ptr<detail::umem_core> core_;
};

} // namespace netring_asio::afxdp
