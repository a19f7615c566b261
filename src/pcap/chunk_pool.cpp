#include "chunk_pool.hpp"

#include <netring_asio/detail/copied_packet.hpp>

#include <cstring>
#include <utility>

namespace netring_asio::pcap::detail {

chunk::chunk(std::size_t packets, std::size_t bytes)
    : bytes_{std::make_unique_for_overwrite<std::byte[]>(bytes)}
    , capacity_{bytes} {
    packets_.reserve(packets);
}

bool chunk::append(packet_view view) {
    auto const size = view.data.size();
    if (size > capacity_ - used_) {
        if (!empty())
            return false;
        bytes_ = std::make_unique_for_overwrite<std::byte[]>(size);
        capacity_ = size;
    }
    auto* const at = bytes_.get() + used_;
    if (size != 0)
        std::memcpy(at, view.data.data(), size);
    view.data = {at, size};
    packets_.push_back(view);
    auto const aligned = (size + 7) & ~std::size_t{7};
    used_ += aligned < capacity_ - used_ ? aligned : capacity_ - used_;
    return true;
}

packet_batch chunk::batch(std::uint64_t sequence) noexcept {
    batch_info info;
    info.sequence = sequence;
    info.first_time = packets_.front().time;
    info.last_time = packets_.back().time;
    return {packets_, packet_owner_ptr{this}, info};
}

frame chunk::hold(packet_view const& packet) {
    if (!pinned_.load(std::memory_order_acquire)) {
        if (!pool_->pin()) {
            pool_->counters_->copied.fetch_add(1, std::memory_order_relaxed);
            return netring_asio::detail::copy_to_frame(packet);
        }
        if (pinned_.exchange(true, std::memory_order_acq_rel))
            pool_->unpin(); // another thread was first
    }
    return packet_owner::hold(packet);
}

void chunk::recycle() noexcept {
    if (pinned_.exchange(false, std::memory_order_relaxed))
        pool_->unpin();
    packets_.clear();
    used_ = 0;
    auto const pool = std::move(pool_);
    pool->give_back(this);
}

chunk_pool::~chunk_pool() {
    while (free_ != nullptr)
        free_ = std::move(free_->next_);
}

boost::intrusive_ptr<chunk> chunk_pool::take() {
    std::unique_ptr<chunk> taken;
    {
        std::lock_guard const lock{mutex_};
        taken = std::move(free_);
        if (taken != nullptr)
            free_ = std::move(taken->next_);
    }
    if (taken == nullptr)
        taken = std::make_unique<chunk>(packets_, bytes_);
    taken->pool_ = this;
    return taken.release();
}

void chunk_pool::give_back(chunk* returned) noexcept {
    std::lock_guard const lock{mutex_};
    returned->next_ = std::move(free_);
    free_.reset(returned);
}

bool chunk_pool::pin() noexcept {
    auto pinned = counters_->pinned.load(std::memory_order_relaxed);
    while (pinned < pin_budget_)
        if (counters_->pinned.compare_exchange_weak(pinned, pinned + 1, std::memory_order_relaxed))
            return true;
    return false;
}

} // namespace netring_asio::pcap::detail
