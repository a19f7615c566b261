#include "umem_core.hpp"

#include <netring_asio/detail/copied_packet.hpp>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace netring_asio::afxdp::detail {
namespace {

constexpr std::size_t kernel_headroom = 256; // XDP_PACKET_HEADROOM
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t smallest_unaligned = 512;
constexpr std::uint64_t largest_umem = std::uint64_t{4} << 30;

} // namespace

void chunk::recycle() noexcept {
    auto& pool = *home;
    auto& umem = pool.umem();
    if (pinned.exchange(false, std::memory_order_relaxed))
        pool.unpin();
    auto const kept = std::exchange(keeps_memory, false);
    auto const index = umem.index_of(*this);
    umem.set_state(index, chunk_state::free);
    pool.give_back(index, index);
    if (kept)
        intrusive_ptr_release(&umem);
}

burst::burst(chunk_pool& pool, std::size_t capacity, packet_view const& prototype, std::uint32_t number)
    : packets(capacity, prototype)
    , lent_word{chunk_word::of(number << chunk_word::loan_shift, chunk_state::held)}
    , pool_{pool} {
    chunks.reserve(capacity);
}

frame burst::hold(packet_view const& packet) {
    auto& umem = pool_.umem();
    auto const index = umem.chunk_at(packet.data.data());
    if (index != no_chunk) {
        auto& held = umem.at(index);
        if (held.pinned.load(std::memory_order_relaxed) || pool_.pin_one_more()) {
            auto& word = umem.word(index);
            if (auto const now = word.load(std::memory_order_relaxed); (now & chunk_word::counted) == 0) {
                held.lend();
                word.store(now | chunk_word::counted, std::memory_order_relaxed);
            }
            if (!held.pinned.exchange(true, std::memory_order_relaxed))
                pool_.pinned_.fetch_add(1, std::memory_order_relaxed);
            return {packet, packet_owner_ptr{&held}};
        }
    }
    pool_.copied.fetch_add(1, std::memory_order_relaxed);
    return netring_asio::detail::copy_to_frame(packet);
}

void burst::recycle() noexcept {
    auto& umem = pool_.umem();
    auto const map = umem.map();
    auto const lent = lent_word;
    // Most often the batch had all of them to itself. Their words are left as they are: who takes them writes there.
    auto const first_taken = std::ranges::find_if_not(
        chunks, [=](auto index) { return map.word(index).load(std::memory_order_relaxed) == lent; });
    auto freed = static_cast<std::size_t>(first_taken - chunks.begin());
    for (std::size_t i = freed; i != chunks.size(); ++i)
        if (takes_back(chunks[i]))
            chunks[freed++] = chunks[i];
    chunks.resize(freed);
    pool_.give_back(*this);
    intrusive_ptr_release(&umem);
}

bool burst::takes_back(std::uint32_t index) noexcept {
    auto& umem = pool_.umem();
    auto& word = umem.word(index);
    auto const now = word.load(std::memory_order_relaxed);
    if (now == lent_word)
        return true;
    // A ring has it, or has had it, instead of the batch; or somebody beside the batch.
    if (((now ^ lent_word) & chunk_word::loan_mask) != 0 || (now & chunk_word::counted) == 0)
        return false;
    auto& lent = umem.at(index);
    if (!lent.reclaim_if_last()) {
        // It must now keep the memory by itself. Written before this reference goes, so whoever drops the last one
        // sees it.
        intrusive_ptr_add_ref(&umem);
        lent.keeps_memory = true;
        intrusive_ptr_release(&lent);
        return false;
    }
    if (lent.pinned.load(std::memory_order_relaxed)) {
        lent.pinned.store(false, std::memory_order_relaxed);
        pool_.unpin();
    }
    word.store(lent_word, std::memory_order_relaxed);
    return true;
}

void intrusive_ptr_add_ref(umem_core const* core) noexcept {
    core->references_.fetch_add(1, std::memory_order_relaxed);
}

