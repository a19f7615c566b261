#pragma once

#include "../detail/unique_descriptor.hpp"
#include "direct_socket.hpp"
#include <netring_asio/afxdp/umem.hpp>
#include <netring_asio/packet/frame.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/packet/packet_owner.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <xdp/xsk.h>

namespace netring_asio::afxdp::detail {

class umem_core;
class chunk_pool;

inline constexpr std::uint32_t no_chunk = std::numeric_limits<std::uint32_t>::max();

enum class chunk_state : std::uint8_t { free, kernel, held, reserved, sending };

/// Where a chunk is, in one word: small, as it is looked at for each packet. One thread at a time writes it: who has
/// the chunk.
struct chunk_word {
    static constexpr std::uint32_t state_mask = 0x7;
    static constexpr std::uint32_t counted = 0x8;     ///< its references say when it is free
    static constexpr std::uint32_t odd = 0x10;        ///< which drain waits for it
    static constexpr std::uint32_t ends_frame = 0x20; ///< the last that the frame being sent takes
    static constexpr std::uint32_t own = 0x40;        ///< of the sender's own pool, not sent in place
    static constexpr std::uint32_t timed = 0x80;      ///< the kernel tells when it was sent
    static constexpr unsigned sender_shift = 8;
    static constexpr std::uint32_t sender_mask = 0xff00;
    static constexpr unsigned loan_shift = 16; ///< above: the number of the batch that it was lent to last
    static constexpr std::uint32_t loan_mask = 0xffff0000;

    static constexpr chunk_state state(std::uint32_t word) noexcept {
        return static_cast<chunk_state>(word & state_mask);
    }
    static constexpr std::uint32_t of(std::uint32_t loan, chunk_state state) noexcept {
        return (loan & loan_mask) | static_cast<std::uint32_t>(state);
    }
};

/// One chunk that others have beside its batch: the owner of the frames over it and, while it is sent in place, of its
/// place in the ring.
class chunk final : public packet_owner {
public:
    std::atomic<bool> pinned{false}; // counts against the pin budget
    bool keeps_memory = false;       // has a reference of the UMEM, for the batch is gone
    chunk_pool* home = nullptr;
    std::uint32_t next = no_chunk; // in the stack of those that came back

    using packet_owner::lend;
    using packet_owner::reclaim_if_last;

private:
    void recycle() noexcept override;
};

/// A batch of received frames; its memory serves again.
class burst final : public packet_owner {
public:
    burst(chunk_pool& pool, std::size_t capacity, packet_view const& prototype, std::uint32_t number);
    frame hold(packet_view const& packet) override;

    std::vector<packet_view> packets;  // all that it has room for, made once
    std::vector<std::uint32_t> chunks; // more than packets, where frames are longer than a chunk
    std::uint32_t const lent_word;     // of a chunk that nobody else has
    struct join {
        std::size_t packet, offset;
    };
    std::vector<join> joins;
    std::vector<std::byte> joined; // the bytes of those

    using packet_owner::lend;

private:
    friend class chunk_pool;
    void recycle() noexcept override;
    /// Whether nobody has the chunk beside the batch or in its place; else they have it alone now.
    bool takes_back(std::uint32_t index) noexcept;

    chunk_pool& pool_;
    burst* next_ = nullptr;
};

/// Chunks of one queue and direction. One thread takes, any gives back.
class chunk_pool {
public:
    explicit chunk_pool(umem_core& umem);

    umem_core& umem() const noexcept { return umem_; }
    std::size_t size() const noexcept { return size_; }

    /// A free chunk, or `no_chunk`.
    std::uint32_t take() noexcept {
        if (free_.empty())
            collect();
        if (free_.empty())
            return no_chunk;
        auto const index = free_.back();
        free_.pop_back();
        return index;
    }
    /// Puts back what was taken, on the thread that takes.
    void put(std::uint32_t index) noexcept { free_.push_back(index); }
    /// Takes all free chunks, at most `most`, and has `use` called with some at a time. What is said of them in the
    /// ledger is for `use` to say.
    template <class Use>
    void take(std::size_t most, Use use) {
        collect_chunks();
        for (auto* at = take_returned(); at != nullptr; at = put_away(*at))
            if (auto& chunks = at->chunks; chunks.size() <= most) {
                most -= chunks.size();
                use(std::span<std::uint32_t const>{chunks});
            } else {
                put(chunks);
            }
        if (auto const count = std::min(most, free_.size()); count != 0) {
            use(std::span<std::uint32_t const>{free_}.last(count));
            free_.resize(free_.size() - count);
        }
    }
    bool empty() noexcept {
        if (free_.empty())
            collect();
        return free_.empty();
    }
    std::size_t available() noexcept {
        collect();
        return free_.size();
    }
    /// Gives back a chain of chunks that are free; on any thread.
    void give_back(std::uint32_t first, std::uint32_t last) noexcept;

