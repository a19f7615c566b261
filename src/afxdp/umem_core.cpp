#include "umem_core.hpp"

#include <netring_asio/detail/copied_packet.hpp>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cerrno>
#include <utility>

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
    std::size_t freed = 0;
    auto const unchanged = lent_word;
    for (auto const index : chunks) {
        auto& word = umem.word(index);
        auto const now = word.load(std::memory_order_relaxed);
        if (now != unchanged) [[unlikely]] {
            // A ring has it, or has had it, instead of the batch; or somebody beside the batch.
            if (((now ^ unchanged) & chunk_word::loan_mask) != 0 || (now & chunk_word::counted) == 0)
                continue;
            auto& lent = umem.at(index);
            if (!lent.reclaim_if_last()) {
                // It must now keep the memory by itself. Written before this reference goes, so whoever drops the last
                // one sees it.
                intrusive_ptr_add_ref(&umem);
                lent.keeps_memory = true;
                intrusive_ptr_release(&lent);
                continue;
            }
            if (lent.pinned.load(std::memory_order_relaxed)) {
                lent.pinned.store(false, std::memory_order_relaxed);
                pool_.unpin();
            }
        }
        word.store(chunk_word::of(unchanged, chunk_state::free), std::memory_order_relaxed);
        chunks[freed++] = index;
    }
    chunks.resize(freed);
    pool_.give_back(*this);
    intrusive_ptr_release(&umem);
}

void intrusive_ptr_add_ref(umem_core const* core) noexcept {
    core->references_.fetch_add(1, std::memory_order_relaxed);
}

void intrusive_ptr_release(umem_core const* core) noexcept {
    if (core->references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete core;
}

chunk_pool::chunk_pool(umem_core& umem, std::size_t pin_budget)
    : umem_{umem}
    , pin_budget_{pin_budget}
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
    bool const frees = !returned.chunks.empty();
    auto* head = returned_bursts_.load(std::memory_order_relaxed);
    do
        returned.next_ = head;
    while (
        !returned_bursts_.compare_exchange_weak(head, &returned, std::memory_order_seq_cst, std::memory_order_relaxed));
    if (frees)
        tell_release();
}

void chunk_pool::tell_release() noexcept {
    if (awaited_.load() && awaited_.exchange(false)) {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const written = ::write(release_event_.get(), &one, sizeof one);
    }
}

