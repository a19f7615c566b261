#pragma once

#include "tx_metadata.hpp"
#include "umem_core.hpp"
#include <netring_asio/afxdp/xsk.hpp>
#include <netring_asio/injector_statistics.hpp>

#include <boost/circular_buffer.hpp>

#include <array>
#include <atomic>
#include <string>

namespace netring_asio::afxdp::detail {

/// The socket behind `xsk`, at an address that stays.
///
/// What is appended is told to the kernel by the next kick, so that until then it can be taken back. Each descriptor in
/// flight has a reference of its chunk.
class xsk_core {
public:
    xsk_core(umem_core& memory, std::string const& interface, int interface_index, std::uint32_t queue,
             xdp_options const& options, bool transmits, error_code& ec);
    ~xsk_core();
    xsk_core(xsk_core const&) = delete;
    xsk_core& operator=(xsk_core const&) = delete;

    int socket() const noexcept { return socket_; }
    chunk_pool& receive_pool() const noexcept { return *receive_pool_; }
    std::uint32_t queue() const noexcept { return queue_; }
    bool zero_copy() const noexcept { return zero_copy_; }

    bool receive(packet_batch& batch);
    void refill(bool await_more);
    /// Has the kernel poll the device once, with `xdp_options::busy_poll`; whether something was received.
    bool poll_device() noexcept;

    std::byte* place(std::size_t size) noexcept {
        if (placed_ != no_chunk && size <= room() && xsk_prod_nb_free(&tx_, 1) != 0) [[likely]]
            return memory_->data(sending_address(placed_));
        return find_place(size);
    }
    bool append(std::size_t size, offload_info const& offload = {}) noexcept {
        if (size > room()) [[unlikely]]
            return append_parts(size, offload);
        if (placed_ == no_chunk)
            return false;
        auto const asked = metadata_room_ != 0 ? ask(placed_, sending_address(placed_), offload) : asked_for{};
        if (!put(placed_, sending_address(placed_), size, asked.options,
                 asked.how | chunk_word::own | chunk_word::ends_frame))
            return false;
        take_place();
        add(committed_, 1);
        return true;
    }
    /// With `gives` the batch gives the packet away, else it shares it.
    bool append_in_place(packet_view const& packet, bool gives) noexcept;
    std::size_t transmit_capacity() const noexcept;
    std::size_t transmit_ring() const noexcept { return transmits_ ? tx_.size : 0; }
    std::size_t available() noexcept;
    std::size_t pending() noexcept;
    std::size_t queued() noexcept;
    std::size_t retract(std::size_t count) noexcept;
    error_code kick() noexcept;
    void collect() noexcept;
    void begin_drain() noexcept;
    bool drained() noexcept;
    /// A frame's time, with `xdp_options::timestamps`.
    bool take_timestamp(tx_timestamp& stamp) noexcept;
    xdp_statistics statistics() const noexcept;

private:
    using counter = std::atomic<std::uint64_t>;

    bool bind(std::string const& interface, xdp_options const& options, error_code& ec);
    /// Descriptors that are a whole frame each, or any; how many of them, and what came.
    struct taken {
        std::uint32_t descriptors = 0;
        std::size_t packets = 0;
        std::uint64_t bytes = 0;
    };
    taken take_whole(burst& lent, std::uint32_t at, std::uint32_t count, timestamp time) noexcept;
    taken take_any(burst& lent, std::uint32_t at, std::uint32_t count, timestamp time);
    void look_at_checksums(std::span<packet_view const> packets) noexcept;
    void set_options(xdp_options const& options, error_code& ec);
    void take_part(burst& lent, xdp_desc const& part);
    bool take_place() noexcept {
        placed_ = transmit_pool_->take();
        if (placed_ != no_chunk)
            memory_->set_state(placed_, chunk_state::reserved);
        return placed_ != no_chunk;
    }
    std::byte* find_place(std::size_t size) noexcept;
    bool append_parts(std::size_t size, offload_info const& offload) noexcept;
    /// For a frame that was sent, or for one that the kernel has not looked at.
    void take_back(std::uint64_t address, bool sent) noexcept;
    std::size_t room() const noexcept { return memory_->chunk_size() - metadata_room_; }
    std::uint64_t sending_address(std::uint32_t index) const noexcept {
        return memory_->address(index) + metadata_room_;
    }
    struct asked_for {
        std::uint32_t options = 0, how = 0;
    };
    /// Asks of the device what is to be asked for the frame that begins there, in its descriptor and its chunk's word.
    asked_for ask(std::uint32_t index, std::uint64_t address, offload_info const& offload) const noexcept;
    void give_back_pending() noexcept;
    std::uint32_t consumed() const noexcept { return __atomic_load_n(tx_.consumer, __ATOMIC_ACQUIRE); }
    static void add(counter& to, std::uint64_t count) noexcept { // one thread counts, any reads
        to.store(to.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }

    bool put(std::uint32_t index, std::uint64_t address, std::size_t size, std::uint32_t options,
             std::uint32_t how) noexcept {
        std::uint32_t at = 0;
        if (xsk_ring_prod__reserve(&tx_, 1, &at) == 0)
            return false;
        *xsk_ring_prod__tx_desc(&tx_, at) = {address, static_cast<std::uint32_t>(size), options};
        auto& word = memory_->word(index);
        word.store(chunk_word::of(word.load(std::memory_order_relaxed), chunk_state::sending) | how | sender_ |
                       (odd_ ? chunk_word::odd : 0),
                   std::memory_order_relaxed);
        ++in_flight_[odd_ ? 1 : 0];
        ++unsubmitted_;
        return true;
    }

    boost::intrusive_ptr<umem_core> memory_;
    chunk_pool* receive_pool_ = nullptr;
    chunk_pool* transmit_pool_ = nullptr;
    socket_handle handle_;
    int socket_ = -1;
    xsk_ring_cons rx_{}, completion_{};
    xsk_ring_prod tx_{}, fill_{};
    std::uint32_t const queue_;
    int const interface_index_;
    std::size_t const batch_size_;
    bool const transmits_;
    bool const need_wakeup_;
    bool const multi_buffer_;
    bool const finish_checksums_;
    bool const metadata_;
    bool const timestamps_;
    std::size_t const metadata_room_; // before what is sent
    bool zero_copy_ = false;

    std::uint32_t sender_ = 0; // in a chunk's word
    std::uint32_t placed_ = no_chunk;
    std::uint32_t first_back_ = no_chunk, last_back_ = no_chunk; // a chain of one pool's, to be given back at once
    std::vector<std::byte> bounce_;                              // a frame longer than a chunk
    std::uint32_t unsubmitted_ = 0;
    std::array<std::size_t, 2> in_flight_{}; // by generation of the drains
    bool odd_ = false;
    bool drains_both_ = false;
    std::uint64_t frames_back_ = 0;
    std::uint64_t sequence_ = 0;
    boost::circular_buffer<tx_timestamp> stamps_; // the last of them

    counter received_{0}, received_bytes_{0}, bad_addresses_{0}, unfinished_{0};
    counter committed_{0}, in_place_{0}, taken_{0}, rejected_{0}, kicks_{0}, would_block_{0};
};

} // namespace netring_asio::afxdp::detail
