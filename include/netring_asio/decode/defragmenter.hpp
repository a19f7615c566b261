#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/detail/api.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace netring_asio::decode {

/// How much a defragmenter keeps, and for how long.
class defragmenter_options {
public:
    defragmenter_options() = default;

    /// Datagrams in the works at once; one more drops the oldest. Default 4096.
    defragmenter_options& max_datagrams(std::size_t value) noexcept { return max_datagrams_ = value, *this; }
    /// The memory of their bytes together; what would exceed it drops the oldest. Default 16 MiB.
    defragmenter_options& max_bytes(std::size_t value) noexcept { return max_bytes_ = value, *this; }
    /// Packet time from the first fragment seen until the datagram is given up. Default 30 s, as in Linux.
    defragmenter_options& timeout(std::chrono::nanoseconds value) noexcept { return timeout_ = value, *this; }

    std::size_t max_datagrams() const noexcept { return max_datagrams_; }
    std::size_t max_bytes() const noexcept { return max_bytes_; }
    std::chrono::nanoseconds timeout() const noexcept { return timeout_; }

private:
    std::size_t max_datagrams_ = 4096;
    std::size_t max_bytes_ = std::size_t{16} << 20;
    std::chrono::nanoseconds timeout_ = std::chrono::seconds{30};
};

/// Puts IPv4 and IPv6 datagrams together from fragments, and tells which ports a later fragment belongs to.
///
/// Where fragments overlap, IPv4 keeps the bytes that came first (RFC 815 fills holes only), IPv6 drops the whole
/// datagram (RFC 5722); a repetition with the same bytes is no overlap (RFC 8200, 4.5). Later fragments that come
/// before the first one are counted and attributed when it comes, or told as orphans when it does not.
///
/// Allocates only while it holds more than ever before. What it keeps for datagrams to come is bounded as they are.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
class NETRING_ASIO_API defragmenter {
public:
    /// Fragments of one datagram that are to be accounted together.
    struct share {
        std::uint64_t packets = 0;
        std::uint64_t wire_bytes = 0;
        std::uint64_t ip_bytes = 0;
        std::uint64_t payload_bytes = 0;
        timestamp first_time{};
        timestamp last_time{};
    };

    struct result {
        bool attributed = false; ///< protocol and ports below are those of the datagram
        std::uint8_t protocol = 0;
        std::uint16_t source_port = 0;
        std::uint16_t destination_port = 0;
        bool cut = false; ///< the first fragment, and not captured whole: the datagram will never be complete
        share waiting;    ///< came earlier, and can be attributed now
        std::span<std::byte const> datagram; ///< if complete: from its IP header on, valid until the next call
    };

    explicit defragmenter(defragmenter_options const& options = defragmenter_options{})
        : options_{options} {}

    /// Takes a fragment in; `fragment` must be the headers of the layer that is fragmented. Call `expire` before it
    /// until that returns false, to make room.
    result add(headers const& fragment, timestamp now);

    /// Gives up what is too old, one datagram a call: fills `orphan` with addresses and protocol, and `waiting` with
    /// what was never attributed (zero packets if all was). Returns false when nothing has to be given up.
    bool expire(timestamp now, headers& orphan, share& waiting);
    /// The same whatever the age.
    bool flush(headers& orphan, share& waiting);

    /// The clock went from `before` to `now` at once: what was begun at `before` counts as begun just now.
    void jump(timestamp before, timestamp now) noexcept;

    std::size_t datagrams() const noexcept { return index_.size(); }
    /// The memory of those that are not complete.
    std::size_t bytes() const noexcept { return bytes_; }
    /// Datagrams dropped because of overlaps, impossible lengths, or a budget.
    std::uint64_t dropped() const noexcept { return dropped_; }

private:
    static constexpr std::uint32_t none = 0xffffffff;

    struct key {
        ip_address source;
        ip_address destination;
        std::uint32_t id = 0;
        std::uint32_t tunnel_id = 0;
        std::uint16_t protocol = 0; // of IPv4 only
        std::uint16_t ip_version = 0;
        friend bool operator==(key const&, key const&) = default;
    };
    static std::size_t random_seed();
    struct key_hash {
        std::size_t salt = random_seed(); // so that a stranger cannot have datagrams share a bucket
        std::size_t operator()(key const& k) const noexcept;
    };
    struct range {
        std::uint32_t begin;
        std::uint32_t end;
    };
    struct datagram {
        decode::defragmenter::key key;
        timestamp begun;
        std::uint32_t newer = none;
        std::uint32_t older = none;
        std::uint32_t total = 0; // 0 until the last fragment came
        bool has_first = false;
        bool closed = true; // keeps no bytes any more: complete, or spoiled
        bool complete = false;
        std::uint8_t protocol = 0;
        std::uint8_t next_header = 0;
        std::uint16_t source_port = 0;
        std::uint16_t destination_port = 0;
        share waiting;
        std::vector<range> ranges; // sorted, disjoint, not touching
        std::vector<std::byte> buffer;

        std::size_t memory() const noexcept { return buffer.capacity() + ranges.capacity() * sizeof(range); }
    };

    std::uint32_t open(key const& k, timestamp now);
    void begin(std::uint32_t at, timestamp now);
    void unlink(std::uint32_t at) noexcept;
    void store(datagram& d, headers const& fragment);
    bool make_room(std::size_t more, datagram const& wanted);
    std::span<std::byte const> finish(datagram& d, headers const& fragment);
    void spoil(datagram& d);
    void close(datagram& d);
    static void keep_within(std::size_t room, datagram& d);
    void give_up(std::uint32_t at, headers& orphan, share& waiting);

    defragmenter_options options_;
    boost::unordered_flat_map<key, std::uint32_t, key_hash> index_;
    std::vector<datagram> slots_;
    std::vector<std::uint32_t> free_;
    std::vector<std::byte> ready_;
    std::uint32_t oldest_ = none;
    std::uint32_t newest_ = none;
    std::uint32_t oldest_open_ = none; // all before it are closed
    std::size_t bytes_ = 0;
    std::size_t spare_bytes_ = 0; // of the closed ones, and of slots that are free
    std::uint64_t dropped_ = 0;
};

} // namespace netring_asio::decode
