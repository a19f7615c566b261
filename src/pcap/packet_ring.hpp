#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace netring_asio::pcap::detail {

/// The last packets, copied into memory of a fixed size.
class packet_ring {
public:
    explicit packet_ring(std::size_t bytes);

    /// Keeps a packet and drops the oldest for it; returns how many, this one if it does not fit at all.
    std::size_t push(packet_view const& packet);
    /// The oldest, valid until the next call that changes the ring.
    std::optional<packet_view> front() const noexcept;
    void pop() noexcept;
    std::size_t size() const noexcept { return count_; }
    void clear() noexcept;

private:
    struct record {
        packet_view packet;
        std::size_t size; // of the record, or 0 where the next lies at the beginning
    };
    static std::size_t size_of(packet_view const& packet) noexcept;
    std::byte* place(std::size_t size) noexcept;

    std::size_t capacity_;
    std::unique_ptr<std::byte[]> memory_;
    std::size_t begin_ = 0; // of the oldest
    std::size_t end_ = 0;   // behind the newest
    std::size_t count_ = 0;
};

} // namespace netring_asio::pcap::detail
