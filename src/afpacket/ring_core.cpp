#include "ring_core.hpp"

#include <netring_asio/detail/copied_packet.hpp>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>

#include <linux/filter.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

namespace netring_asio::afpacket::detail {
frame ring_block::hold(packet_view const& packet) {
    if (pin_.add_reference())
        return {packet, packet_owner_ptr{&pin_, false}};
    if (!core_->pin_one_more()) {
        core_->copied_.fetch_add(1, std::memory_order_relaxed);
        return netring_asio::detail::copy_to_frame(packet);
    }
    intrusive_ptr_add_ref(this);
    return {packet, packet_owner_ptr{&pin_}};
}

void ring_block::pin::recycle() noexcept {
    block->core_->pinned_.fetch_sub(1, std::memory_order_relaxed);
    intrusive_ptr_release(block);
}

void ring_block::recycle() noexcept { core_->give_back(*this); }

ring_core::ring_core(unique_descriptor socket, unique_descriptor link_events, ring_memory memory,
                     ring_geometry const& geometry, std::size_t pin_budget, error_code& ec)
    : socket_{std::move(socket)}
    , link_events_{std::move(link_events)}
    , release_event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}
    , wait_handle_{::epoll_create1(EPOLL_CLOEXEC)}
    , memory_{std::move(memory)}
    , geometry_{geometry}
    , block_count_{memory_.size() / geometry.unit_size}
    , pin_budget_{pin_budget}
    , blocks_{make_blocks()}
    , views_(geometry.has_slots ? block_count_ : 0) {
    bool const has_budget = geometry.latency_budget.count() != 0;
    if (has_budget)
        budget_timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!release_event_ || !wait_handle_ || (has_budget && !budget_timer_)) {
        ec.assign(errno, boost::system::system_category());
        return;
    }
    // Edge-triggered, so that a held block or a link that is down does not make the descriptor readable for ever.
    for (int const descriptor : {socket_.get(), release_event_.get(), link_events_.get(), budget_timer_.get()}) {
        epoll_event event{};
        event.events = EPOLLIN | EPOLLET; // EPOLLERR comes unasked
        event.data.fd = descriptor;
        if (descriptor >= 0 && ::epoll_ctl(wait_handle_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0)
            ec.assign(errno, boost::system::system_category());
    }
}

ring_core::~ring_core() { assert(held_ == 0 && pinned_ == 0); }

std::unique_ptr<ring_block[]> ring_core::make_blocks() {
    auto result = std::make_unique<ring_block[]>(block_count_);
    for (std::size_t i = 0; i != block_count_; ++i) {
        result[i].core_ = this;
        result[i].index_ = i;
        result[i].pin_.block = &result[i];
    }
    return result;
}

std::atomic_ref<std::uint32_t> ring_core::status(std::size_t index) const noexcept {
    auto* const at = unit(index);
    return std::atomic_ref{geometry_.has_slots ? reinterpret_cast<tpacket2_hdr*>(at)->tp_status
                                               : reinterpret_cast<tpacket_block_desc*>(at)->hdr.bh1.block_status};
}

bool ring_core::ready(std::size_t index) const noexcept {
    return !blocks_[index].lent_.load() && (status(index).load(std::memory_order_acquire) & TP_STATUS_USER) != 0;
}

ring_block& ring_core::lend(std::size_t index, std::size_t count) noexcept {
    auto& block = blocks_[index];
    block.count_ = count;
    for (auto i = index; i != index + count; ++i)
        blocks_[i].lent_.store(true, std::memory_order_relaxed);
    awaited_.store(none, std::memory_order_relaxed); // it came; its release is nothing that anybody waits for
    held_.fetch_add(1, std::memory_order_relaxed);
    intrusive_ptr_add_ref(this);
    return block;
}

void ring_core::give_back(ring_block& block) noexcept {
    boost::intrusive_ptr<ring_core> const lent_reference{this, false};
    std::lock_guard const lock{moving_};
    if (auto* const moved = block.moved_) {
        held_.fetch_sub(1);
        if ((moved->held -= block.count_) == 0)
            moved->memory.unmap();
        return;
    }
    auto const first = block.index_;
    auto const end = first + block.count_;
    for (auto i = first; i != end; ++i)
        status(i).store(TP_STATUS_KERNEL, std::memory_order_release);
    held_.fetch_sub(1);
    for (auto i = end; i != first; --i)
        blocks_[i - 1].lent_.store(false);
    // Either this thread sees that the block is awaited, or the receiver, which looks again after saying so, that it is
    // back.
    if (auto const awaited = awaited_.load(); awaited >= first && awaited < end) {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const written = ::write(release_event_.get(), &one, sizeof one);
    }
}

