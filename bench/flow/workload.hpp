#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace bench {

/// TCP connections between many hosts, as frames in memory: so many open at any time, each packet of a connection drawn
/// uniformly, IPv4 and IPv6 half each. Of 120 packets of a connection 3 open it and 3 close it, so that 5 % of all do
/// one or the other, and the others carry data or acknowledge it, in both directions.
class workload {
public:
    /// Full segments carry `payload` bytes, requests a quarter of it.
    explicit workload(std::size_t connections, std::uint16_t payload = 1200);

    static constexpr std::uint16_t whole_payload = 48; ///< with which frames lie whole in memory

    static constexpr std::size_t stride = 128; ///< bytes a frame takes in memory; it was longer on the wire

    /// Makes the next `count` frames, in place of those before.
    void generate(std::size_t count);
    /// Makes the handshakes of the connections [first, last), and nothing else.
    void open(std::size_t first, std::size_t last);

    std::size_t connections() const noexcept { return slots_.size(); }
    std::size_t size() const noexcept { return offsets_.size(); }
    std::byte const* frames() const noexcept { return frames_.data(); }
    std::span<std::uint64_t const> offsets() const noexcept { return offsets_; }
    netring_asio::packet_view view(std::size_t at) const noexcept;

private:
    struct slot {
        std::uint32_t generation = 0;
        std::uint32_t client_next = 0;
        std::uint32_t server_next = 0;
        std::uint16_t step = 0;
    };
    void add(std::size_t at);
    std::uint64_t random() noexcept;

    std::vector<slot> slots_;
    std::uint16_t payload_;
    std::vector<std::byte> frames_;
    std::vector<std::uint64_t> offsets_;
    std::vector<std::uint16_t> lengths_;
    std::uint64_t state_ = 1;
    netring_asio::timestamp time_;
    std::vector<netring_asio::timestamp> times_;
};

/// A SYN between hosts that never spoke before, number `n`, written to `frame` of at least 54 bytes.
void write_attempt(std::uint64_t n, std::byte* frame) noexcept;
inline constexpr std::size_t attempt_length = 54;

} // namespace bench
