#include <netring_asio/capture_options.hpp>

namespace netring_asio {

capture_options& capture_options::profile(capture_profile value) noexcept {
    constexpr std::size_t kibibyte = 1024;
    auto set = [this](std::size_t size, std::size_t count, std::chrono::milliseconds timeout) {
        block_size_ = size;
        block_count_ = count;
        block_timeout_ = timeout;
        low_latency_ = false;
    };
    switch (value) {
    case capture_profile::balanced:
        set(256 * kibibyte, 128, std::chrono::milliseconds{5});
        break;
    case capture_profile::throughput:
        set(1024 * kibibyte, 64, std::chrono::milliseconds{10});
        break;
    case capture_profile::low_memory:
        set(128 * kibibyte, 16, std::chrono::milliseconds{10});
        break;
    case capture_profile::jumbo:
        set(4096 * kibibyte, 32, std::chrono::milliseconds{10});
        break;
    case capture_profile::low_latency:
        set(64 * kibibyte, 128, std::chrono::milliseconds{0});
        low_latency_ = true;
        break;
    }
    return *this;
}

} // namespace netring_asio
