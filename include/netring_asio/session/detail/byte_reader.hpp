#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace netring_asio::session::detail {

using bytes = std::span<std::byte const>;

inline std::string_view as_text(bytes value) noexcept {
    return {reinterpret_cast<char const*>(value.data()), value.size()};
}

/// Reads numbers in network byte order. Once something was not there, everything that follows is not there either.
class byte_reader {
public:
    explicit byte_reader(bytes input) noexcept
        : rest_{input} {}

    bytes take(std::size_t count) noexcept {
        if (count > rest_.size()) {
            failed_ = true;
            rest_ = {};
            return {};
        }
        auto const result = rest_.first(count);
        rest_ = rest_.subspan(count);
        return result;
    }
    std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(number<1>()); }
    std::uint16_t u16() noexcept { return static_cast<std::uint16_t>(number<2>()); }
    std::uint32_t u24() noexcept { return number<3>(); }
    std::uint32_t u32() noexcept { return number<4>(); }
    /// Bytes behind their number in one, two or three bytes.
    bytes vector8() noexcept { return take(u8()); }
    bytes vector16() noexcept { return take(u16()); }
    bytes vector24() noexcept { return take(u24()); }

    bool empty() const noexcept { return rest_.empty(); }
    bool failed() const noexcept { return failed_; }
    explicit operator bool() const noexcept { return !failed_; }
    bytes rest() const noexcept { return rest_; }

private:
    template <std::size_t Size>
    std::uint32_t number() noexcept {
        auto const from = take(Size);
        std::uint32_t value = 0;
        for (auto const byte : from)
            value = value << 8 | std::to_integer<std::uint32_t>(byte);
        return value;
    }

    bytes rest_;
    bool failed_ = false;
};

} // namespace netring_asio::session::detail
