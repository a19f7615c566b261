#pragma once

#include <cstdint>
#include <utility>

namespace lab {

/// Counts heap allocations since its construction: `operator new`, `malloc`, `calloc`, `realloc`, `aligned_alloc` (what
/// Asio uses) and the like, also under the address and thread sanitizers.
class allocation_counter {
public:
    allocation_counter() noexcept;
    /// By the calling thread.
    std::uint64_t here() const noexcept;
    /// By all threads.
    std::uint64_t everywhere() const noexcept;

    /// How many allocations of the calling thread `function` makes.
    template <class Function>
    static std::uint64_t of(Function&& function) {
        allocation_counter const counter;
        std::forward<Function>(function)();
        return counter.here();
    }

private:
    std::uint64_t here_, everywhere_;
};

/// Leaves the allocations of the calling thread out of the counts for a scope.
class uncounted {
public:
    uncounted() noexcept;
    ~uncounted();
    uncounted(uncounted const&) = delete;
    uncounted& operator=(uncounted const&) = delete;
};

} // namespace lab
