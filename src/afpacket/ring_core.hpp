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

/// One block of the ring, the owner of a batch over it.
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
    std::atomic<bool> lent_{false}; // from the take until the kernel has it again
    pin pin_;
};

/// The part of a receive ring that batches and frames share: mapping, packet socket, inner epoll and its eventfd.
class ring_core final : public boost::intrusive_ref_counter<ring_core, boost::thread_safe_counter>,
                        private netring_asio::detail::background_task {
public:
    ring_core(unique_descriptor socket, unique_descriptor link_events, ring_memory memory, std::size_t block_size,
              std::size_t block_count, std::size_t pin_budget, error_code& ec);
    ~ring_core();

    int socket() const noexcept { return socket_.get(); }
    int link_events() const noexcept { return link_events_.get(); }
    int release_event() const noexcept { return release_event_.get(); }
    int wait_handle() const noexcept { return wait_handle_.get(); }
    std::size_t block_size() const noexcept { return block_size_; }
    std::size_t block_count() const noexcept { return block_count_; }

    tpacket_block_desc const* block(std::size_t index) const noexcept { return descriptor(index); }
    /// The block if the kernel has closed it and nobody holds it.
    tpacket_block_desc const* ready_block(std::size_t index) const noexcept;
    /// Lends a block that is ready.
    ring_block& lend(std::size_t index) noexcept;
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
    void evacuate() noexcept;
    tpacket_block_desc* descriptor(std::size_t index) const noexcept {
        return reinterpret_cast<tpacket_block_desc*>(memory_.data() + index * block_size_);
    }

    unique_descriptor socket_;
    unique_descriptor link_events_;
    unique_descriptor release_event_;
    unique_descriptor wait_handle_;
    ring_memory memory_;
    std::size_t const block_size_;
    std::size_t const block_count_;
    std::size_t const pin_budget_;
    std::unique_ptr<ring_block[]> blocks_;

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