    /// Becomes readable when a chunk that was awaited comes back.
    int release_event() const noexcept { return release_event_.get(); }
    /// Has the next chunk that comes back say so, once.
    void await() noexcept { awaited_.store(true); }

    /// Chunks of batches that are gone, which nobody has looked at since: the ledger still says that they are held.
    std::size_t returned() const noexcept { return returned_count_.load(std::memory_order_relaxed); }

    burst& lend_burst(std::size_t capacity, packet_view const& prototype);
    bool pin_one_more() noexcept;
    void unpin() noexcept { pinned_.fetch_sub(1, std::memory_order_relaxed); }
    std::size_t pinned() const noexcept { return pinned_.load(std::memory_order_relaxed); }

    std::atomic<std::uint64_t> copied{0};

private:
    friend class umem_core;
    friend class burst;
    void collect() noexcept;
    void collect_chunks() noexcept;
    burst* take_returned() noexcept {
        return returned_bursts_.load() != nullptr ? returned_bursts_.exchange(nullptr) : nullptr;
    }
    /// Makes an empty one ready to serve again, and returns its neighbour.
    burst* put_away(burst& empty) noexcept;
    void put(std::span<std::uint32_t const> chunks) noexcept;
    void give_back(burst& returned) noexcept;
    void tell_release() noexcept;
    /// Whether it was given up, and nothing of it is out there any more.
    bool is_idle() const noexcept;

    umem_core& umem_;
    std::size_t pin_budget_ = 0;
    std::size_t size_ = 0;
    std::vector<std::uint32_t> free_;
    std::atomic<std::size_t> returned_count_{0};
    std::atomic<std::uint32_t> returned_{no_chunk};
    std::atomic<burst*> returned_bursts_{nullptr};
    burst* free_bursts_ = nullptr;
    std::vector<std::unique_ptr<burst>> bursts_;
    std::atomic<std::size_t> pinned_{0};
    std::atomic<bool> awaited_{false};
    netring_asio::detail::unique_descriptor release_event_;
    bool closed_ = false;
};

/// Where the chunks lie and what is noted of them. A copy serves where a loop should not look the members up for each
/// packet.
struct chunk_map {
    std::byte* area = nullptr;
    std::atomic<std::uint32_t>* words = nullptr;
    std::size_t size = 0; // all chunks
    std::size_t chunk_size = 0;
    unsigned shift = 0;

    std::byte* data(std::uint64_t address) const noexcept {
        return area + (address & XSK_UNALIGNED_BUF_ADDR_MASK) + (address >> XSK_UNALIGNED_BUF_OFFSET_SHIFT);
    }
    std::uint64_t address(std::uint32_t index) const noexcept { return std::uint64_t{index} * chunk_size; }
    /// The chunk that an address of the kernel's lies in, or `no_chunk`.
    std::uint32_t chunk_at(std::uint64_t address) const noexcept {
        auto const base = address & XSK_UNALIGNED_BUF_ADDR_MASK;
        if (base >= size)
            return no_chunk;
        return static_cast<std::uint32_t>(shift != 0 ? base >> shift : base / chunk_size);
    }
    std::atomic<std::uint32_t>& word(std::uint32_t index) const noexcept { return words[index]; }
    bool is_with_kernel(std::uint32_t index) const noexcept {
        return index != no_chunk &&
               chunk_word::state(word(index).load(std::memory_order_relaxed)) == chunk_state::kernel;
    }
};

/// A socket of libxdp's or, where the memory has room for transmit metadata, of ours.
struct socket_handle {
    xsk_socket* of_libxdp = nullptr;
    std::unique_ptr<direct_socket> direct;

