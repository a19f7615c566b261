#pragma once

#include "../detail/background.hpp"
#include "../detail/unique_descriptor.hpp"
#include "ring_memory.hpp"
#include <netring_asio/capture_statistics.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/frame.hpp>
#include <netring_asio/packet/packet_owner.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <linux/if_packet.h>

namespace netring_asio::afpacket::detail {

using netring_asio::detail::unique_descriptor;

class ring_core;
struct moved_blocks;

/// What a ring is made of.
struct ring_geometry {
    std::size_t unit_size; ///< of a block (TPACKET_V3), or a slot of one packet (TPACKET_V2)
    bool has_slots;
    std::chrono::microseconds latency_budget; ///< with slots: for how long packets are collected
};

/// One block of the ring, or some slots in a row, the owner of a batch over it.
class ring_block final : public packet_owner {
public:
    frame hold(packet_view const& packet) override;

    /// The packets of the batch, where they are not simply the records of the block. Keeps its memory from lap to lap.
    std::vector<packet_view> accepted;

private:
    friend class ring_core;

    /// What the frames of a block share. It holds the block, and counts against the pin budget once.
    class pin final : public packet_owner {
    public:
        bool add_reference() noexcept { return add_reference_if_held(); }
        ring_block* block = nullptr;

    private:
        void recycle() noexcept override;
    };

    void recycle() noexcept override;

    ring_core* core_ = nullptr;
    std::size_t index_ = 0;
    std::size_t count_ = 1;         // units of the ring
    std::atomic<bool> lent_{false}; // from the take until the kernel has it again
    moved_blocks* moved_ = nullptr; // where the kernel had it again before
    pin pin_;
};

/// What held the ring up, at the addresses that the ring had then. It lasts until the last of it is released.
struct moved_blocks {
    ring_memory memory;
    std::unique_ptr<ring_block[]> blocks;
    std::vector<packet_view> views;
    std::size_t held = 0; // units
};

/// The part of a receive ring that batches and frames share: mapping, packet socket, inner epoll and its eventfd.
class ring_core final : public boost::intrusive_ref_counter<ring_core, boost::thread_safe_counter>,
                        private netring_asio::detail::background_task {
public:
    ring_core(unique_descriptor socket, unique_descriptor link_events, ring_memory memory,
              ring_geometry const& geometry, std::size_t pin_budget, error_code& ec);
    ~ring_core();

    int socket() const noexcept { return socket_.get(); }
    int link_events() const noexcept { return link_events_.get(); }
    int release_event() const noexcept { return release_event_.get(); }
    int wait_handle() const noexcept { return wait_handle_.get(); }
    /// Of blocks, or of slots.
    std::size_t block_size() const noexcept { return geometry_.unit_size; }
    std::size_t block_count() const noexcept { return block_count_; }

    bool has_slots() const noexcept { return geometry_.has_slots; }
    int budget_timer() const noexcept { return budget_timer_.get(); }

    tpacket_block_desc const* block(std::size_t index) const noexcept {
        return reinterpret_cast<tpacket_block_desc const*>(unit(index));
    }
    std::byte const* slot(std::size_t index) const noexcept { return unit(index); }
    /// Room for what the packet of a slot looks like, for who lends the slot.
    packet_view& view(std::size_t slot) noexcept { return views_[slot]; }
    bool has_pins() const noexcept { return pinned_.load(std::memory_order_relaxed) != 0; }
    bool is_lent(std::size_t index) const noexcept { return blocks_[index].lent_.load(); }
    /// Fetches what taking a slot touches. The ring is larger than the caches.
    void prefetch(std::size_t slot) const noexcept {
        __builtin_prefetch(unit(slot));
        __builtin_prefetch(&blocks_[slot], 1);
        __builtin_prefetch(&views_[slot], 1);
    }
    /// Whether the kernel has closed the block, or filled the slot, and nobody holds it.
    bool ready(std::size_t index) const noexcept;
    /// Lends a block, or slots in a row, that are ready.
    ring_block& lend(std::size_t index, std::size_t count = 1) noexcept;
    /// Where frames pin what the ring needs next, moves all that is held out of its way. Returns whether it did.
    bool make_way(std::size_t index) noexcept;
    /// With a latency budget: waits for the time to be over if packets keep coming, else for the next packet.
    void collect(bool lively) noexcept;
    /// Has the release of this block, should it be lent, make `wait_handle` readable.
    void await_release(std::size_t index) noexcept { awaited_.store(index); }

    capture_statistics statistics() noexcept;
    void count_filtered(std::uint64_t packets) noexcept { filtered_.fetch_add(packets, std::memory_order_relaxed); }
    void count_discarded(std::uint64_t packets) noexcept { discarded_.fetch_add(packets, std::memory_order_relaxed); }

    /// Counts filters that were replaced and that no packet can pass any more.
    void filter_settled() noexcept { settled_filters_.fetch_add(1, std::memory_order_release); }
    std::uint32_t settled_filters() const noexcept { return settled_filters_.load(std::memory_order_acquire); }

    /// Has nothing more stored.
    bool reject_all() noexcept;

    /// Ends capturing: nothing is stored from now on, the helper thread closes the socket. Held blocks stay readable.
    void close() noexcept;

private:
    friend class ring_block;

    static constexpr auto none = static_cast<std::size_t>(-1);

    bool pin_one_more() noexcept;
    void give_back(ring_block& block) noexcept;
    void run() noexcept override;
    bool evacuate() noexcept;
    std::unique_ptr<ring_block[]> make_blocks();
    std::byte* unit(std::size_t index) const noexcept { return memory_.data() + index * geometry_.unit_size; }
    std::atomic_ref<std::uint32_t> status(std::size_t index) const noexcept;

    unique_descriptor socket_;
    unique_descriptor link_events_;
    unique_descriptor release_event_;
    unique_descriptor wait_handle_;
    ring_memory memory_;
    ring_geometry const geometry_;
    std::size_t const block_count_;
    std::size_t const pin_budget_;
    std::unique_ptr<ring_block[]> blocks_;
    std::vector<packet_view> views_; // one for each slot
    std::mutex moving_;              // what is held, while it is released elsewhere
    std::vector<std::unique_ptr<moved_blocks>> moved_;
    unique_descriptor budget_timer_;
    bool collecting_ = false;

    std::atomic<std::size_t> awaited_{none};
    std::atomic<std::size_t> held_{0};
    std::atomic<std::size_t> pinned_{0};
    std::atomic<std::uint32_t> settled_filters_{0};
    std::atomic<std::uint64_t> filtered_{0};
    std::atomic<std::uint64_t> copied_{0};
    std::atomic<std::uint64_t> discarded_{0};

    std::mutex statistics_mutex_; // one reader at a time: the kernel zeroes its counters on each read
    capture_statistics totals_;
    bool counting_ = true;
};

} // namespace netring_asio::afpacket::detail
