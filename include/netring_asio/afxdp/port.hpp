#pragma once

#include <netring_asio/afxdp/bypass.hpp>
#include <netring_asio/afxdp/program.hpp>
#include <netring_asio/afxdp/umem.hpp>
#include <netring_asio/afxdp/xsk.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/injector_statistics.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/take_result.hpp>
#include <netring_asio/xdp_options.hpp>
#include <netring_asio/xdp_statistics.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace netring_asio::afxdp {

namespace detail {
class port_core;
}

/// Room for one frame to send, to be filled and committed. Dropping it leaves the ring as it was.
///
/// @par Lifetime
/// May be moved, and may outlive its socket, but the bytes are gone with the socket's close.
class NETRING_ASIO_API tx_frame {
public:
    tx_frame() noexcept = default;
    tx_frame(tx_frame&& other) noexcept;
    tx_frame& operator=(tx_frame&& other) noexcept;
    ~tx_frame() { reset(); }

    /// Whether there is room: it was reserved, neither committed nor dropped, and the socket is open.
    explicit operator bool() const noexcept { return core_ != nullptr; }
    /// The bytes reserved, to be filled from the link header on.
    std::span<std::byte> data() const noexcept { return data_; }

    /// Puts the first `length` bytes into the ring as one frame. After an error the room is still reserved.
    ///
    /// @par Errors
    /// `error::not_open` without room, `frame_too_short`, `frame_too_long`.
    void commit(std::size_t length);
    void commit(std::size_t length, error_code& ec) noexcept;
    /// The same, and leaves the checksum to the device: `checksum_start` and `checksum_offset` say where, and the field
    /// holds the sum of the pseudo-header. Needs `xdp_options::offload`.
    ///
    /// @par Errors
    /// `error::invalid_offload`: it was opened without, the field lies outside the frame, or a segment size.
    void commit(std::size_t length, offload_info const& offload, error_code& ec) noexcept;
    void commit(std::size_t length, offload_info const& offload);
    /// Commits all bytes reserved.
    void commit() { commit(data_.size()); }

    /// Gives the room back.
    void reset() noexcept;

private:
    friend class detail::port_core;
    detail::port_core* core_ = nullptr;
    std::span<std::byte> data_;
};

/// The receiving half of a port; it has the shape of `afpacket::rx_ring`.
class NETRING_ASIO_API receiver {
public:
    /// Whether what woke the receiver is dealt with before it looks for packets: wake-ups are counted.
    static constexpr bool acknowledges_first = true;

    receiver() noexcept = default;

    bool is_open() const noexcept;
    void close() noexcept;
    int wait_handle() const noexcept;
    int duplicate_wait_handle(error_code& ec) const noexcept;
    /// Takes the next batch, of the next queue that has one, and gives the kernel back what came back.
    take_result take(packet_batch& batch);
    void acknowledge() noexcept;
    void arm() noexcept;
    error_code take_error() noexcept;
    std::size_t receive(packet_batch& batch, std::chrono::nanoseconds limit, error_code& ec);
    void pause(error_code& ec) noexcept;
    void resume(error_code& ec) noexcept;
    void count_discarded(std::uint64_t packets) noexcept;

private:
    friend class port;
    std::shared_ptr<detail::port_core> core_;
};

/// The sending half of a port; it has the shape of `afpacket::tx_ring`.
class NETRING_ASIO_API transmitter {
public:
    using frame_type = tx_frame;

    transmitter() noexcept = default;

    bool is_open() const noexcept;
    void close() noexcept;
    int duplicate_wait_handle(error_code& ec) const noexcept;
    tx_frame try_reserve(std::size_t size, error_code& ec) noexcept;
    std::size_t flush(error_code& ec) noexcept;
    void flush_if_due(error_code& ec) noexcept;
    void arm() noexcept;
    void disarm() noexcept;
    void acknowledge() noexcept;
    void wait(std::chrono::nanoseconds limit, error_code& ec) noexcept;
    tx_result wait_drained(std::chrono::nanoseconds limit, error_code& ec) noexcept;
    std::size_t maximum_frame_size() const noexcept;
    std::size_t frame_count() const noexcept;
    std::size_t available() const noexcept;
    std::size_t pending() const noexcept;
    std::size_t queued() const noexcept;
    bool try_timestamp(tx_timestamp& stamp) noexcept;
    /// Puts packets of the batch into the ring, as many as it has room for, and takes them out of the batch: those of
    /// the same memory in place, others by copying. `flush` has the kernel take them.
    std::size_t forward(packet_batch& batch, error_code& ec) noexcept;

    void begin_send() noexcept;
    std::byte* place(std::size_t size, error_code& ec) noexcept;
    void append(std::size_t size, error_code& ec) noexcept;
    /// A packet for which there is room: in place where it is of the same memory, and as it was on the wire.
    void append(packet_view const& packet, error_code& ec) noexcept;
    std::size_t retract() noexcept;
    void end_send() noexcept;
    void begin_drain() noexcept;
    bool drained() noexcept;
    tx_result take_result() noexcept;

private:
    friend class port;
    std::shared_ptr<detail::port_core> core_;
};

/// The AF_XDP sockets of an interface with their memory and program, without Asio.
///
/// Frames are received from all its queues in turn, and sent through the first.
///
/// @par Thread safety
/// As `xsk`: receiving may be on another thread than sending. `statistics` is safe on any thread.
class NETRING_ASIO_API port {
public:
    /// How many chunks of a memory one that is opened with these options takes, 0 after an error. The interface is
    /// looked up in the network namespace of the options.
    static std::size_t chunks_needed(xdp_options const& options, error_code& ec);

    /// Opens sockets and program. Blocks. `context` says what an error is about.
    void open(xdp_options const& options, error_code& ec, std::string& context);
    void close() noexcept;
    bool is_open() const noexcept;

    netring_asio::afxdp::receiver receiver() const;
    netring_asio::afxdp::transmitter transmitter() const;

    /// The options as obtained: interface, queues, modes, memory.
    xdp_options const& options() const noexcept;
    /// The socket of the n-th queue, -1 if there is none.
    int native_handle(std::size_t n = 0) const noexcept;
    umem memory() const noexcept;
    void set_filters(std::vector<filter> const& filters, error_code& ec);
    /// The program's; nothing unless there is one and it was asked for.
    afxdp::bypass* bypass() noexcept;
    /// Totals over the queues, also after it was closed.
    xdp_statistics statistics() const noexcept;
    /// Of the n-th queue that is open.
    xdp_statistics statistics(std::size_t n) const noexcept;
    /// How things are, and why nothing may be coming, in words.
    std::string explain() const;

private:
    std::shared_ptr<detail::port_core> core_;
};

} // namespace netring_asio::afxdp
