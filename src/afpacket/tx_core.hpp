#pragma once

#include "../detail/background.hpp"
#include "../detail/unique_descriptor.hpp"
#include "ring_memory.hpp"
#include "tx_timestamps.hpp"
#include <netring_asio/afpacket/tx_ring.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <linux/if_packet.h>

namespace netring_asio::afpacket::detail {

using netring_asio::detail::unique_descriptor;

/// The kernel reads a frame this far behind its header: TPACKET3_HDRLEN without the address.
inline constexpr std::size_t tx_header_size = TPACKET_ALIGN(sizeof(tpacket3_hdr));
static_assert(tx_header_size == 48);

/// What the frames of a link begin with, and how much of it a frame at least has.
struct link_header {
    link_type type;
    std::size_t size;
    std::size_t tag; // bytes that an 802.1Q tag may go beyond the MTU
    std::size_t shortest() const noexcept { return size == 0 ? 1 : size; }
};

/// How many timestamps may wait in the error queue of the socket.
constexpr std::size_t timestamps_in_flight(std::size_t frame_count) noexcept {
    return frame_count < 2048 ? 4096 : 2 * frame_count;
}

/// How a transmit ring lies in memory.
struct tx_geometry {
    std::size_t block_size;
    std::size_t block_count;
    std::size_t frame_size;
    std::size_t frames_in_block() const noexcept { return block_size / frame_size; }
    std::size_t frame_count() const noexcept { return frames_in_block() * block_count; }
};

/// The transmit ring behind `tx_ring`, at an address that stays.
///
/// Frames have numbers that count up from 0, in the order of the ring:
///
///     done_ <= frame < next_      taken by the kernel, and perhaps not released yet
///     next_ <= frame < cursor_    queued: committed, not taken
///
/// The kernel looks into the ring only within our own system call, so between these the queued frames are ours.
class tx_core final : public boost::intrusive_ref_counter<tx_core, boost::thread_safe_counter>,
                      private netring_asio::detail::background_task {
public:
    tx_core(unique_descriptor socket, unique_descriptor link_events, ring_memory memory, tx_geometry const& geometry,
            link_header header, std::size_t mtu, bool ample_send_buffer, injector_options options, error_code& ec);
    ~tx_core();

    bool is_open() const noexcept { return open_; }
    int socket() const noexcept { return socket_.get(); }
    int wait_handle() const noexcept { return wait_handle_.get(); }
    std::size_t frame_count() const noexcept { return slots_.size(); }
    std::size_t frame_capacity() const noexcept { return capacity_; }
    std::size_t maximum_frame_size() noexcept;
    injector_options const& options() const noexcept { return options_; }

    std::byte* place(std::size_t size, error_code& ec) noexcept;
    void append(std::size_t size, offload_info const& offload, error_code& ec) noexcept;
    void append(packet_view const& packet, error_code& ec) noexcept;

    void reserve(tx_frame& frame, std::size_t size, error_code& ec) noexcept;
    void commit(tx_frame& frame, std::size_t length, offload_info const& offload, error_code& ec) noexcept;
    void forget(tx_frame& frame) noexcept;
    void moved(tx_frame& frame) noexcept { reserved_ = &frame; }

    void begin_send() noexcept;
    std::size_t retract() noexcept;
    void end_send() noexcept;

    void begin_drain() noexcept { drain_target_ = cursor_; }
    bool drained() noexcept;
    tx_result take_result() noexcept;

    error_code kick() noexcept;
    /// The same for those who wait: pauses, and says nothing of what the options have them wait for.
    error_code kick_if_due() noexcept;
    /// The error, unless the options have an operation wait until the interface is back.
    error_code unless_waiting(error_code ec) const noexcept;
    std::size_t discard_rejected() noexcept;

    void arm() noexcept;
    void disarm() noexcept;
    void acknowledge() noexcept;

    bool take_timestamp(tx_timestamp& stamp) noexcept { return open_ && timestamps_.take(socket_.get(), stamp); }

    std::uint64_t taken() const noexcept { return next_; }
    std::size_t queued() const noexcept { return static_cast<std::size_t>(cursor_ - next_); }
    std::size_t pending() const noexcept;
    std::size_t available() noexcept;
    injector_statistics statistics() const noexcept;

    void close() noexcept;

private:
    using clock = std::chrono::steady_clock;
    using counter = std::atomic<std::uint64_t>;

    tpacket3_hdr& header(std::uint64_t frame) const noexcept { return *slots_[frame % slots_.size()]; }
    void find_cursor_slot() noexcept {
        cursor_at_ = static_cast<std::size_t>(cursor_ % slots_.size());
        cursor_slot_ = slots_[cursor_at_];
    }
    /// What the kernel reads: a vnet header, where there is one, and the frame.
    static std::byte* data(tpacket3_hdr& header) noexcept {
        return reinterpret_cast<std::byte*>(&header) + tx_header_size;
    }
    std::byte* frame_of(tpacket3_hdr& header) const noexcept { return data(header) + vnet_size_; }
    /// Where the caller writes: behind the place of the tag that is to be inserted.
    std::byte* room(tpacket3_hdr& header) const noexcept { return frame_of(header) + inserted_; }
    /// The error is no result, because returning one costs more than all the rest.
    bool check(std::size_t size, std::size_t limit, error_code& ec) noexcept;
    bool fits(std::size_t size, std::byte const* frame, offload_info const& offload) const noexcept;
    bool fits_now(tpacket3_hdr& header) const noexcept;
    void put(std::size_t size, offload_info const& offload, error_code& ec) noexcept;
    std::size_t queued_size(tpacket3_hdr const& header) const noexcept { return header.tp_len - vnet_size_; }
    bool stopped() const noexcept;
    void find_taken() noexcept;
    void find_done() noexcept;
    std::size_t remove_rejected() noexcept;
    std::size_t refresh_mtu() noexcept;
    void follow_timestamps(std::uint64_t before, int code) noexcept;
    void pause() noexcept;
    bool watch(int descriptor, std::uint32_t events) noexcept;
    bool reopen() noexcept;
    void publish() noexcept;
    void run() noexcept override;

    unique_descriptor socket_;
    unique_descriptor link_events_;
    unique_descriptor timer_;
    unique_descriptor wait_handle_;
    ring_memory memory_;
    std::vector<tpacket3_hdr*> slots_;
    std::size_t const vnet_size_;
    std::size_t const inserted_; // bytes of the tag for each frame
    std::size_t const capacity_;
    link_header const link_header_;
    std::size_t mtu_;
    injector_options options_;

    std::uint64_t cursor_ = 0;
    std::uint64_t next_ = 0;
    std::uint64_t done_ = 0;
    std::uint64_t link_seen_ = 0; // what was next when the link was last looked at
    std::uint64_t queued_bytes_ = 0;
    std::uint64_t rejected_ = 0;
    std::uint64_t send_start_ = 0;
    std::uint64_t drain_target_ = 0;
    tx_timestamps timestamps_;
    tx_result told_; // by the drains until now
    tx_frame* reserved_ = nullptr;
    std::size_t cursor_at_ = 0;
    tpacket3_hdr* cursor_slot_;
    std::chrono::microseconds pause_;
    bool const ample_send_buffer_;
    bool open_ = true;
    bool sending_ = false;
    bool watching_ = false;     // the socket, for edges
    bool link_is_down_ = false; // as the last kick found it; a link event tells when to try again
    bool timer_is_set_ = false;
    clock::time_point congested_until_{}; // a queueing discipline refused a frame; earlier if some leave
    std::uint64_t done_when_congested_ = 0;

    // What other threads read.
    counter committed_count_{0};
    counter taken_count_{0};
    counter rejected_count_{0};
    counter kicks_{0};
    counter would_block_{0};
};

} // namespace netring_asio::afpacket::detail
