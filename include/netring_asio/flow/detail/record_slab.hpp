#pragma once

#include <netring_asio/flow/detail/lazy_array.hpp>
#include <netring_asio/flow/detail/record.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace netring_asio::flow::detail {

/// Records by number, and a list of each eviction class, oldest first.
template <class Record>
class record_slab {
public:
    static constexpr std::uint32_t none = 0xffffffff;

    explicit record_slab(std::size_t capacity)
        : records_{capacity}
        , rest_{capacity} {
        oldest_.fill(none);
        newest_.fill(none);
    }

    Record& operator[](std::uint32_t at) noexcept { return records_[at]; }
    Record const& operator[](std::uint32_t at) const noexcept { return records_[at]; }
    record_rest& rest(std::uint32_t at) noexcept { return rest_[at]; }
    record_rest const& rest(std::uint32_t at) const noexcept { return rest_[at]; }

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

    void prefetch_rest(std::uint32_t at) const noexcept {
        auto const* bytes = reinterpret_cast<char const*>(&rest_[at]);
        __builtin_prefetch(bytes, 1);
        __builtin_prefetch(bytes + sizeof(record_rest) - 1, 1);
    }

    /// Those that stand beside it in its class; `rest(at)` should be there already.
    void prefetch_neighbours(std::uint32_t at) const noexcept {
        auto const& mine = rest_[at];
        for (auto const other : {mine.newer, mine.older})
            if (other != none)
                __builtin_prefetch(&rest_[other].newer, 1);
    }

    /// Takes the memory of so many records now.
    void populate(std::size_t count) noexcept {
        records_.populate(collapsed_ = count);
        rest_.populate(count);
    }
    std::size_t memory() const noexcept { return used_ * (sizeof(Record) + sizeof(record_rest)); }

    /// A record to write to; the slab must not be full.
    std::uint32_t allocate() noexcept {
        ++size_;
        if (free_ == none) {
            if (used_ >= collapsed_ + huge_step) [[unlikely]] {
                records_.collapse(collapsed_, used_);
                rest_.collapse(collapsed_, used_);
                collapsed_ += huge_step;
            }
            return used_++;
        }
        auto const at = free_;
        free_ = rest_[at].newer;
        return at;
    }
    void free(std::uint32_t at) noexcept {
        rest_[at].newer = free_;
        free_ = at;
        --size_;
    }

    void append(std::uint32_t at, eviction_class rank) noexcept {
        auto const c = static_cast<std::size_t>(rank);
        records_[at].rank = rank;
        records_[at].used = 0;
        rest_[at].newer = none;
        rest_[at].older = newest_[c];
        (newest_[c] == none ? oldest_[c] : rest_[newest_[c]].newer) = at;
        newest_[c] = at;
    }
    void unlink(std::uint32_t at) noexcept {
        auto const& mine = rest_[at];
        auto const c = static_cast<std::size_t>(records_[at].rank);
        (mine.older == none ? oldest_[c] : rest_[mine.older].newer) = mine.newer;
        (mine.newer == none ? newest_[c] : rest_[mine.newer].older) = mine.older;
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
                auto const next = rest_[at].newer;
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
    lazy_array<record_rest> rest_;
    std::size_t size_ = 0;
    std::size_t collapsed_ = 0; // records before it may be on huge pages
    std::uint32_t used_ = 0;
    std::uint32_t free_ = none;
    std::array<std::uint32_t, eviction_classes> oldest_{};
    std::array<std::uint32_t, eviction_classes> newest_{};
};

} // namespace netring_asio::flow::detail
