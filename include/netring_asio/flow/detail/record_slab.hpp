#pragma once

#include <netring_asio/flow/detail/history_log.hpp>
#include <netring_asio/flow/detail/lazy_array.hpp>
#include <netring_asio/flow/detail/tcp_connection.hpp>
#include <netring_asio/flow/detail/timer_wheel.hpp>
#include <netring_asio/flow/event.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace netring_asio::flow::detail {

/// In which order a full table gives up its flows.
enum class eviction_class : std::uint8_t { ended, unanswered, one_sided, answered };
inline constexpr std::size_t eviction_classes = 4;

/// What one direction of a flow carried, as it is kept.
struct counters {
    std::uint64_t packets;
    std::uint64_t wire_bytes;
    std::uint64_t ip_bytes;
    std::uint64_t payload_bytes;
};

/// One flow in the table. What every packet touches comes first.
template <class Key>
struct record {
    static constexpr std::uint32_t none = 0xffffffff;

    Key key;
    flow::orientation orientation; // of the initiator
    eviction_class rank;
    bool live;    // in the table
    bool ended;   // remembered for stragglers only
    bool resumed; // cut by the active timeout; not told again before its next packet
    bool is_tcp;
    bool established;
    std::uint32_t troubles = none; // of TCP, if there are any
    timestamp last_seen;           // packet time, not the packet's own stamp
    timestamp last_time;
    std::array<counters, 2> sides; // of the initiator, and of the responder
    tcp_connection tcp;
    history_log history;

    timestamp first_time;
    timestamp begun; // packet time when this part began
    std::uint64_t id;
    timestamp queued; // when it joined the end of its class
    std::uint32_t hash;
    std::uint32_t newer;
    std::uint32_t older;
    timer_wheel::links timer;

    std::uint64_t packets() const noexcept { return sides[0].packets + sides[1].packets; }
};

/// Records by number, and a list of each eviction class, oldest first.
template <class Record>
class record_slab {
public:
    static constexpr std::uint32_t none = 0xffffffff;

    explicit record_slab(std::size_t capacity)
        : records_{capacity} {
        oldest_.fill(none);
        newest_.fill(none);
    }

    Record& operator[](std::uint32_t at) noexcept { return records_[at]; }
    Record const& operator[](std::uint32_t at) const noexcept { return records_[at]; }

    std::size_t size() const noexcept { return size_; }
    bool full() const noexcept { return size_ == records_.size(); }

    void prefetch(std::uint32_t at) const noexcept {
        auto const* bytes = reinterpret_cast<char const*>(&records_[at]);
        for (std::size_t i = 0; i < sizeof(Record); i += 64)
            __builtin_prefetch(bytes + i, 1);
    }

    /// A record to write to; the slab must not be full.
    std::uint32_t allocate() noexcept {
        ++size_;
        if (free_ == none)
            return used_++;
        auto const at = free_;
        free_ = records_[at].newer;
        return at;
    }
    void free(std::uint32_t at) noexcept {
        records_[at].newer = free_;
        free_ = at;
        --size_;
    }

    void append(std::uint32_t at, eviction_class rank, timestamp now) noexcept {
        auto const c = static_cast<std::size_t>(rank);
        auto& r = records_[at];
        r.rank = rank;
        r.queued = now;
        r.newer = none;
        r.older = newest_[c];
        (newest_[c] == none ? oldest_[c] : records_[newest_[c]].newer) = at;
        newest_[c] = at;
    }
    void unlink(std::uint32_t at) noexcept {
        auto& r = records_[at];
        auto const c = static_cast<std::size_t>(r.rank);
        (r.older == none ? oldest_[c] : records_[r.older].newer) = r.newer;
        (r.newer == none ? newest_[c] : records_[r.newer].older) = r.older;
    }
    std::uint32_t oldest(eviction_class rank) const noexcept { return oldest_[static_cast<std::size_t>(rank)]; }

    /// Which record to give up: the one not used for longest of a few that were queued first. Those used since then go
    /// to the end again.
    std::uint32_t victim(timestamp now) noexcept {
        constexpr std::size_t chances = 8;
        for (std::size_t c = 0; c != eviction_classes; ++c) {
            auto best = oldest_[c];
            if (best == none)
                continue;
            auto at = best;
            for (std::size_t i = 0; i != chances && at != none; ++i) {
                auto const next = records_[at].newer;
                if (records_[at].last_seen < records_[best].last_seen)
                    best = at;
                if (records_[at].last_seen > records_[at].queued && next != none) {
                    unlink(at);
                    append(at, static_cast<eviction_class>(c), now);
                }
                at = next;
            }
            return best;
        }
        return none;
    }

private:
    lazy_array<Record> records_;
    std::size_t size_ = 0;
    std::uint32_t used_ = 0;
    std::uint32_t free_ = none;
    std::array<std::uint32_t, eviction_classes> oldest_{};
    std::array<std::uint32_t, eviction_classes> newest_{};
};

} // namespace netring_asio::flow::detail
