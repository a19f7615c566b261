#pragma once

#include <netring_asio/packet/packet_batch.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace netring_asio::pcap::detail {

struct reader_counters {
    static constexpr int no_link = -1;
    std::atomic<int> link{no_link};
    std::atomic<std::uint64_t> packets{0};
    std::atomic<std::uint64_t> bytes{0};
    std::atomic<std::uint64_t> filtered{0};
    std::atomic<std::uint64_t> copied{0};
    std::atomic<std::size_t> pinned{0};
};

class chunk_pool;

/// The memory of one batch read from a file: bytes and the views of them.
class chunk final : public packet_owner {
public:
    chunk(std::size_t packets, std::size_t bytes);

    bool empty() const noexcept { return packets_.empty(); }
    bool full() const noexcept { return packets_.size() == packets_.capacity(); }

    /// Copies a packet in, and lets `view.data` point there; false if there is no room. The first packet always fits.
    bool append(packet_view view);

    packet_batch batch(std::uint64_t sequence) noexcept;

private:
    friend class chunk_pool;
    frame hold(packet_view const& packet) override;
    void recycle() noexcept override;

    std::unique_ptr<std::byte[]> bytes_;
    std::size_t capacity_;
    std::size_t used_ = 0;
    std::vector<packet_view> packets_;
    std::atomic<bool> pinned_{false};
    boost::intrusive_ptr<chunk_pool> pool_; // while on loan
    std::unique_ptr<chunk> next_;           // while in the pool
};

/// Chunks to fill again. Lives until the last chunk came back.
class chunk_pool : public boost::intrusive_ref_counter<chunk_pool> {
public:
    chunk_pool(std::size_t packets, std::size_t bytes, std::size_t pin_budget,
               std::shared_ptr<reader_counters> counters) noexcept
        : packets_{packets}
        , bytes_{bytes}
        , pin_budget_{pin_budget}
        , counters_{std::move(counters)} {}
    ~chunk_pool();

    boost::intrusive_ptr<chunk> take();

private:
    friend class chunk;
    void give_back(chunk* returned) noexcept;
    bool pin() noexcept;
    void unpin() noexcept { counters_->pinned.fetch_sub(1, std::memory_order_relaxed); }

    std::size_t const packets_;
    std::size_t const bytes_;
    std::size_t const pin_budget_;
    std::shared_ptr<reader_counters> const counters_;
    std::mutex mutex_;
    std::unique_ptr<chunk> free_;
};

} // namespace netring_asio::pcap::detail