    explicit operator bool() const noexcept { return of_libxdp != nullptr || direct != nullptr; }
    int descriptor() const noexcept { return direct ? direct->descriptor() : xsk_socket__fd(of_libxdp); }
};

/// The memory of a UMEM, its ledger, and the kernel's handle to it while a socket is open.
class umem_core {
public:
    umem_core(umem_options const& options, error_code& ec);
    ~umem_core();
    umem_core(umem_core const&) = delete;
    umem_core& operator=(umem_core const&) = delete;

    friend void intrusive_ptr_add_ref(umem_core const* core) noexcept;
    friend void intrusive_ptr_release(umem_core const* core) noexcept;

    umem_options const& options() const noexcept { return options_; }
    bool huge_pages() const noexcept { return huge_pages_; }
    std::size_t count() const noexcept { return count_; }
    chunk_map const& map() const noexcept { return map_; }
    std::size_t chunk_size() const noexcept { return map_.chunk_size; }
    std::byte* data(std::uint64_t address) const noexcept { return map_.data(address); }
    std::uint64_t address(std::uint32_t index) const noexcept { return map_.address(index); }
    std::uint32_t chunk_at(std::uint64_t address) const noexcept { return map_.chunk_at(address); }
    std::uint32_t chunk_at(std::byte const* bytes) const noexcept {
        return contains(bytes) ? chunk_at(offset(bytes)) : no_chunk;
    }
    bool contains(std::byte const* bytes) const noexcept { return bytes >= map_.area && bytes < map_.area + map_.size; }
    std::uint64_t offset(std::byte const* bytes) const noexcept {
        return static_cast<std::uint64_t>(bytes - map_.area);
    }
    chunk& at(std::uint32_t index) const noexcept { return chunks_[index]; }
    std::atomic<std::uint32_t>& word(std::uint32_t index) const noexcept { return map_.word(index); }
    chunk_state state(std::uint32_t index) const noexcept {
        return chunk_word::state(word(index).load(std::memory_order_relaxed));
    }
    void set_state(std::uint32_t index, chunk_state state) const noexcept {
        auto& at = word(index);
        at.store(chunk_word::of(at.load(std::memory_order_relaxed), state), std::memory_order_relaxed);
    }
    std::uint32_t index_of(chunk const& of) const noexcept { return static_cast<std::uint32_t>(&of - chunks_.get()); }
    umem_ledger ledger() const noexcept;

    /// A pool of its own for a queue and direction; nullptr where not so many chunks are left.
    chunk_pool* make_pool(std::size_t size, std::size_t pin_budget);
    /// Gives a pool up; what is out there goes back when it comes.
    void close_pool(chunk_pool& pool) noexcept;

    /// Makes a socket over this memory. What the kernel knows of the memory goes with the last of its sockets.
    int open_socket(socket_handle& socket, char const* interface, std::uint32_t queue, xsk_ring_cons* rx,
                    xsk_ring_prod* tx, xsk_ring_prod* fill, xsk_ring_cons* completion, xsk_socket_config const& config,
                    std::uint32_t fill_size, std::uint32_t completion_size);
    void close_socket(socket_handle& socket) noexcept;
    std::uint32_t make_burst_number() noexcept { return bursts_.fetch_add(1, std::memory_order_relaxed); }
    /// A number for a sender, in the place that a word has for it.
    std::uint32_t make_sender() noexcept {
        return senders_.fetch_add(1, std::memory_order_relaxed) << chunk_word::sender_shift & chunk_word::sender_mask;
    }

private:
    bool allocate(error_code& ec);
    int open_direct(socket_handle& socket, char const* interface, std::uint32_t queue, unsigned bind_flags,
                    direct_socket::rings const& rings);

    umem_options options_;
    chunk_map map_;
    std::size_t mapped_ = 0; // bytes
    std::size_t count_ = 0;
    bool huge_pages_ = false;
    std::unique_ptr<chunk[]> chunks_;
    std::unique_ptr<std::atomic<std::uint32_t>[]> words_;
    std::atomic<std::uint32_t> senders_{1};
    std::atomic<std::uint32_t> bursts_{0};
    mutable std::atomic<std::uint32_t> references_{0};

    mutable std::mutex mutex_; // for what follows
    std::vector<std::uint32_t> unassigned_;
    std::deque<chunk_pool> pools_;
    xsk_umem* handle_ = nullptr;
    std::size_t sockets_ = 0; // of libxdp's
    std::vector<direct_socket*> direct_;
};

} // namespace netring_asio::afxdp::detail
