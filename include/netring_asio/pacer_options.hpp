#pragma once

#include <cstdint>
#include <optional>

namespace netring_asio {

/// How fast a pacer lets frames go. Without a rate it holds nothing back.
class pacer_options {
public:
    pacer_options() noexcept {}

    /// At most this many packets a second, 1 to 10^9. After a pause `burst` packets may go at once, 1 to 2^31; 0, the
    /// default, stands for 2 ms of the rate, at least one packet.
    pacer_options& packets_per_second(std::uint64_t rate, std::uint64_t burst = 0) noexcept {
        packets_per_second_ = rate;
        packet_burst_ = burst;
        return *this;
    }
    /// At most this many bits a second, 1000 to 10^12. After a pause `burst` bytes may go at once, 1 to 2^31, and one
    /// request in any case; 0, the default, stands for 2 ms of the rate.
    pacer_options& bits_per_second(std::uint64_t rate, std::uint64_t burst = 0) noexcept {
        bits_per_second_ = rate;
        byte_burst_ = burst;
        return *this;
    }
    /// Bytes that a packet takes up beside its own, at most 1000: 24 on an Ethernet wire (preamble, check sequence,
    /// gap) for frames as an injector sends them. 0 by default.
    pacer_options& packet_overhead(std::uint32_t bytes) noexcept {
        packet_overhead_ = bytes;
        return *this;
    }

    std::optional<std::uint64_t> packets_per_second() const noexcept { return packets_per_second_; }
    std::uint64_t packet_burst() const noexcept { return packet_burst_; }
    std::optional<std::uint64_t> bits_per_second() const noexcept { return bits_per_second_; }
    std::uint64_t byte_burst() const noexcept { return byte_burst_; }
    std::uint32_t packet_overhead() const noexcept { return packet_overhead_; }

private:
    std::optional<std::uint64_t> packets_per_second_, bits_per_second_;
    std::uint64_t packet_burst_ = 0, byte_burst_ = 0;
    std::uint32_t packet_overhead_ = 0;
};

} // namespace netring_asio
