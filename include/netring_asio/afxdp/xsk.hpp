#pragma once

#include <netring_asio/afxdp/umem.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/take_result.hpp>
#include <netring_asio/xdp_options.hpp>
#include <netring_asio/xdp_statistics.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace netring_asio::afxdp {

namespace detail {
class xsk_core;
class port_core;
} // namespace detail

/// One queue of an interface: an AF_XDP socket with its four rings (Documentation/networking/af_xdp.rst), without Asio
/// and without a program; `port` joins those of an interface.
///
/// @par Thread safety
/// Distinct objects: safe, also over one UMEM. Shared objects: unsafe, except `statistics`, which is safe on any thread
/// while the object is neither opened, moved nor destroyed; and receiving may be on another thread than sending.
/// Releasing batches and frames is safe on any thread.
///
/// @par Lifetime
/// Batches and frames may outlive it.
class NETRING_ASIO_API xsk {
public:
    xsk() noexcept;
    xsk(xsk&& other) noexcept;
    xsk& operator=(xsk&& other) noexcept;
    ~xsk();

    /// Binds a socket to a queue of the interface, which the calling thread's network namespace has. Blocks, for up to
    /// a second where the queue has just been released.
    ///
    /// @param transmits Whether it has a ring to send.
    /// @par Errors
    /// `error::already_open`, `queue_busy`, `no_ring_memory` (too few chunks are left), `invalid_ring_geometry`,
    /// `unsupported_option` (copy mode, multi-buffer), `missing_privilege`; others of the system.
    void open(umem const& memory, std::string const& interface, int interface_index, std::uint32_t queue,
              xdp_options const& options, bool transmits, error_code& ec);
    /// Closes the socket. Packets in its rings are lost. Idempotent.
    void close() noexcept;
    bool is_open() const noexcept { return core_ != nullptr; }

    /// The socket, -1 if not open.
    int native_handle() const noexcept;
    /// Readable when a chunk that was awaited came back.
    int release_event() const noexcept;
    std::uint32_t queue() const noexcept;
    bool zero_copy() const noexcept;

    /// Lends the kernel what chunks came back, and takes what it received. Releases what the batch held.
    bool receive(packet_batch& batch);
    /// Lends the kernel what chunks came back. Has the next one that comes back make `release_event` readable, if the
    /// kernel is short of them.
    void refill(bool await_more);

    /// Room for a frame to send, nullptr without one. It is not taken until `append`.
    std::byte* place(std::size_t size) noexcept;
    /// Puts the frame in that room into the ring; `kick` has the kernel look. False where the ring has no place.
    bool append(std::size_t size) noexcept;
    /// Puts a received packet of the same memory into the ring, in place and without a copy. Nobody may write to it
    /// until it is sent; its chunk goes back where it came from. False where the ring has no place.
    bool append_in_place(packet_view const& packet) noexcept;
    /// The longest frame to send.
    std::size_t transmit_capacity() const noexcept;
    std::size_t transmit_ring() const noexcept;
    /// Frames that can be appended now.
    std::size_t available() noexcept;
    /// Frames in the ring that the kernel is not done with, and those of them that it has not looked at.
    std::size_t pending() noexcept;
    std::size_t queued() noexcept;
    /// Takes back the frames, of those appended last, that the kernel has not looked at; at most `count`.
    std::size_t retract(std::size_t count) noexcept;
    /// Has the kernel send what was appended, and takes back what it is done with. `EAGAIN`, `EBUSY` and `ENOBUFS` are
    /// no errors: frames stay and are for a later kick, or were lost and are counted.
    error_code kick() noexcept;
    /// Takes back what the kernel is done with.
    void collect() noexcept;
    /// Begins to wait for what is in the ring now, which has left once `drained`.
    void begin_drain() noexcept;
    bool drained() noexcept;

    xdp_statistics statistics() const noexcept;

private:
    friend class port;
    friend class detail::port_core;
    std::unique_ptr<detail::xsk_core> core_;
};

} // namespace netring_asio::afxdp
