#pragma once

#include <netring_asio/flow/detail/lazy_array.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace netring_asio::flow::detail {

/// From the hash of a key to the number of its record: open addressing, eight slots to a cache line.
///
/// Keys lie with the records, so a slot keeps 32 bits of the hash to tell most strangers apart, and the caller compares
/// keys. It grows without a pause: a few slots move to the larger array with each insertion.
class hash_index {
public:
    static constexpr std::uint32_t none = 0xffffffff;

    explicit hash_index(std::size_t expected = 0)
        : current_{std::bit_ceil(expected * 4 / 3 + 64)} {}

    std::size_t size() const noexcept { return size_; }
    std::size_t memory() const noexcept { return (current_.size() + old_.size()) * sizeof(slot); }

    void prefetch(std::uint32_t hash) const noexcept {
        __builtin_prefetch(&current_[hash & (current_.size() - 1)]);
        if (old_.size() != 0) [[unlikely]]
            __builtin_prefetch(&old_[hash & (old_.size() - 1)]);
    }

    /// The first record with this hash for which `is_same(record)`; `none` if there is none.
    template <class IsSame>
    std::uint32_t find(std::uint32_t hash, IsSame is_same) const noexcept {
        auto const found = find_in(current_, hash, is_same);
        if (found != none || old_.size() == 0) [[likely]]
            return found;
        return find_in(old_, hash, is_same);
    }

    /// Adds a record whose key is not there.
    void insert(std::uint32_t hash, std::uint32_t record) {
        if (old_.size() != 0)
            migrate(migration_step);
        if ((size_ + 1) * 4 > current_.size() * 3)
            grow();
        place(hash, record);
        ++size_;
    }

    void erase(std::uint32_t hash, std::uint32_t record) noexcept {
        if (erase_in_current(hash, record) || erase_in_old(hash, record))
            --size_;
    }

private:
    struct slot {
        std::uint32_t hash;
        std::uint32_t mark; // record + 1; 0 is empty
    };
    static constexpr std::uint32_t moved = 0xffffffff;
    static constexpr std::size_t migration_step = 16;

    template <class IsSame>
    static std::uint32_t find_in(lazy_array<slot> const& slots, std::uint32_t hash, IsSame& is_same) noexcept {
        auto const mask = slots.size() - 1;
        for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
            auto const& s = slots[i];
            if (s.mark == 0)
                return none;
            if (s.hash == hash && s.mark != moved && is_same(s.mark - 1))
                return s.mark - 1;
        }
    }

    void place(std::uint32_t hash, std::uint32_t record) noexcept {
        auto const mask = current_.size() - 1;
        std::size_t i = hash & mask;
        while (current_[i].mark != 0)
            i = (i + 1) & mask;
        current_[i] = {hash, record + 1};
    }

    // Closes the hole by moving back what may move, so that no markers pile up.
    bool erase_in_current(std::uint32_t hash, std::uint32_t record) noexcept {
        auto const mask = current_.size() - 1;
        std::size_t hole = hash & mask;
        while (current_[hole].mark != record + 1) {
            if (current_[hole].mark == 0)
                return false;
            hole = (hole + 1) & mask;
        }
        for (std::size_t i = (hole + 1) & mask; current_[i].mark != 0; i = (i + 1) & mask) {
            auto const home = current_[i].hash & mask;
            if (((i - home) & mask) >= ((i - hole) & mask)) {
                current_[hole] = current_[i];
                hole = i;
            }
        }
        current_[hole] = {};
        return true;
    }

    // The old array is only walked once more, so a marker does.
    bool erase_in_old(std::uint32_t hash, std::uint32_t record) noexcept {
        if (old_.size() == 0)
            return false;
        auto const mask = old_.size() - 1;
        for (std::size_t i = hash & mask; old_[i].mark != 0; i = (i + 1) & mask)
            if (old_[i].mark == record + 1) {
                old_[i].mark = moved;
                return true;
            }
        return false;
    }

    void grow() {
        migrate(old_.size());
        lazy_array<slot> larger{current_.size() * 2};
        old_ = std::exchange(current_, std::move(larger));
        cursor_ = 0;
    }

    void migrate(std::size_t steps) noexcept {
        for (; steps != 0 && cursor_ != old_.size(); --steps, ++cursor_) {
            auto& s = old_[cursor_];
            if (s.mark != 0 && s.mark != moved) {
                place(s.hash, s.mark - 1);
                s.mark = moved;
            }
        }
        if (cursor_ == old_.size())
            old_ = {};
    }

    lazy_array<slot> current_;
    lazy_array<slot> old_;
    std::size_t cursor_ = 0; // slots of old_ before it have moved
    std::size_t size_ = 0;
};

} // namespace netring_asio::flow::detail
