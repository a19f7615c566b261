#pragma once

#include <cstddef>
#include <utility>

#include <sys/mman.h>

namespace netring_asio::afpacket::detail {

/// The mapping of a ring, or what has taken its place.
class ring_memory {
public:
    ring_memory() noexcept = default;
    ring_memory(std::byte* data, std::size_t size) noexcept
        : data_{data}
        , size_{size} {}
    ring_memory(ring_memory&& other) noexcept
        : data_{std::exchange(other.data_, nullptr)}
        , size_{other.size_} {}
    ring_memory& operator=(ring_memory&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~ring_memory() { unmap(); }

    void unmap() noexcept {
        if (auto* const data = std::exchange(data_, nullptr))
            ::munmap(data, size_);
    }
    void release() noexcept { data_ = nullptr; }
    std::byte* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace netring_asio::afpacket::detail