void intrusive_ptr_release(umem_core const* core) noexcept {
    if (core->references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete core;
}

chunk_pool::chunk_pool(umem_core& umem)
    : umem_{umem}
    , release_event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {}

void chunk_pool::give_back(std::uint32_t first, std::uint32_t last) noexcept {
    auto& end = umem_.at(last);
    auto head = returned_.load(std::memory_order_relaxed);
    do
        end.next = head;
    while (!returned_.compare_exchange_weak(head, first, std::memory_order_seq_cst, std::memory_order_relaxed));
    tell_release();
}

void chunk_pool::give_back(burst& returned) noexcept {
    auto const count = returned.chunks.size();
    returned_count_.fetch_add(count, std::memory_order_relaxed);
    auto* head = returned_bursts_.load(std::memory_order_relaxed);
    do
        returned.next_ = head;
    while (
        !returned_bursts_.compare_exchange_weak(head, &returned, std::memory_order_seq_cst, std::memory_order_relaxed));
    if (count != 0)
        tell_release();
}

void chunk_pool::tell_release() noexcept {
    if (awaited_.load() && awaited_.exchange(false)) {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const written = ::write(release_event_.get(), &one, sizeof one);
    }
}

void chunk_pool::collect_chunks() noexcept {
    if (returned_.load() != no_chunk)
        for (auto index = returned_.exchange(no_chunk); index != no_chunk; index = umem_.at(index).next)
            free_.push_back(index);
}

void chunk_pool::collect() noexcept {
    collect_chunks();
    for (auto* at = take_returned(); at != nullptr; at = put_away(*at))
        put(at->chunks);
}

void chunk_pool::put(std::span<std::uint32_t const> chunks) noexcept {
    for (auto const index : chunks) {
        umem_.set_state(index, chunk_state::free);
        free_.push_back(index);
    }
}

burst* chunk_pool::put_away(burst& empty) noexcept {
    returned_count_.fetch_sub(empty.chunks.size(), std::memory_order_relaxed);
    empty.chunks.clear();
    auto* const next = std::exchange(empty.next_, free_bursts_);
    free_bursts_ = &empty;
    return next;
}

burst& chunk_pool::lend_burst(std::size_t capacity, packet_view const& prototype) {
    if (free_bursts_ == nullptr)
        collect();
    if (free_bursts_ == nullptr) {
        bursts_.push_back(std::make_unique<burst>(*this, capacity, prototype, umem_.make_burst_number()));
        free_bursts_ = bursts_.back().get();
    }
    auto& taken = *free_bursts_;
    free_bursts_ = std::exchange(taken.next_, nullptr);
    intrusive_ptr_add_ref(&umem_);
    return taken;
}

bool chunk_pool::is_idle() const noexcept {
    std::size_t free = 0;
    for (auto const* at = free_bursts_; at != nullptr; at = at->next_)
        ++free;
    return closed_ && size_ == 0 && free == bursts_.size();
}

bool chunk_pool::pin_one_more() noexcept { return pinned_.load(std::memory_order_relaxed) < pin_budget_; }

umem_core::umem_core(umem_options const& options, error_code& ec)
    : options_{options} {
    ec = {};
    auto const chunk_size = map_.chunk_size = options.frame_size();
    auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    bool const size_fits = options.unaligned()
                               ? chunk_size >= smallest_unaligned && chunk_size <= page
                               : chunk_size >= 2048 && chunk_size <= page && std::has_single_bit(chunk_size);
    if (!size_fits || options.frame_count() < 2 || options.frame_count() > largest_umem / chunk_size ||
        options.headroom() >= chunk_size - kernel_headroom) {
        ec = error::invalid_ring_geometry;
        return;
    }
    if (std::has_single_bit(chunk_size))
        map_.shift = static_cast<unsigned>(std::countr_zero(chunk_size));
    if (!allocate(ec))
        return;
    count_ = options.frame_count();
    chunks_ = std::make_unique<chunk[]>(count_);
    words_ = std::make_unique<std::atomic<std::uint32_t>[]>(count_);
    map_.words = words_.get();
    unassigned_.resize(count_);
    for (std::size_t i = 0; i != count_; ++i)
        unassigned_[i] = static_cast<std::uint32_t>(count_ - 1 - i);
}

umem_core::~umem_core() {
    assert(count_ == 0 || ledger().free == count_);
    if (map_.area != nullptr)
        ::munmap(map_.area, mapped_);
}

bool umem_core::allocate(error_code& ec) {
    auto const needed = options_.frame_count() * map_.chunk_size;
    auto const flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void* mapped = MAP_FAILED;
    auto const unit =
        options_.huge_pages() || needed >= huge_page ? huge_page : static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    mapped_ = (needed + unit - 1) / unit * unit;
    if (options_.huge_pages()) {
        mapped = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
        huge_pages_ = mapped != MAP_FAILED;
    }
    if (mapped == MAP_FAILED) {
        mapped = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (mapped == MAP_FAILED) {
            ec = error::no_ring_memory;
            return false;
        }
        // Two chunks a page make the processor look up a page for every other packet.
        ::madvise(mapped, mapped_, MADV_HUGEPAGE);
    }
    map_.size = needed;
    map_.area = static_cast<std::byte*>(mapped);
    if (auto const node = options_.numa_node()) {
        unsigned long const mask = *node < 64 ? 1UL << *node : 0;
        if (mask == 0 || ::syscall(SYS_mbind, map_.area, mapped_, MPOL_BIND, &mask, 65UL, 0U) != 0) {
            ec = error::unsupported_option;
            return false;
        }
    }
    return true;
}

umem_ledger umem_core::ledger() const noexcept {
    umem_ledger result;
    for (std::size_t i = 0; i != count_; ++i)
        switch (state(static_cast<std::uint32_t>(i))) {
        case chunk_state::free:
            ++result.free;
            break;
        case chunk_state::kernel:
            ++result.kernel;
            break;
        case chunk_state::held:
            ++result.held;
            break;
        case chunk_state::reserved:
            ++result.reserved;
            break;
        case chunk_state::sending:
            ++result.sending;
            break;
        }
    std::lock_guard const lock{mutex_};
    for (auto const& pool : pools_) {
        auto const returned = std::min(pool.returned(), result.held);
        result.held -= returned;
        result.free += returned;
    }
    return result;
}

chunk_pool* umem_core::make_pool(std::size_t size, std::size_t pin_budget) {
    std::lock_guard const lock{mutex_};
    // What came back to pools that were given up is nobody's.
    for (auto& pool : pools_)
        if (pool.closed_) {
            pool.collect();
            pool.size_ -= pool.free_.size();
            unassigned_.insert(unassigned_.end(), pool.free_.begin(), pool.free_.end());
            pool.free_.clear();
        }
    if (unassigned_.size() < size)
        return nullptr;
    // One that is idle serves again, its descriptor too: who gave the last back may be about to write there.
    auto const idle = std::ranges::find_if(pools_, &chunk_pool::is_idle);
    auto& pool = idle != pools_.end() ? *idle : pools_.emplace_back(*this);
    pool.free_bursts_ = nullptr;
    pool.bursts_.clear();
    pool.copied.store(0, std::memory_order_relaxed);
    pool.closed_ = false;
    pool.pin_budget_ = pin_budget;
    pool.size_ = size;
    pool.free_.reserve(size);
    for (std::size_t i = 0; i != size; ++i) {
        pool.free_.push_back(unassigned_.back());
        chunks_[unassigned_.back()].home = &pool;
        unassigned_.pop_back();
    }
    return &pool;
}

void umem_core::close_pool(chunk_pool& pool) noexcept {
    std::lock_guard const lock{mutex_};
    pool.awaited_.store(false);
    pool.closed_ = true;
}

namespace {

/// Without CAP_IPC_LOCK locked memory is limited; where the limit may not be raised either, that is that.
template <class Create>
int with_locked_memory(Create create) {
    auto const code = create();
    rlimit const unlimited{RLIM_INFINITY, RLIM_INFINITY};
    bool const limited = code == -ENOBUFS || code == -ENOMEM;
    return limited && ::setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0 ? create() : code;
}

} // namespace

int umem_core::open_direct(socket_handle& socket, char const* interface, std::uint32_t queue, unsigned bind_flags,
                           direct_socket::rings const& rings) {
    auto const code = with_locked_memory([&] {
        socket.direct = std::make_unique<direct_socket>();
        return socket.direct->open(
            {{map_.area, map_.size},
             static_cast<std::uint32_t>(map_.chunk_size),
             static_cast<std::uint32_t>(options_.headroom()),
             options_.unaligned() ? static_cast<std::uint32_t>(XDP_UMEM_UNALIGNED_CHUNK_FLAG) : 0},
            direct_.empty() ? nullptr : direct_.front(), interface, queue, bind_flags, rings);
    });
    if (code == 0)
        direct_.push_back(socket.direct.get());
    else
        socket.direct.reset();
    return code;
}

int umem_core::open_socket(socket_handle& socket, char const* interface, std::uint32_t queue, xsk_ring_cons* rx,
                           xsk_ring_prod* tx, xsk_ring_prod* fill, xsk_ring_cons* completion,
                           xsk_socket_config const& config, std::uint32_t fill_size, std::uint32_t completion_size) {
    std::lock_guard const lock{mutex_};
    if (options_.transmit_metadata())
        return open_direct(socket, interface, queue, config.bind_flags,
                           {rx, tx, fill, completion, config.rx_size, config.tx_size, fill_size, completion_size});
    bool const first = handle_ == nullptr;
    if (first) {
        xsk_umem_config settings{};
        settings.fill_size = fill_size;
        settings.comp_size = completion_size;
        settings.frame_size = static_cast<std::uint32_t>(map_.chunk_size);
        settings.frame_headroom = static_cast<std::uint32_t>(options_.headroom());
        settings.flags = options_.unaligned() ? XDP_UMEM_UNALIGNED_CHUNK_FLAG : 0;
        if (auto const code = with_locked_memory(
                [&] { return xsk_umem__create(&handle_, map_.area, map_.size, fill, completion, &settings); });
            code != 0) {
            handle_ = nullptr;
            return code;
        }
    }
    auto const code =
        xsk_socket__create_shared(&socket.of_libxdp, interface, queue, handle_, rx, tx, fill, completion, &config);
    if (code == 0) {
        // libxdp leaves them to programs that are started, which would keep the queue.
        for (int const descriptor : {xsk_umem__fd(handle_), xsk_socket__fd(socket.of_libxdp)})
            ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
        ++sockets_;
        return 0;
    }
    socket.of_libxdp = nullptr;
    if (first) {
        xsk_umem__delete(handle_);
        handle_ = nullptr;
    }
    return code;
}

void umem_core::close_socket(socket_handle& socket) noexcept {
    std::lock_guard const lock{mutex_};
    if (socket.direct) {
        std::erase(direct_, socket.direct.get());
        socket.direct.reset();
        return;
    }
    xsk_socket__delete(std::exchange(socket.of_libxdp, nullptr));
    if (--sockets_ == 0) {
        xsk_umem__delete(handle_);
        handle_ = nullptr;
    }
}

} // namespace netring_asio::afxdp::detail
