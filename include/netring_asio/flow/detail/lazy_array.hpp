#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include <sys/mman.h>

namespace netring_asio::flow::detail {

/// A fixed number of zeroed objects whose memory the kernel gives page by page, on first use.
///
/// So a large table costs nothing until it fills, never moves, and can be given back piece by piece. Its first pages
/// are small ones, because to get a huge one can take milliseconds; `collapse` lets the kernel join them in the
/// background, and `populate` takes huge ones at once.
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
        ::madvise(memory, size * sizeof(T), MADV_NOHUGEPAGE);
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

    /// Takes the memory of the items [0, count) now. Random access to a large table is bound by TLB misses, so in huge
    /// pages; refusal costs only speed.
    void populate(std::size_t count) noexcept {
        constexpr std::size_t page = 4096;
        auto const bytes = (std::min(count, size_) * sizeof(T) + page - 1) / page * page;
        ::madvise(items_, bytes, MADV_HUGEPAGE);
        ::madvise(items_, bytes, MADV_POPULATE_WRITE);
    }
    /// All items in [first, last) are in use: the kernel may put them on huge pages when it finds the time.
    void collapse(std::size_t first, std::size_t last) noexcept {
        auto const base = reinterpret_cast<std::uintptr_t>(items_);
        auto const begin = (base + first * sizeof(T)) / huge_page * huge_page;
        auto const end = (base + last * sizeof(T)) / huge_page * huge_page;
        if (begin >= base && begin < end)
            ::madvise(reinterpret_cast<std::byte*>(items_) + (begin - base), end - begin, MADV_HUGEPAGE);
    }

    /// Has the kernel give the page that this byte lies in.
    void touch(std::size_t byte) noexcept {
        auto volatile* const at = reinterpret_cast<unsigned char volatile*>(items_) + byte;
        *at = *at;
    }

    /// Gives the whole pages among the items [first, last) back; they read as zero afterwards.
    void release(std::size_t first, std::size_t last) noexcept {
        constexpr std::size_t page = 4096;
        auto const begin = (first * sizeof(T) + page - 1) / page * page;
        auto const end = last * sizeof(T) / page * page;
        if (begin < end)
            ::madvise(reinterpret_cast<std::byte*>(items_) + begin, end - begin, MADV_DONTNEED);
    }

    static constexpr std::size_t huge_page = std::size_t{1} << 21;

private:
    T* items_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace netring_asio::flow::detail
