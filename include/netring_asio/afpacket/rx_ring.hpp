#pragma once

#include <netring_asio/capture_options.hpp>
#include <netring_asio/capture_statistics.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/detail/kernel_filter.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/filter.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/take_result.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace netring_asio::afpacket {

namespace detail {
class ring_core;
}

using netring_asio::take_result;

/// A TPACKET_V3 receive ring (packet(7), Documentation/networking/packet_mmap.rst), or with low latency a TPACKET_V2
/// one, without Asio.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, except `statistics()`, which is safe on any thread while the object
/// is neither opened, moved nor destroyed. Releasing batches and frames is safe on any thread.
///
/// @par Lifetime
/// Batches and frames may outlive the ring.
class NETRING_ASIO_API rx_ring {
public:
    /// Whether what made `wait_handle` readable is dealt with before looking for packets. It may wait until there are
    /// none: left alone it makes it readable once more.
    static constexpr bool acknowledges_first = false;

    rx_ring();
    rx_ring(rx_ring&& other) noexcept;
    rx_ring& operator=(rx_ring&& other) noexcept;
    ~rx_ring();

    /// Opens a socket with a ring, so that nothing is captured that was not on the interface or does not pass the
    /// filter. Takes 8 to 16 ms. The exception of the throwing form names what is at fault.
    void open(capture_options const& options);
    void open(capture_options const& options, error_code& ec);

    /// Takes over a packet socket that was opened elsewhere and has no ring yet: sets options, ring and filter, and
    /// binds it. The socket is closed where that fails.
    void assign(int socket, capture_options const& options);
    void assign(int socket, capture_options const& options, error_code& ec);

    /// Stops capturing at once, keeps held blocks readable, and leaves the rest to a helper thread. Idempotent.
    void close() noexcept;

    bool is_open() const noexcept { return open_; }
    /// The packet socket, -1 if not open.
    int native_handle() const noexcept;
    /// A descriptor that is readable, edge-triggered, when `take` should be tried; belongs to the ring. It is another
    /// one after `arm` now and then: with low latency the packet socket, where that tells all there is to wait for, and
    /// else one that tells of the release of blocks, of the link and of the latency budget as well.
    int wait_handle() const noexcept;
    /// A duplicate of `wait_handle` that belongs to the caller.
    int duplicate_wait_handle(error_code& ec) const noexcept;

    /// Takes the next block with packets into the batch, releasing what it held. Makes no system call but, once in a
    /// while, the one that reads the kernel's counters.
    take_result take(packet_batch& batch);
    bool try_receive(packet_batch& batch) { return take(batch) == take_result::taken; }
    /// To be called when `wait_handle` was readable and the ring is empty: clears it, and looks after the link.
    void acknowledge() noexcept;
    /// To be called before waiting, after the ring was found empty and before it is looked into once more: has the
    /// release of the block that comes next make `wait_handle` readable.
    void arm() noexcept;
    /// What became of the interface since the last call; to be reported once the ring is empty. A removed interface
    /// stays removed.
    error_code take_error() noexcept;

    /// Takes the next block, waiting for it at most this long (negative: for ever), and returns its number of packets.
    /// When the time is over returns 0 with `error::timed_out`.
    std::size_t receive(packet_batch& batch, std::chrono::nanoseconds limit, error_code& ec);

    /// Replaces the filter. Packets that are in the ring already have passed the old one and are judged by the new one
    /// in user space.
    void set_filter(std::string expression);
    void set_filter(std::string expression, error_code& ec);

    /// Has nothing more come into the ring, until the filter is replaced or `resume` is called.
    void pause();
    void pause(error_code& ec) noexcept;
    void resume();
    void resume(error_code& ec);

    /// The packets of a batch that the filter accepts now: for one that was taken before the filter was replaced.
    packet_batch judge(packet_batch batch) const;

    /// Totals since the ring was opened, also after it was closed. Safe on any thread.
    capture_statistics statistics() const noexcept;
    /// Counts packets that a channel destroyed together with a message. Safe on any thread.
    void count_discarded(std::uint64_t packets) noexcept;

    /// The options as obtained: interface, ring geometry, filter.
    capture_options const& options() const noexcept { return options_; }
    /// The header that captured packets begin with.
    link_type link() const noexcept { return records_.link; }
    /// The id of the fanout group, if the ring is in one.
    std::optional<std::uint16_t> fanout_id() const noexcept { return fanout_id_; }

private:
    friend class ring_opener;

    enum class user_filter : std::uint8_t { off, where_undecided, until_old_blocks_are_gone };

    bool socket_tells_all() const noexcept;
    std::size_t advance() noexcept;
    packet_batch make_batch(std::size_t index);
    packet_batch make_slot_batch();
    bool accepts(user_filter judge, packet_view& packet) const;
    user_filter settled_user_filter() const noexcept;
    user_filter judge_block() noexcept;
    void follow_link(bool was_down) noexcept;
    bool reopen() noexcept;
    void replace_filter(std::string expression, error_code& ec, std::string& message);

    boost::intrusive_ptr<detail::ring_core> core_;
    capture_options options_{std::string{}};
    netring_asio::detail::block_records records_;
    filter filter_;
    std::size_t cursor_ = 0;
    std::size_t blocks_since_statistics_ = 0;
    std::size_t old_blocks_ = 0;
    std::uint64_t batches_ = 0;
    std::uint32_t filter_swaps_ = 0;
    std::uint32_t waits_elsewhere_ = 1; // before the next at the socket
    std::optional<std::uint16_t> fanout_id_;
    error_code link_error_;
    netring_asio::detail::kernel_verdict verdict_;
    user_filter user_filter_ = user_filter::off;
    bool open_ = false;
    bool cooked_ = false;
    bool link_is_up_ = true;
    bool removed_ = false;
    bool paused_ = false;
    bool lively_ = false; // packets came since it was last waited for
};

} // namespace netring_asio::afpacket