bool ring_core::make_way(std::size_t index) noexcept try {
    if (!has_pins() || !blocks_[index].lent_.load())
        return false;
    std::lock_guard const lock{moving_};
    std::erase_if(moved_, [](auto const& before) { return before->held == 0; });
    if (moved_.size() >= pin_budget_) // batches are held for ever, not frames
        return false;
    auto* const mapped = ::mmap(nullptr, memory_.size(), PROT_READ | PROT_WRITE, MAP_SHARED, socket_.get(), 0);
    if (mapped == MAP_FAILED)
        return false;
    ring_memory again{static_cast<std::byte*>(mapped), memory_.size()};
    auto moved = std::make_unique<moved_blocks>();
    auto blocks = make_blocks();
    std::vector<packet_view> views(views_.size());
    moved_.reserve(moved_.size() + 1);
    if (!evacuate())
        return false;
    moved->memory = std::exchange(memory_, std::move(again));
    moved->blocks = std::exchange(blocks_, std::move(blocks));
    moved->views = std::exchange(views_, std::move(views));
    for (std::size_t i = 0; i != block_count_; ++i)
        if (auto& block = moved->blocks[i]; block.lent_.load()) {
            block.moved_ = moved.get();
            ++moved->held;
            status(i).store(TP_STATUS_KERNEL, std::memory_order_release);
        }
    awaited_.store(none);
    moved_.push_back(std::move(moved));
    return true;
} catch (std::bad_alloc const&) {
    return false;
}

void ring_core::collect(bool lively) noexcept {
    if (!budget_timer_)
        return;
    if (lively != std::exchange(collecting_, lively)) {
        epoll_event event{};
        event.events = (lively ? 0U : static_cast<std::uint32_t>(EPOLLIN)) | EPOLLET;
        event.data.fd = socket_.get();
        ::epoll_ctl(wait_handle_.get(), EPOLL_CTL_MOD, socket_.get(), &event);
    }
    if (!lively)
        return;
    itimerspec time{};
    time.it_value.tv_sec = geometry_.latency_budget.count() / 1'000'000;
    time.it_value.tv_nsec = geometry_.latency_budget.count() % 1'000'000 * 1000;
    ::timerfd_settime(budget_timer_.get(), 0, &time, nullptr);
}

bool ring_core::pin_one_more() noexcept {
    auto pinned = pinned_.load(std::memory_order_relaxed);
    while (pinned < pin_budget_)
        if (pinned_.compare_exchange_weak(pinned, pinned + 1, std::memory_order_relaxed))
            return true;
    return false;
}

capture_statistics ring_core::statistics() noexcept {
    std::lock_guard const lock{statistics_mutex_};
    if (counting_) {
        tpacket_stats_v3 delta{};
        socklen_t length = sizeof delta;
        if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &delta, &length) == 0) {
            totals_.received += delta.tp_packets - delta.tp_drops; // the kernel counts a dropped packet in both
            totals_.dropped += delta.tp_drops;
            totals_.freezes += delta.tp_freeze_q_cnt;
        }
    }
    auto result = totals_;
    result.filtered = filtered_.load(std::memory_order_relaxed);
    result.copied = copied_.load(std::memory_order_relaxed);
    result.discarded = discarded_.load(std::memory_order_relaxed);
    result.held_blocks = held_.load(std::memory_order_relaxed);
    result.pinned_blocks = pinned_.load(std::memory_order_relaxed);
    return result;
}

bool ring_core::reject_all() noexcept {
    sock_filter reject[] = {{BPF_RET | BPF_K, 0, 0, 0}};
    sock_fprog const program{1, reject};
    return ::setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

void ring_core::close() noexcept {
    reject_all();
    intrusive_ptr_add_ref(this);
    netring_asio::detail::run_in_background(*this);
}

void ring_core::run() noexcept {
    boost::intrusive_ptr<ring_core> const closing{this, false};
    statistics();
    {
        std::lock_guard const lock{statistics_mutex_};
        counting_ = false;
    }
    // Nothing is lent any more, so a ring that nobody holds stays so.
    if (held_.load() == 0)
        memory_.unmap();
    else
        evacuate();
    link_events_.reset();
    socket_.reset();
}

// Moves the held blocks to memory of our own at the same address. Replacing a mapping is atomic for those who read it.
// Of a closed ring a mapping would keep the socket alive, and with it promiscuous mode and the share of the fanout
// group.
bool ring_core::evacuate() noexcept {
    auto const size = memory_.size();
    auto* const mapped =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return false; // then the ring stays mapped until the last block is released
    ring_memory fresh{static_cast<std::byte*>(mapped), size};
    for (std::size_t i = 0; i != block_count_; ++i) {
        if (!blocks_[i].lent_.load())
            continue;
        auto const unit_size = geometry_.unit_size;
        auto const at = i * unit_size;
        if (geometry_.has_slots) {
            // All but the status, which a release on another thread may write.
            constexpr auto status_size = offsetof(tpacket2_hdr, tp_len);
            std::memcpy(fresh.data() + at + status_size, memory_.data() + at + status_size, unit_size - status_size);
            continue;
        }
        auto const& header = block(i)->hdr.bh1;
        auto const first = header.offset_to_first_pkt;
        if (first < header.blk_len && header.blk_len <= unit_size)
            std::memcpy(fresh.data() + at + first, memory_.data() + at + first, header.blk_len - first);
    }
    if (::mremap(fresh.data(), size, size, MREMAP_MAYMOVE | MREMAP_FIXED, memory_.data()) == MAP_FAILED)
        return false;
    fresh.release();
    return true;
}

} // namespace netring_asio::afpacket::detail
