#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include <sys/mman.h>

namespace netring_asio::flow::detail {

/// A fixed number of zeroed objects whose memory the kernel gives page by page, on first use.
///
/// So a large table costs nothing until it fills, never moves, and can be given back piece by piece.
template <class T>
class lazy_array {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    lazy_array() = default;
    explicit lazy_array(std::size_t size)
        : size_{size} {
        if (size == 0)
            return;
        auto* memory = ::mmap(nullptr, size * sizeof(T), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
            throw std::bad_alloc{};
        items_ = static_cast<T*>(memory);
        // Random access to a large table is bound by TLB misses. Refusal costs only speed.
        if (size * sizeof(T) >= huge_page)
            ::madvise(memory, size * sizeof(T), MADV_HUGEPAGE);
    }
    lazy_array(lazy_array&& other) noexcept
        : items_{std::exchange(other.items_, nullptr)}
        , size_{std::exchange(other.size_, 0)} {}
    lazy_array& operator=(lazy_array&& other) noexcept {
        lazy_array moved{std::move(other)};
        std::swap(items_, moved.items_);
        std::swap(size_, moved.size_);
        return *this;
    }
    ~lazy_array() {
        if (items_ != nullptr)
            ::munmap(items_, size_ * sizeof(T));
    }

    std::size_t size() const noexcept { return size_; }
    T& operator[](std::size_t i) noexcept { return items_[i]; }
    T const& operator[](std::size_t i) const noexcept { return items_[i]; }

    /// Gives the whole pages among the items [first, last) back; they read as zero afterwards.
    void release(std::size_t first, std::size_t last) noexcept {
        constexpr std::size_t page = 4096;
        auto const begin = (first * sizeof(T) + page - 1) / page * page;
        auto const end = last * sizeof(T) / page * page;
        if (begin < end)
            ::madvise(reinterpret_cast<std::byte*>(items_) + begin, end - begin, MADV_DONTNEED);
    }

private:
    static constexpr std::size_t huge_page = std::size_t{1} << 21;
    T* items_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace netring_asio::flow::detail
