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

/// What one direction of a flow carried, as it is kept: numbers of 48 bits.
class counters {
public:
    std::uint64_t packets() const noexcept { return get(0); }
    std::uint64_t wire_bytes() const noexcept { return get(1); }
    std::uint64_t ip_bytes() const noexcept { return get(2); }
    std::uint64_t payload_bytes() const noexcept { return get(3); }

    bool empty() const noexcept { return low_[0] == 0 && high_[0] == 0; }
    /// Adds what fragments or one packet were; each number is less than 2^47.
    void add(std::uint64_t packets, std::uint64_t wire, std::uint64_t ip, std::uint64_t payload) noexcept {
        add(0, packets);
        add(1, wire);
        add(2, ip);
        add(3, payload);
    }
    /// A number could overflow with the next.
    bool full() const noexcept { return ((high_[0] | high_[1] | high_[2] | high_[3]) & 0x8000) != 0; }

private:
    std::uint64_t get(std::size_t i) const noexcept { return static_cast<std::uint64_t>(high_[i]) << 32 | low_[i]; }
    void add(std::size_t i, std::uint64_t value) noexcept {
        auto const sum = low_[i] + value;
        low_[i] = static_cast<std::uint32_t>(sum);
        high_[i] = static_cast<std::uint16_t>(high_[i] + (sum >> 32));
    }

    std::array<std::uint32_t, 4> low_;
    std::array<std::uint16_t, 4> high_;
};

/// One flow in the table. What every packet touches comes first.
template <class Key>
struct record {
    static constexpr std::uint32_t none = 0xffffffff;

    Key key;
    std::uint8_t protocol; // as the first packet had it, where the flow is one connection
    eviction_class rank : 2;
    flow::orientation orientation : 1; // of the initiator
    std::uint8_t live : 1;             // in the table
    std::uint8_t ended : 1;            // remembered for stragglers only
    std::uint8_t resumed : 1;          // cut by the active timeout; not told again before its next packet
    std::uint8_t is_tcp : 1;
    std::uint8_t established : 1;
    std::uint8_t used : 1;         // since it joined the end of its class
    std::uint32_t troubles = none; // of TCP, if there are any
    timestamp last_seen;           // packet time, not the packet's own stamp
    timestamp last_time;
    std::array<counters, 2> sides; // of the initiator, and of the responder
    tcp_connection tcp;
    history_log history;

    std::uint32_t begun; // timer tick when this part began, its low bits
    timer_wheel::links timer;
    std::uint32_t newer;
    std::uint32_t older;
    std::uint32_t mark; // the observer's own
    timestamp first_time;
    std::uint64_t id;

    bool empty() const noexcept { return sides[0].empty() && sides[1].empty(); }
    void see(timestamp now) noexcept {
        used |= now != last_seen;
        last_seen = now;
    }
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
    std::size_t capacity() const noexcept { return records_.size(); }
    /// Numbers below this one were in use at some time.
    std::uint32_t used() const noexcept { return used_; }
    bool full() const noexcept { return size_ == records_.size(); }

    void prefetch(std::uint32_t at) const noexcept {
        auto const* bytes = reinterpret_cast<char const*>(&records_[at]);
        for (std::size_t i = 0; i < sizeof(Record); i += 64)
            __builtin_prefetch(bytes + i, 1);
    }

    /// Takes the memory of so many records now.
    void populate(std::size_t count) noexcept { records_.populate(collapsed_ = count); }

    /// A record to write to; the slab must not be full.
    std::uint32_t allocate() noexcept {
        ++size_;
        if (free_ == none) {
            if (used_ >= collapsed_ + huge_step) [[unlikely]] {
                records_.collapse(collapsed_, used_);
                collapsed_ += huge_step;
            }
            return used_++;
        }
        auto const at = free_;
        free_ = records_[at].newer;
        return at;
    }
    void free(std::uint32_t at) noexcept {
        records_[at].newer = free_;
        free_ = at;
        --size_;
    }

    void append(std::uint32_t at, eviction_class rank) noexcept {
        auto const c = static_cast<std::size_t>(rank);
        auto& r = records_[at];
        r.rank = rank;
        r.used = 0;
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
    std::uint32_t victim() noexcept {
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
                if (records_[at].used && next != none) {
                    unlink(at);
                    append(at, static_cast<eviction_class>(c));
                }
                at = next;
            }
            return best;
        }
        return none;
    }

private:
    static constexpr std::size_t huge_step = lazy_array<Record>::huge_page / sizeof(Record) * 2;
    lazy_array<Record> records_;
    std::size_t size_ = 0;
    std::size_t collapsed_ = 0; // records before it may be on huge pages
    std::uint32_t used_ = 0;
    std::uint32_t free_ = none;
    std::array<std::uint32_t, eviction_classes> oldest_{};
    std::array<std::uint32_t, eviction_classes> newest_{};
};

} // namespace netring_asio::flow::detail
