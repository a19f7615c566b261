#pragma once

#include <utility>

#include <unistd.h>

namespace netring_asio::detail {

/// A file descriptor that is closed with its owner.
class unique_descriptor {
public:
    unique_descriptor() noexcept = default;
    explicit unique_descriptor(int value) noexcept
        : value_{value} {}
    unique_descriptor(unique_descriptor&& other) noexcept
        : value_{other.release()} {}
    unique_descriptor& operator=(unique_descriptor&& other) noexcept {
        reset(other.release());
        return *this;
    }
    ~unique_descriptor() { reset(); }

    void reset(int value = -1) noexcept {
        if (auto const old = std::exchange(value_, value); old >= 0)
            ::close(old);
    }
    int release() noexcept { return std::exchange(value_, -1); }
    int get() const noexcept { return value_; }
    explicit operator bool() const noexcept { return value_ >= 0; }

private:
    int value_ = -1;
};

} // namespace netring_asio::detail
