#pragma once

#include <netring_asio/flow/detail/lazy_array.hpp>

#include <cstddef>
#include <cstdint>

namespace netring_asio::flow::detail {

/// A bounded number of objects that come and go, by number. An object has `next_free`, which is free to use while it is
/// not in use.
template <class T>
class free_list {
public:
    static constexpr std::uint32_t none = 0xffffffff;

    explicit free_list(std::size_t capacity)
        : items_{capacity} {}

    T& operator[](std::uint32_t at) noexcept { return items_[at]; }
    T const& operator[](std::uint32_t at) const noexcept { return items_[at]; }
    std::size_t size() const noexcept { return size_; }

    /// A fresh object; there must be less of them than the capacity.
    std::uint32_t allocate() noexcept {
        ++size_;
        auto at = free_;
        if (at == none)
            at = used_++;
        else
            free_ = items_[at].next_free;
        items_[at] = T{};
        return at;
    }
    void free(std::uint32_t at) noexcept {
        items_[at].next_free = free_;
        free_ = at;
        --size_;
    }

private:
    lazy_array<T> items_;
    std::size_t size_ = 0;
    std::uint32_t used_ = 0;
    std::uint32_t free_ = none;
};

} // namespace netring_asio::flow::detail
