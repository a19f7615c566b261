#include <atomic>
#include <cerrno>
#include <cstddef>
#include <lab/allocations.hpp>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LAB_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LAB_SANITIZER
#endif
#endif

namespace lab {

namespace {

// Constant initialisation: allocations happen before any constructor runs.
constinit std::atomic<std::uint64_t> total{0};
constinit thread_local std::uint64_t mine = 0;
constinit thread_local int paused = 0;

void count() noexcept {
    if (paused != 0)
        return;
    ++mine;
    total.fetch_add(1, std::memory_order_relaxed);
}

} // namespace

allocation_counter::allocation_counter() noexcept
    : here_{mine}
    , everywhere_{total.load(std::memory_order_relaxed)} {}

std::uint64_t allocation_counter::here() const noexcept { return mine - here_; }
std::uint64_t allocation_counter::everywhere() const noexcept {
    return total.load(std::memory_order_relaxed) - everywhere_;
}

uncounted::uncounted() noexcept { ++paused; }
uncounted::~uncounted() { --paused; }

} // namespace lab

#ifdef LAB_SANITIZER

extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(void const volatile*, std::size_t),
                                                         void (*)(void const volatile*));

namespace {
[[maybe_unused]] int const installed = __sanitizer_install_malloc_and_free_hooks(
    [](void const volatile*, std::size_t) { lab::count(); }, [](void const volatile*) {});
} // namespace

#else

// The program's own definitions go before those of glibc for every library in the process; free stays glibc's.
extern "C" {

void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) {
    lab::count();
    return __libc_malloc(size);
}

void* calloc(std::size_t number, std::size_t size) {
    lab::count();
    return __libc_calloc(number, size);
}

void* realloc(void* old, std::size_t size) {
    lab::count();
    return __libc_realloc(old, size);
}

void* memalign(std::size_t alignment, std::size_t size) {
    lab::count();
    return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
    lab::count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
    lab::count();
    void* const memory = __libc_memalign(alignment, size);
    if (memory == nullptr)
        return ENOMEM;
    *result = memory;
    return 0;
}

} // extern "C"

#endif
