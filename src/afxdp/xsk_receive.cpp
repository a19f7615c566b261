#include "../detail/kernel_constants.hpp"
#include "rx_metadata.hpp"
#include "xsk_core.hpp"
#include <netring_asio/detail/offload.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include <sys/socket.h>
#include <time.h>

namespace netring_asio::afxdp::detail {
namespace {

timestamp now() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return timestamp{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}};
}

} // namespace

void xsk_core::refill(bool await_more) {
    auto& pool = *receive_pool_;
    std::uint32_t count = 0;
    pool.take(xsk_prod_nb_free(&fill_, fill_.size), [&](std::span<std::uint32_t const> chunks) {
        std::uint32_t at = 0;
        xsk_ring_prod__reserve(&fill_, static_cast<std::uint32_t>(chunks.size()), &at);
        auto const map = memory_->map();
        auto ring = fill_;
        for (auto const index : chunks) {
            map.word(index).store(chunk_word::of(0, chunk_state::kernel), std::memory_order_relaxed);
            *xsk_ring_prod__fill_addr(&ring, at++) = map.address(index);
        }
        count += static_cast<std::uint32_t>(chunks.size());
    });
    if (count != 0) {
        xsk_ring_prod__submit(&fill_, count);
        if (xsk_ring_prod__needs_wakeup(&fill_))
            ::recvfrom(socket_, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
    }
    // The kernel has half of what it could have: then more must come from those who hold it.
    if (await_more &&
        fill_.size - xsk_prod_nb_free(&fill_, fill_.size) < std::min<std::size_t>(fill_.size, pool.size()) / 2)
        pool.await();
}

bool xsk_core::poll_device() noexcept {
    ::recvfrom(socket_, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
    return xsk_cons_nb_avail(&rx_, 1) != 0;
}

bool xsk_core::receive(packet_batch& batch) {
    batch.reset();
    refill(false);
    std::uint32_t at = 0;
    auto const count = xsk_ring_cons__peek(&rx_, static_cast<std::uint32_t>(batch_size_), &at);
    if (count == 0)
        return false;
    packet_view prototype;
    prototype.clock = clock_source::software;
    prototype.interface_index = interface_index_;
    prototype.queue = queue_;
    auto& lent = receive_pool_->lend_burst(batch_size_, prototype);
    auto const time = now();
    auto const came = metadata_ || multi_buffer_ ? take_any(lent, at, count, time) : take_whole(lent, at, count, time);
    std::span const packets{lent.packets.data(), came.packets};
    look_at_checksums(packets);
    if (came.descriptors != count) // a frame of which the rest has not come
        xsk_ring_cons__cancel(&rx_, count - came.descriptors);
    if (came.descriptors != 0)
        xsk_ring_cons__release(&rx_, came.descriptors);
    add(received_, came.packets);
    add(received_bytes_, came.bytes);
    batch = packet_batch{
        packets, packet_owner_ptr{&lent}, {.sequence = sequence_++, .first_time = time, .last_time = time}};
    if (!batch.empty())
        return true;
    batch.reset();
    return false;
}

xsk_core::taken xsk_core::take_whole(burst& lent, std::uint32_t at, std::uint32_t count, timestamp time) noexcept {
    auto const map = memory_->map();
    auto const ring = rx_;
    auto const lent_word = lent.lent_word;
    lent.chunks.resize(count); // for which there is room
    auto* chunk = lent.chunks.data();
    auto* view = lent.packets.data();
    std::uint64_t bytes = 0;
    for (std::uint32_t i = 0; i != count; ++i) {
        auto const& descriptor = *xsk_ring_cons__rx_desc(&ring, at + i);
        auto const address = descriptor.addr;
        auto const length = descriptor.len;
        auto const index = map.chunk_at(address);
        if (!map.is_with_kernel(index)) [[unlikely]] {
            add(bad_addresses_, 1);
            continue;
        }
        auto* const data = map.data(address);
        // The next that the caller does is to look at it.
        __builtin_prefetch(data);
        map.word(index).store(lent_word, std::memory_order_relaxed);
        *chunk++ = index;
        view->data = {data, length};
        view->wire_length = length;
        view->time = time;
        ++view;
        bytes += length;
    }
    auto const packets = static_cast<std::size_t>(view - lent.packets.data());
    lent.chunks.resize(packets);
    return {count, packets, bytes};
}

xsk_core::taken xsk_core::take_any(burst& lent, std::uint32_t at, std::uint32_t count, timestamp time) {
    auto const& map = memory_->map();
    auto* view = lent.packets.data();
    taken result;
    std::uint32_t frame_start = 0; // the first descriptor of a frame that takes several chunks
    bool in_frame = false;
    lent.joined.clear();
    lent.joins.clear();
    for (std::uint32_t i = 0; i != count; ++i) {
        auto const& descriptor = *xsk_ring_cons__rx_desc(&rx_, at + i);
        auto const index = map.chunk_at(descriptor.addr);
        if (!map.is_with_kernel(index)) [[unlikely]] {
            add(bad_addresses_, 1);
            result.descriptors = i + 1;
            continue;
        }
        auto* const data = map.data(descriptor.addr);
        bool const more = (descriptor.options & XDP_PKT_CONTD) != 0;
        if (!in_frame) {
            frame_start = i;
            view->time = time;
            if (metadata_)
                take_metadata(data, *view);
        }
        if (more) {
            in_frame = true;
            continue; // its chunks are taken when the last is there
        }
        if (std::exchange(in_frame, false)) {
            lent.joins.push_back({static_cast<std::size_t>(view - lent.packets.data()), lent.joined.size()});
            auto const start = lent.joined.size();
            for (auto j = frame_start; j <= i; ++j)
                take_part(lent, *xsk_ring_cons__rx_desc(&rx_, at + j));
            view->data = {};
            view->wire_length = static_cast<std::uint32_t>(lent.joined.size() - start);
        } else {
            __builtin_prefetch(data);
            map.word(index).store(lent.lent_word, std::memory_order_relaxed);
            lent.chunks.push_back(index);
            view->data = {data, descriptor.len};
            view->wire_length = descriptor.len;
        }
        result.bytes += view->wire_length;
        ++view;
        result.descriptors = i + 1;
    }
    for (auto const& join : lent.joins)
        lent.packets[join.packet].data = {lent.joined.data() + join.offset, lent.packets[join.packet].wire_length};
    result.packets = static_cast<std::size_t>(view - lent.packets.data());
    return result;
}

void xsk_core::take_part(burst& lent, xdp_desc const& part) {
    auto const index = memory_->chunk_at(part.addr);
    if (index == no_chunk)
        return;
    memory_->word(index).store(lent.lent_word, std::memory_order_relaxed);
    lent.chunks.push_back(index);
    auto const* const data = memory_->data(part.addr);
    lent.joined.insert(lent.joined.end(), data, data + part.len);
}

void xsk_core::look_at_checksums(std::span<packet_view const> packets) noexcept {
    std::uint64_t found = 0;
    for (auto const& packet :
         packets.first(finish_checksums_ ? packets.size() : std::min<std::size_t>(packets.size(), 1))) {
        auto const left = netring_asio::detail::find_unfinished_checksum(packet.data, packet.link);
        if (left.checksum_start == 0)
            continue;
        ++found;
        // The memory is ours, and nobody has seen the packet.
        if (finish_checksums_)
            netring_asio::detail::finish_checksum({const_cast<std::byte*>(packet.data.data()), packet.data.size()},
                                                  left);
    }
    if (found != 0)
        add(unfinished_, found);
}

} // namespace netring_asio::afxdp::detail
