#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace netring_asio::flow {

/// Which bytes count where two segments claim the same place in a stream with different content.
enum class overlap_policy : std::uint8_t {
    first, ///< those that came first
    last,  ///< those that came last, unless they were handed over already
};

/// How a `reassembler` works.
class reassembler_options {
public:
    reassembler_options() = default;

    reassembler_options& overlap(overlap_policy value) noexcept { return overlap_ = value, *this; }
    /// Bytes kept for later, of one direction; above it the missing ones are given up. Default 1 MiB.
    reassembler_options& max_buffered(std::size_t value) noexcept { return max_buffered_ = value, *this; }
    /// How far behind what was delivered a segment may begin and still be believed. Default 1 GiB, TCP's largest
    /// window.
    reassembler_options& max_ahead(std::uint32_t value) noexcept { return max_ahead_ = value, *this; }
    /// How long bytes that the receiver has acknowledged may still turn up. Default 1 s.
    reassembler_options& acknowledged_grace(std::chrono::nanoseconds value) noexcept { return grace_ = value, *this; }

    /// How many segments of the direction must come meanwhile, so that a pause alone gives nothing up. Default 8.
    reassembler_options& reordering(unsigned value) noexcept { return reordering_ = value, *this; }

    overlap_policy overlap() const noexcept { return overlap_; }
    std::size_t max_buffered() const noexcept { return max_buffered_; }
    std::uint32_t max_ahead() const noexcept { return max_ahead_; }
    std::chrono::nanoseconds acknowledged_grace() const noexcept { return grace_; }
    unsigned reordering() const noexcept { return reordering_; }

private:
    overlap_policy overlap_ = overlap_policy::first;
    std::size_t max_buffered_ = std::size_t{1} << 20;
    std::uint32_t max_ahead_ = std::uint32_t{1} << 30;
    std::chrono::nanoseconds grace_ = std::chrono::seconds{1};
    unsigned reordering_ = 8;
};

/// Takes what a `reassembler` hands over: consecutive pieces, each beginning where the one before ended.
class byte_consumer {
public:
    /// Bytes of the stream. Valid during the call.
    virtual void data(std::uint64_t offset, std::span<std::byte const> bytes) = 0;
    /// Bytes that were not captured and are not expected any more.
    virtual void gap(std::uint64_t offset, std::uint64_t length) = 0;

protected:
    ~byte_consumer() = default;
};

/// Puts the bytes of one direction of a TCP connection in order.
///
/// In-order data is handed on without a copy. Offset 0 is the first byte behind the SYN, or in mid-stream the lowest
/// that was seen before the receiver acknowledged it. Repetitions are dropped, the wrap of the sequence numbers is
/// passed, and a keep-alive's byte before the next is none. Every missing byte is told as a gap: once the receiver has
/// acknowledged it and time and segments enough have passed, when too much waits behind it, or at the end.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
class reassembler {
public:
    explicit reassembler(reassembler_options const& options = reassembler_options{})
        : options_{options} {}

    /// The direction begins behind this sequence number: a SYN was seen.
    void open(std::uint32_t initial_sequence, byte_consumer& consumer);

    /// A segment came, with so many bytes of it not captured at its end.
    void segment(std::uint32_t sequence, std::span<std::byte const> bytes, std::size_t missing, timestamp now,
                 byte_consumer& consumer);

    /// The other side acknowledged everything before this number.
    void acknowledge(std::uint32_t number, timestamp now, byte_consumer& consumer);

    /// Time passed.
    void advance(timestamp now, byte_consumer& consumer);

    /// Nothing more will come: hands over what waits, with the gaps before it.
    void finish(byte_consumer& consumer);

    /// Bytes delivered or told as a gap so far.
    std::uint64_t offset() const noexcept { return anchored_ ? next_ - base_ : 0; }
    std::size_t buffered() const noexcept { return buffered_; }
    std::uint64_t repeated_bytes() const noexcept { return repeated_; } ///< came more than once
    std::uint64_t gap_bytes() const noexcept { return gap_; }
    std::uint64_t ignored_bytes() const noexcept { return ignored_; } ///< too far ahead to be believed

private:
    // Positions are sequence numbers without wrap, counted from far above zero so that some may come before the first.
    using position = std::uint64_t;
    static constexpr position origin = position{1} << 40;

    struct piece {
        position begin;
        position end;
        std::vector<std::byte> bytes; // empty: on the wire, but not captured
    };

    position place(std::uint32_t sequence) const noexcept;
    void anchor(position base) noexcept;
    void insert(position begin, std::span<std::byte const> bytes, std::size_t missing);
    void store(std::size_t at, position begin, position end, std::span<std::byte const> bytes);
    void deliver(byte_consumer& consumer);
    void skip_to(position to, byte_consumer& consumer);
    void settle(timestamp now, byte_consumer& consumer);

    reassembler_options options_;
    std::vector<piece> pieces_; // sorted, disjoint, all behind next_
    std::size_t buffered_ = 0;
    std::optional<std::uint32_t> reference_; // the sequence number at position origin
    position next_ = origin;
    position base_ = origin;
    std::optional<std::uint32_t> acknowledged_;
    std::optional<timestamp> missed_since_; // when the receiver was first seen to have what we miss
    unsigned segments_since_ = 0;
    bool anchored_ = false;
    std::uint64_t repeated_ = 0;
    std::uint64_t gap_ = 0;
    std::uint64_t ignored_ = 0;
};

} // namespace netring_asio::flow
