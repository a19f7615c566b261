#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/detail/waiting_piece.hpp>
#include <netring_asio/flow/reassembler_options.hpp>
#include <netring_asio/flow/reassembly_memory.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace netring_asio::flow {

/// Takes what a `reassembler` hands over: consecutive pieces, each beginning where the one before ended.
class NETRING_ASIO_API byte_consumer {
public:
    /// Bytes of the stream. Valid during the call.
    virtual void data(std::uint64_t offset, std::span<std::byte const> bytes) = 0;
    /// Bytes that were not captured and are not expected any more.
    virtual void gap(std::uint64_t offset, std::uint64_t length) = 0;

protected:
    ~byte_consumer() = default;
};

/// Puts the bytes of one direction of a TCP connection in order. See `stream_pair` for both.
///
/// In-order data is handed on without a copy. Offset 0 is the first byte behind the SYN, or in mid-stream the lowest
/// that was seen before the receiver acknowledged it. Repetitions are dropped, the wrap of the sequence numbers is
/// passed, and a keep-alive's byte before the next is none. Every missing byte is told as a gap: once the receiver has
/// acknowledged it and time and segments enough have passed, when nobody acknowledged it for too long, when too much
/// waits behind it, or at the end.
///
/// Allocates only for what comes out of order, and with a `reassembly_memory` only while that grows.
///
/// @par Thread safety
/// Distinct objects: safe, unless they share a `reassembly_memory`. Shared objects: unsafe.
class NETRING_ASIO_API reassembler {
public:
    explicit reassembler(reassembler_options const& options = reassembler_options{},
                         reassembly_memory* memory = nullptr) noexcept
        : options_{options}
        , memory_{memory} {}
    reassembler(reassembler&& other) noexcept = default;
    reassembler& operator=(reassembler&&) = delete;
    ~reassembler() { clear(); }

    /// The direction begins behind this sequence number: a SYN was seen.
    void open(std::uint32_t initial_sequence, byte_consumer& consumer);

    /// A segment came, with so many bytes of it not captured at its end.
    void segment(std::uint32_t sequence, std::span<std::byte const> bytes, std::size_t missing, timestamp now,
                 byte_consumer& consumer);

    /// The other side acknowledged everything before this number.
    void acknowledge(std::uint32_t number, timestamp now, byte_consumer& consumer);

    /// The other side said that it takes bytes before this number, and none from there on. Where that is known, what
    /// lies behind it drives nothing out and has nothing given up: who is to take it does not.
    void window(std::uint32_t end, timestamp now) noexcept;

    /// A FIN came: nothing comes from this number on.
    void close(std::uint32_t sequence) noexcept;

    /// Time passed.
    void advance(timestamp now, byte_consumer& consumer);

    /// Nothing more will come: hands over what waits, with the gaps before it.
    void finish(byte_consumer& consumer);

    /// Bytes delivered or told as a gap so far.
    std::uint64_t offset() const noexcept { return anchored_ ? told_ - base_ : 0; }
    /// Bytes that wait for others, each segment counting 128 more.
    std::size_t buffered() const noexcept { return buffered_; }
    std::uint64_t repeated_bytes() const noexcept { return repeated_; } ///< came more than once
    std::uint64_t gap_bytes() const noexcept { return gap_; }
    /// Too far ahead to be believed, or dropped over the budget, or because the receiver takes nothing there.
    std::uint64_t ignored_bytes() const noexcept { return ignored_; }
    /// Everything before the FIN was delivered or told as a gap.
    bool ended() const noexcept { return end_ != 0 && anchored_ && !stopped_ && told_ >= end_; }
    /// Given up over the budget, by `budget_policy::stop`.
    bool stopped() const noexcept { return stopped_; }

private:
    using position = detail::stream_position;
    using piece = detail::waiting_piece;
    using iterator = detail::waiting_pieces::iterator;
    static constexpr position origin = position{1} << 40;

    struct incoming;

    position place(std::uint32_t sequence) const noexcept;
    void anchor(position base) noexcept;
    void insert(incoming const& segment);
    void store(incoming const& segment, position begin, position end);
    iterator replace(iterator const& old, incoming const& segment, position begin, position end);
    bool is_preferred(incoming const& segment, piece const& to) const noexcept;
    iterator discard(iterator const& at) noexcept;
    void clear() noexcept;
    bool over_budget(std::size_t more = 0) const noexcept;
    bool is_beyond_window(position begin) const noexcept;
    bool drop_beyond_window() noexcept;
    void stop() noexcept;
    void deliver(byte_consumer& consumer);
    position end_of_gap() const noexcept;
    void skip(byte_consumer& consumer);
    void settle(timestamp now, byte_consumer& consumer);
    bool is_given_up(timestamp now) noexcept;

    reassembler_options options_;
    reassembly_memory* memory_;
    detail::waiting_pieces pieces_; // disjoint, all behind next_
    std::size_t buffered_ = 0;
    std::optional<std::uint32_t> reference_; // the sequence number at position origin
    position next_ = origin;
    position base_ = origin;
    position told_ = origin; // next_, unless stopped
    position end_ = 0;       // where a FIN said that the direction ends
    std::optional<std::uint32_t> acknowledged_;
    std::optional<std::uint32_t> window_end_;
    timestamp window_time_{};                     // when the receiver last spoke of it
    std::optional<timestamp> missing_since_;      // when something first waited for what is missing now
    std::optional<timestamp> acknowledged_since_; // when the receiver was first seen to have what we miss
    unsigned segments_since_ = 0;
    bool anchored_ = false;
    bool stopped_ = false;
    std::uint64_t repeated_ = 0;
    std::uint64_t gap_ = 0;
    std::uint64_t ignored_ = 0;
};

} // namespace netring_asio::flow
