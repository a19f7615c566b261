#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace netring_asio::detail {

/// Memory for a few small handlers at a time, for an object whose operations come and go together.
///
/// Asio keeps the memory of two handlers for reuse on each thread, which is too little for an operation that has
/// several waits pending.
class handler_memory {
public:
    void* allocate(std::size_t size) {
        if (size <= slot_size)
            for (auto& slot : places_)
                if (!slot.taken.exchange(true, std::memory_order_acquire))
                    return slot.bytes.data();
        return ::operator new(size);
    }

    void deallocate(void* memory) noexcept {
        for (auto& slot : places_)
            if (slot.bytes.data() == memory)
                return slot.taken.store(false, std::memory_order_release);
        ::operator delete(memory);
    }

private:
    static constexpr std::size_t slot_size = 512;
    struct place {
        alignas(std::max_align_t) std::array<std::byte, slot_size> bytes;
        std::atomic<bool> taken{false};
    };
    std::array<place, 4> places_;
};

/// An allocator over memory that it shares.
template <class T>
class handler_allocator {
public:
    using value_type = T;

    explicit handler_allocator(std::shared_ptr<handler_memory> memory) noexcept
        : memory_{std::move(memory)} {}
    template <class U>
    handler_allocator(handler_allocator<U> const& other) noexcept
        : memory_{other.memory_} {}

    T* allocate(std::size_t count) { return static_cast<T*>(memory_->allocate(count * sizeof(T))); }
    void deallocate(T* memory, std::size_t) noexcept { memory_->deallocate(memory); }

    template <class U>
    bool operator==(handler_allocator<U> const& other) const noexcept {
        return memory_ == other.memory_;
    }

private:
    template <class>
    friend class handler_allocator;
    std::shared_ptr<handler_memory> memory_;
};

} // namespace netring_asio::detail
