#include "packet_ring.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace netring_asio::pcap::detail {

packet_ring::packet_ring(std::size_t bytes)
    : capacity_{bytes / alignof(record) * alignof(record)}
    , memory_{std::make_unique_for_overwrite<std::byte[]>(capacity_)} {}

std::size_t packet_ring::size_of(packet_view const& packet) noexcept {
    auto const size = sizeof(record) + packet.data.size();
    return (size + alignof(record) - 1) / alignof(record) * alignof(record);
}

std::size_t packet_ring::push(packet_view const& packet) {
    auto const size = size_of(packet);
    if (size > capacity_)
        return 1;
    std::size_t dropped = 0;
    std::byte* at = nullptr;
    while ((at = place(size)) == nullptr) {
        pop();
        ++dropped;
    }
    auto* const r = ::new (at) record{packet, size};
    auto* const bytes = at + sizeof(record);
    if (!packet.data.empty())
        std::memcpy(bytes, packet.data.data(), packet.data.size());
    r->packet.data = {bytes, packet.data.size()};
    ++count_;
    return dropped;
}

/// Room for a record, and `end_` behind it; nothing where the oldest is in the way.
std::byte* packet_ring::place(std::size_t size) noexcept {
    if (count_ == 0)
        begin_ = end_ = 0;
    auto const wrapped = count_ != 0 && end_ <= begin_;
    if (!wrapped && capacity_ - end_ >= size) {
        end_ += size;
        return memory_.get() + end_ - size;
    }
    if (!wrapped) {
        if (begin_ < size)
            return nullptr;
        if (capacity_ - end_ >= sizeof(record))
            ::new (memory_.get() + end_) record{{}, 0};
        end_ = size;
        return memory_.get();
    }
    if (begin_ - end_ < size)
        return nullptr;
    end_ += size;
    return memory_.get() + end_ - size;
}

std::optional<packet_view> packet_ring::front() const noexcept {
    if (count_ == 0)
        return std::nullopt;
    return std::launder(reinterpret_cast<record const*>(memory_.get() + begin_))->packet;
}

void packet_ring::pop() noexcept {
    begin_ += std::launder(reinterpret_cast<record const*>(memory_.get() + begin_))->size;
    if (--count_ == 0) {
        begin_ = end_ = 0;
        return;
    }
    if (capacity_ - begin_ < sizeof(record) ||
        std::launder(reinterpret_cast<record const*>(memory_.get() + begin_))->size == 0)
        begin_ = 0;
}

void packet_ring::clear() noexcept { begin_ = end_ = count_ = 0; }

} // namespace netring_asio::pcap::detail
