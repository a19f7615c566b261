#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/detail/token_bucket.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/pacer_options.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace netring_asio::detail {

/// When packets may go, by the rates of a pacer. Knows no clock: time comes in, as nanoseconds since any epoch.
class NETRING_ASIO_API pacing_schedule {
public:
    using nanoseconds = std::chrono::nanoseconds;

    /// Holds nothing back.
    pacing_schedule() noexcept = default;
    /// Begins with a burst that is there, or has to be saved up first.
    pacing_schedule(pacer_options const& options, nanoseconds now, bool burst, error_code& ec) noexcept;

    /// Takes the packets, all or none; `waited` tells that they were asked for when `wake` was called.
    bool take(std::uint64_t packets, std::uint64_t bytes, nanoseconds now, bool waited) noexcept;

    /// When to try again what could not be taken: once more packets can go with them, so that there are at most some
    /// thousand wake-ups a second.
    nanoseconds wake(std::uint64_t packets, std::uint64_t bytes) const noexcept;

private:
    std::uint64_t bits(std::uint64_t packets, std::uint64_t bytes) const noexcept;

    std::optional<token_bucket> packets_, bits_;
    std::uint32_t overhead_ = 0;
};

} // namespace netring_asio::detail