void chunk_pool::collect() noexcept {
    if (returned_.load() != no_chunk)
        for (auto index = returned_.exchange(no_chunk); index != no_chunk; index = umem_.at(index).next)
            free_.push_back(index);
    if (returned_bursts_.load() == nullptr)
        return;
    for (auto* at = returned_bursts_.exchange(nullptr); at != nullptr;) {
        free_.insert(free_.end(), at->chunks.begin(), at->chunks.end());
        at->chunks.clear();
        auto* const next = std::exchange(at->next_, free_bursts_);
        free_bursts_ = std::exchange(at, next);
    }
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

bool chunk_pool::pin_one_more() noexcept { return pinned_.load(std::memory_order_relaxed) < pin_budget_; }

umem_core::umem_core(umem_options const& options, error_code& ec)
    : options_{options}
    , chunk_size_{options.frame_size()} {
    ec = {};
    auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    bool const size_fits = options.unaligned()
                               ? chunk_size_ >= smallest_unaligned && chunk_size_ <= page
                               : chunk_size_ >= 2048 && chunk_size_ <= page && std::has_single_bit(chunk_size_);
    if (!size_fits || options.frame_count() < 2 || options.frame_count() > largest_umem / chunk_size_ ||
        options.headroom() >= chunk_size_ - kernel_headroom) {
        ec = error::invalid_ring_geometry;
        return;
    }
    if (std::has_single_bit(chunk_size_))
        shift_ = static_cast<unsigned>(std::countr_zero(chunk_size_));
    if (!map(ec))
        return;
    count_ = options.frame_count();
    chunks_ = std::make_unique<chunk[]>(count_);
    words_ = std::make_unique<std::atomic<std::uint32_t>[]>(count_);
    unassigned_.resize(count_);
    for (std::size_t i = 0; i != count_; ++i)
        unassigned_[i] = static_cast<std::uint32_t>(count_ - 1 - i);
}

umem_core::~umem_core() {
    assert(count_ == 0 || ledger().free == count_);
    if (area_ != nullptr)
        ::munmap(area_, size_);
}

bool umem_core::map(error_code& ec) {
    auto const unit = options_.huge_pages() ? huge_page : static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    auto const needed = options_.frame_count() * chunk_size_;
    auto const flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void* mapped = MAP_FAILED;
    if (options_.huge_pages()) {
        size_ = (needed + unit - 1) / unit * unit;
        mapped = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
        huge_pages_ = mapped != MAP_FAILED;
    }
    if (mapped == MAP_FAILED) {
        auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        size_ = (needed + page - 1) / page * page;
        mapped = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (mapped == MAP_FAILED) {
            ec = error::no_ring_memory;
            return false;
        }
        if (options_.huge_pages())
            ::madvise(mapped, size_, MADV_HUGEPAGE);
    }
    area_ = static_cast<std::byte*>(mapped);
    if (auto const node = options_.numa_node()) {
        unsigned long const mask = *node < 64 ? 1UL << *node : 0;
        if (mask == 0 || ::syscall(SYS_mbind, area_, size_, MPOL_BIND, &mask, 65UL, 0U) != 0) {
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
    return result;
}

chunk_pool* umem_core::make_pool(std::size_t size, std::size_t pin_budget) {
    std::lock_guard const lock{mutex_};
    // What came back to pools that were given up is nobody's.
    for (auto& pool : pools_)
        if (pool.closed_) {
            pool.collect();
            unassigned_.insert(unassigned_.end(), pool.free_.begin(), pool.free_.end());
            pool.free_.clear();
        }
    if (unassigned_.size() < size)
        return nullptr;
    auto& pool = pools_.emplace_back(*this, pin_budget);
    pool.size_ = size;
    pool.free_.reserve(size);
    pool.taken_.reserve(size);
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

int umem_core::open_socket(xsk_socket*& socket, char const* interface, std::uint32_t queue, xsk_ring_cons* rx,
                           xsk_ring_prod* tx, xsk_ring_prod* fill, xsk_ring_cons* completion,
                           xsk_socket_config const& config, std::uint32_t fill_size, std::uint32_t completion_size) {
    std::lock_guard const lock{mutex_};
    bool const first = handle_ == nullptr;
    if (first) {
        xsk_umem_config settings{};
        settings.fill_size = fill_size;
        settings.comp_size = completion_size;
        settings.frame_size = static_cast<std::uint32_t>(chunk_size_);
        settings.frame_headroom = static_cast<std::uint32_t>(options_.headroom());
        settings.flags = options_.unaligned() ? XDP_UMEM_UNALIGNED_CHUNK_FLAG : 0;
        auto const length = count_ * chunk_size_;
        auto const create = [&] { return xsk_umem__create(&handle_, area_, length, fill, completion, &settings); };
        auto code = create();
        if (code == -ENOBUFS || code == -ENOMEM) {
            // Without CAP_IPC_LOCK locked memory is limited; where the limit may not be raised either, that is that.
            rlimit const unlimited{RLIM_INFINITY, RLIM_INFINITY};
            if (::setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0)
                code = create();
        }
        if (code != 0) {
            handle_ = nullptr;
            return code;
        }
    }
    auto const code = xsk_socket__create_shared(&socket, interface, queue, handle_, rx, tx, fill, completion, &config);
    if (code == 0)
        ++sockets_;
    else if (first) {
        xsk_umem__delete(handle_);
        handle_ = nullptr;
    }
    return code;
}

void umem_core::close_socket(xsk_socket* socket) noexcept {
    std::lock_guard const lock{mutex_};
    xsk_socket__delete(socket);
    if (--sockets_ == 0) {
        xsk_umem__delete(handle_);
        handle_ = nullptr;
    }
}

} // namespace netring_asio::afxdp::detail
