#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace netring_asio::flow::detail {

/// Deadlines of numbered records, in ticks: linking, unlinking and finding the next are O(1).
///
/// The caller owns the links. A deadline beyond the horizon waits in the last bucket and is looked at again there; a
/// record that was used meanwhile is not moved until its bucket comes, so that using it costs nothing.
class timer_wheel {
public:
    static constexpr std::uint32_t none = 0xffffffff;
    static constexpr std::size_t buckets = 8192;
    static constexpr std::uint16_t unlinked = 0xffff;

    struct links {
        std::uint32_t previous = none;
        std::uint32_t next = none;
        std::uint16_t bucket = unlinked;
    };

    timer_wheel()
        : heads_(buckets, none) {}

    /// Ticks before this one have fired.
    std::uint64_t now() const noexcept { return now_; }
    void start(std::uint64_t tick) noexcept { now_ = tick; }

    /// `links_of(record)` gives the links of any record.
    template <class LinksOf>
    void link(std::uint32_t record, std::uint64_t tick, LinksOf links_of) noexcept {
        if (tick < now_)
            tick = now_;
        if (tick >= now_ + buckets)
            tick = now_ + buckets - 1;
        auto const bucket = static_cast<std::uint16_t>(tick % buckets);
        auto& mine = links_of(record);
        mine = {none, heads_[bucket], bucket};
        if (mine.next != none)
            links_of(mine.next).previous = record;
        heads_[bucket] = record;
        filled_[bucket / 64] |= std::uint64_t{1} << (bucket % 64);
    }

    /// Whether a record is looked at by that tick.
    bool is_linked_by(links const& of, std::uint64_t tick) const noexcept {
        return of.bucket != unlinked && now_ + (of.bucket - now_ % buckets) % buckets <= tick;
    }

    template <class LinksOf>
    void unlink(std::uint32_t record, LinksOf links_of) noexcept {
        auto& mine = links_of(record);
        if (mine.bucket == unlinked)
            return;
        if (mine.next != none)
            links_of(mine.next).previous = mine.previous;
        if (mine.previous != none)
            links_of(mine.previous).next = mine.next;
        else if ((heads_[mine.bucket] = mine.next) == none)
            filled_[mine.bucket / 64] &= ~(std::uint64_t{1} << (mine.bucket % 64));
        mine = {};
    }

    /// The first tick in [now, limit) that has records, or `limit`.
    std::uint64_t next(std::uint64_t limit) const noexcept {
        auto const end = limit < now_ + buckets ? limit : now_ + buckets;
        for (auto tick = now_; tick < end;) {
            auto const bucket = tick % buckets;
            auto const word = filled_[bucket / 64] >> (bucket % 64);
            if (word != 0) {
                tick += static_cast<std::uint64_t>(std::countr_zero(word));
                return tick < end ? tick : limit;
            }
            tick += 64 - bucket % 64;
        }
        return limit;
    }

    /// Goes on to `tick`, whose predecessors have no records left.
    void advance(std::uint64_t tick) noexcept { now_ = tick; }

    std::uint32_t first(std::uint64_t tick) const noexcept { return heads_[tick % buckets]; }

private:
    std::vector<std::uint32_t> heads_;
    std::array<std::uint64_t, buckets / 64> filled_{};
    std::uint64_t now_ = 0;
};

} // namespace netring_asio::flow::detail
