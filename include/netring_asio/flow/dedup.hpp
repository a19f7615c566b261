#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/detail/hash_index.hpp>
#include <netring_asio/flow/detail/lazy_array.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace netring_asio::flow {

/// Which packets a `dedup` takes for copies of one another.
class dedup_options {
public:
    using duration = std::chrono::nanoseconds;

    dedup_options() = default;

    /// How far apart copies may be, by their stamps, which must be of clocks that agree. Default 10 ms.
    dedup_options& window(duration value) noexcept { return window_ = value, *this; }
    /// How often a mirror hands out each packet with all its bytes the same: 2 for a port mirrored in both directions.
    /// Default 1: two such packets are two transmissions.
    dedup_options& identical_copies(unsigned value) noexcept { return copies_ = value == 0 ? 1 : value, *this; }
    /// Copies may have passed routers: hop limit and IPv4 header checksum may differ. Default off.
    dedup_options& ignore_hop_limit(bool value) noexcept { return ignore_hop_limit_ = value, *this; }
    /// Copies may have other MAC addresses. Default off.
    dedup_options& ignore_mac(bool value) noexcept { return ignore_mac_ = value, *this; }
    /// Copies may have other VLAN tags, or none. Default off.
    dedup_options& ignore_vlan(bool value) noexcept { return ignore_vlan_ = value, *this; }
    /// Packets remembered at once; the oldest is forgotten early. Default 65536.
    dedup_options& max_packets(std::size_t value) noexcept { return max_packets_ = value == 0 ? 1 : value, *this; }
    /// Their bytes together, at least 128 KiB. Default 16 MiB.
    dedup_options& max_bytes(std::size_t value) noexcept { return max_bytes_ = value, *this; }

    duration window() const noexcept { return window_; }
    unsigned identical_copies() const noexcept { return copies_; }
    bool ignore_hop_limit() const noexcept { return ignore_hop_limit_; }
    bool ignore_mac() const noexcept { return ignore_mac_; }
    bool ignore_vlan() const noexcept { return ignore_vlan_; }
    std::size_t max_packets() const noexcept { return max_packets_; }
    std::size_t max_bytes() const noexcept { return max_bytes_; }

private:
    duration window_ = std::chrono::milliseconds{10};
    unsigned copies_ = 1;
    bool ignore_hop_limit_ = false;
    bool ignore_mac_ = false;
    bool ignore_vlan_ = false;
    std::size_t max_packets_ = 65536;
    std::size_t max_bytes_ = std::size_t{16} << 20;
};

/// Counters of a `dedup`, that only grow.
struct dedup_statistics {
    std::uint64_t packets = 0;
    std::uint64_t copies = 0;    ///< of these, seen before
    std::uint64_t forgotten = 0; ///< transmissions forgotten within the window for lack of room
};

/// Tells the first sight of a packet from further sights of the same one.
///
/// A packet is seen again where it passes several points: on its way out of and into `lo`, on the two ports of a
/// bridge, before and behind a router. A point is an interface and whether the packet went out of it, with the hop
/// limit, MAC addresses and tags where these may differ. Packets with the same bytes at *one* point are transmissions
/// of their own: retransmissions are never taken for copies. So of equal packets as many are kept as the point saw that
/// saw most of them.
///
/// Bytes are compared, not only hashes; of packets cut by a snap length those that were captured and the whole length.
/// Tags that the kernel took out count as if they were in place. Allocates nothing after construction but index space.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
class NETRING_ASIO_API dedup {
public:
    explicit dedup(dedup_options const& options = dedup_options{});

    /// Whether the packet was not seen before: the one to keep.
    bool operator()(packet_view const& packet);

    dedup_statistics const& statistics() const noexcept { return statistics_; }
    dedup_options const& options() const noexcept { return options_; }

private:
    static constexpr std::uint32_t none = 0xffffffff;
    static constexpr std::size_t max_points = 12;

    /// What is compared of a packet.
    struct essence {
        std::span<std::byte const> bytes;
        std::uint32_t wire_length;
        link_type link;
        std::uint64_t point;
        std::uint64_t hash;
    };
    /// Equal packets within the window.
    struct group {
        std::uint32_t hash;
        std::uint32_t size;
        std::uint64_t bytes; // where the latest of them lies
        std::uint32_t wire_length;
        link_type link;
        std::uint64_t oldest; // number of the first transmission that is not forgotten
        std::uint64_t next;   // number of the next transmission
        struct sight {
            std::uint64_t point;
            std::uint64_t seen; // of all transmissions, times the identical copies
        };
        std::array<sight, max_points> sights;
        std::uint32_t sight_count;
        std::uint32_t next_free;
    };
    struct transmission {
        timestamp time;
        std::uint64_t bytes_end;
        std::uint32_t group;
    };

    essence essence_of(packet_view const& packet);
    void append(std::span<std::byte const> bytes) { scratch_.insert(scratch_.end(), bytes.begin(), bytes.end()); }
    std::uint32_t find(essence const& packet) const noexcept;
    std::uint32_t create(essence const& packet) noexcept;
    group::sight* sight_of(group& g, std::uint64_t point) noexcept;
    bool make_room(std::size_t size) noexcept;
    void remember(group& g, std::uint32_t at, essence const& packet, timestamp time) noexcept;
    void forget_oldest() noexcept;
    void fetch_oldest() const noexcept;
    void forget_before(timestamp now) noexcept;
    std::uint64_t place_for(std::size_t size) const noexcept;

    dedup_options options_;
    std::uint64_t seed_;
    bool tolerant_;
    detail::hash_index index_;
    detail::lazy_array<group> groups_;
    std::uint32_t free_group_ = none;
    std::uint32_t used_groups_ = 0;
    detail::lazy_array<transmission> transmissions_; // a ring
    std::uint64_t first_ = 0;                        // numbers of transmissions, and of bytes, that only grow
    std::uint64_t last_ = 0;
    detail::lazy_array<std::byte> bytes_; // a ring
    std::uint64_t bytes_begin_ = 0;
    std::uint64_t bytes_end_ = 0;
    std::vector<std::byte> scratch_;
    dedup_statistics statistics_;
};

} // namespace netring_asio::flow
