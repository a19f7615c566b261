#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/injector_options.hpp>
#include <netring_asio/injector_statistics.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace netring_asio::afpacket {

class tx_ring;
class tx_opener;

namespace detail {
class tx_core;
}

/// Room in a ring for one frame, to be filled and committed. Dropping it leaves the ring as it was.
///
/// @par Lifetime
/// May be moved, and may outlive its ring, but the bytes are gone with the ring's close.
///
/// @par Thread safety
/// As the ring's, whose part it is.
class NETRING_ASIO_API tx_frame {
public:
    tx_frame() noexcept = default;
    tx_frame(tx_frame&& other) noexcept;
    tx_frame& operator=(tx_frame&& other) noexcept;
    ~tx_frame() { reset(); }

    /// Whether there is room: it was reserved, neither committed nor dropped, and the ring is open.
    explicit operator bool() const noexcept { return core_ != nullptr; }
    /// The bytes reserved, to be filled from the link header on. They hold what was in the ring before.
    std::span<std::byte> data() const noexcept { return data_; }

    /// Puts the first `length` bytes into the ring as one frame, behind those committed before; `flush`, a send or a
    /// drain has the kernel take it. After an error the room is still reserved.
    ///
    /// @par Errors
    /// `error::not_open` without room, `frame_too_short`, `frame_too_long` (for the bytes reserved, or for the device
    /// as it is now).
    void commit(std::size_t length);
    void commit(std::size_t length, error_code& ec) noexcept;
    /// The same, and leaves to the kernel what is described, with `injector_options::offload`. The offsets count from
    /// the first byte of `data()`. A frame to be cut into segments may be longer than the device's MTU, and its
    /// checksum must be left to the kernel; the field then holds the sum of the pseudo-header. `header_length` is found
    /// out.
    ///
    /// @par Errors
    /// `error::invalid_offload`, besides those of the other form.
    void commit(std::size_t length, offload_info const& offload);
    void commit(std::size_t length, offload_info const& offload, error_code& ec) noexcept;
    /// Commits all bytes reserved.
    void commit() { commit(data_.size()); }

    /// Gives the room back.
    void reset() noexcept;

private:
    friend class tx_ring;
    friend class detail::tx_core;

    detail::tx_core* core_ = nullptr;
    std::span<std::byte> data_;
};

/// A memory-mapped transmit ring (AF_PACKET with TPACKET_V3 frames; packet(7),
/// Documentation/networking/packet_mmap.rst), without Asio.
///
/// Frames are reserved, committed and then taken by the kernel in the order of their commitment. A frame that the
/// device as it is now would refuse is told at once, so that it never enters the ring.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, except `statistics()`, which is safe on any thread while the object
/// is neither opened, moved nor destroyed.
class NETRING_ASIO_API tx_ring {
public:
    using frame_type = tx_frame;

    tx_ring() noexcept;
    tx_ring(tx_ring&& other) noexcept;
    tx_ring& operator=(tx_ring&& other) noexcept;
    ~tx_ring();

    /// Opens a socket with a ring; it receives nothing. The exception of the throwing form names what is at fault.
    void open(injector_options const& options);
    void open(injector_options const& options, error_code& ec);

    /// Takes over a raw packet socket that was opened elsewhere and has no ring yet, as `open` does with its own. The
    /// socket is closed where that fails.
    void assign(int socket, injector_options const& options);
    void assign(int socket, injector_options const& options, error_code& ec);

    /// Closes the socket, on a helper thread. Frames that the kernel has not taken are lost. Idempotent.
    void close() noexcept;

    bool is_open() const noexcept;
    /// The packet socket, -1 if not open.
    int native_handle() const noexcept;
    /// A descriptor that is readable, edge-triggered, when there may be room again, or frames be taken; belongs to the
    /// ring. Call `arm` before waiting, and `acknowledge` after.
    int wait_handle() const noexcept;
    /// A duplicate of `wait_handle` that belongs to the caller.
    int duplicate_wait_handle(error_code& ec) const noexcept;

    /// Reserves room for a frame of at most `size` bytes. Empty without an error where the ring is full. Makes no
    /// system call while the ring has room.
    ///
    /// @par Errors
    /// `error::not_open`, `frame_too_short`, `frame_too_long`, `frame_reserved` while another is reserved; where the
    /// ring is full, those of `flush`.
    tx_frame try_reserve(std::size_t size);
    tx_frame try_reserve(std::size_t size, error_code& ec) noexcept;

    /// Has the kernel take what is committed, and returns how many frames it took. Never blocks: what it has no room
    /// for now is taken by a later flush.
    ///
    /// @par Errors
    /// `error::not_open`, `interface_down`, `interface_removed`, `frame_too_long` with `bad_frame_policy::stop`; others
    /// of the system. The frames stay in the ring.
    std::size_t flush();
    std::size_t flush(error_code& ec) noexcept;

    /// The same for those who wait for `wait_handle`: not before it makes sense (after a queueing discipline refused
    /// frames, a pause that doubles from 50 microseconds to 1 ms must have passed, or frames have left), and without an
    /// error where the link-down policy is to go on waiting.
    void flush_if_due(error_code& ec) noexcept;

    /// To be called before waiting for `wait_handle`.
    void arm() noexcept;
    /// To be called when nobody waits any more: frames cost less then.
    void disarm() noexcept;
    /// To be called when `wait_handle` was readable, before looking into the ring: clears it.
    void acknowledge() noexcept;
    /// Waits until there may be room, or frames be taken, at most this long (negative: for ever).
    void wait(std::chrono::nanoseconds limit, error_code& ec) noexcept;

    /// Flushes and waits until no frame is in the ring, at most this long (negative: for ever). What left the ring
    /// since the last drain is returned, without an error.
    ///
    /// @par Errors
    /// Those of `flush`; `error::timed_out`. Frames stay in the ring, and the next drain goes on.
    tx_result wait_drained(std::chrono::nanoseconds limit);
    tx_result wait_drained(std::chrono::nanoseconds limit, error_code& ec) noexcept;

    /// Leaves out the frame at which the ring stopped (`bad_frame_policy::stop`) and others too long for the device as
    /// it is now. Returns how many.
    std::size_t discard_rejected() noexcept;

    /// The longest frame that the ring has room for.
    std::size_t frame_capacity() const noexcept;
    /// The longest frame that ring and device take now, without a VLAN tag. Costs a system call.
    std::size_t maximum_frame_size() const noexcept;
    std::size_t frame_count() const noexcept;
    /// Frames in the ring that the kernel is not done with.
    std::size_t pending() const noexcept;
    /// Those of them that it has not taken yet.
    std::size_t queued() const noexcept;
    /// Frames that can be committed without waiting.
    std::size_t available() const noexcept;

    /// Takes the next transmit timestamp; see `basic_injector::try_timestamp`.
    bool try_timestamp(tx_timestamp& stamp) noexcept;

    /// Totals since the ring was opened, also after it was closed. Safe on any thread.
    injector_statistics statistics() const noexcept;

    /// The options as obtained: interface, ring geometry, send buffer.
    injector_options const& options() const noexcept;
    /// The header that frames must begin with.
    link_type link() const noexcept { return link_; }

    /// Begins a send of one frame or many that can be undone: until `end_send` what the kernel has not taken yet may be
    /// taken back. Nothing may be reserved meanwhile.
    void begin_send() noexcept;
    /// Room for a frame of this many bytes; nullptr without an error where the ring is full. Errors as `try_reserve`.
    std::byte* place(std::size_t size, error_code& ec) noexcept;
    /// Commits what was written to that place. Errors as `tx_frame::commit`.
    void append(std::size_t size, error_code& ec) noexcept;
    /// Writes a packet to that place, for which `wire_size(packet)` bytes were asked, and commits it; see
    /// `basic_injector::async_send_packet`.
    void append(packet_view const& packet, error_code& ec) noexcept;
    /// Takes back the frames of this send that the kernel has not taken, and returns how many.
    std::size_t retract() noexcept;
    void end_send() noexcept;

    /// Begins a drain of the frames that are in the ring now.
    void begin_drain() noexcept;
    /// Whether they have left.
    bool drained() noexcept;
    /// What left the ring since this was last called.
    tx_result take_result() noexcept;

private:
    friend class tx_opener;

    boost::intrusive_ptr<detail::tx_core> core_;
    link_type link_ = link_type::ethernet;
};

} // namespace netring_asio::afpacket
