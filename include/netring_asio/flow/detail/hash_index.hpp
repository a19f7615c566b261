#pragma once

#include <netring_asio/flow/detail/lazy_array.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace netring_asio::flow::detail {

/// From the hash of a key to the number of its record: open addressing, eight slots to a cache line.
///
/// Keys lie with the records, so a slot keeps 32 bits of the hash to tell most strangers apart, and the caller compares
/// keys. It grows without a pause: with each insertion a little of the next, larger array is taken from the kernel
/// beforehand, and then a few slots move to it, and a little of the old one is given back.
class hash_index {
public:
    static constexpr std::uint32_t none = 0xffffffff;

    explicit hash_index(std::size_t expected = 0)
        : current_{std::bit_ceil(expected * 4 / 3 + 64)} {
        if (expected != 0)
            current_.populate(current_.size());
    }

    std::size_t size() const noexcept { return size_; }
    /// Bytes that may be in use.
    std::size_t memory() const noexcept {
        return (current_.size() + old_.size() - released_) * sizeof(slot) +
               std::min(touched_, next_.size() * sizeof(slot));
    }

    void prefetch(std::uint32_t hash) const noexcept {
        __builtin_prefetch(&current_[hash & (current_.size() - 1)]);
        if (old_.size() != 0) [[unlikely]]
            __builtin_prefetch(&old_[std::max(hash & (old_.size() - 1), cursor_)]);
    }

    /// The first record with this hash for which `is_same(record)`; `none` if there is none.
    template <class IsSame>
    std::uint32_t find(std::uint32_t hash, IsSame is_same) const noexcept {
        auto const mask = current_.size() - 1;
        for (std::size_t i = hash & mask; current_[i].mark != 0; i = (i + 1) & mask)
            if (current_[i].hash == hash && is_same(current_[i].mark - 1)) [[likely]]
                return current_[i].mark - 1;
        if (old_.size() == 0) [[likely]]
            return none;
        auto const at = find_in_old(hash, is_same);
        return at == old_.size() ? none : old_[at].mark - 1;
    }

    /// Adds a record whose key is not there.
    void insert(std::uint32_t hash, std::uint32_t record) {
        if (old_.size() != 0)
            migrate(migration_step);
        else if ((size_ + 1) * 8 > current_.size() * 5)
            prepare();
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

    // The slot in the old array, or its size. What lies before the cursor has moved, wherever its search begins.
    template <class IsSame>
    std::size_t find_in_old(std::uint32_t hash, IsSame is_same) const noexcept {
        auto const mask = old_.size() - 1;
        auto i = std::max(hash & mask, cursor_);
        for (auto left = old_.size() - cursor_; left != 0; --left) {
            auto const& s = old_[i];
            if (s.mark == 0)
                break;
            if (s.hash == hash && s.mark != moved && is_same(s.mark - 1))
                return i;
            if (++i == old_.size())
                i = cursor_;
        }
        return old_.size();
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
        auto const at = find_in_old(hash, [record](std::uint32_t other) { return other == record; });
        if (at == old_.size())
            return false;
        old_[at].mark = moved;
        return true;
    }

    // Takes the memory of the next array page by page before it is needed, at once it would take milliseconds.
    void prepare() {
        if (next_.size() == 0) {
            next_ = lazy_array<slot>{current_.size() * 2};
            touched_ = 0;
        }
        // From five to six eighths full, 128 bytes an insertion are enough.
        constexpr std::size_t step = 160;
        auto const until = std::min(touched_ + step, next_.size() * sizeof(slot));
        for (auto page = (touched_ + page_size - 1) / page_size * page_size; page < until; page += page_size)
            next_.touch(page);
        touched_ = until;
    }

    void grow() {
        migrate(old_.size());
        if (next_.size() == 0)
            next_ = lazy_array<slot>{current_.size() * 2};
        old_ = std::exchange(current_, std::move(next_));
        next_ = {};
        touched_ = 0;
        cursor_ = released_ = 0;
    }

    void migrate(std::size_t steps) noexcept {
        for (; steps != 0 && cursor_ != old_.size(); --steps, ++cursor_) {
            auto const& s = old_[cursor_];
            if (s.mark != 0 && s.mark != moved)
                place(s.hash, s.mark - 1);
        }
        if (cursor_ - released_ >= release_step) {
            old_.release(released_, released_ + release_step);
            released_ += release_step;
        }
        if (cursor_ == old_.size()) {
            old_ = {};
            cursor_ = released_ = 0;
            current_.collapse(0, current_.size());
        }
    }

    static constexpr std::size_t page_size = 4096;
    static constexpr std::size_t release_step = (std::size_t{1} << 21) / sizeof(slot); // a huge page

    lazy_array<slot> current_;
    lazy_array<slot> old_;
    lazy_array<slot> next_;
    std::size_t cursor_ = 0;   // slots of old_ before it have moved
    std::size_t released_ = 0; // and slots before this one are given back
    std::size_t touched_ = 0;  // bytes of next_
    std::size_t size_ = 0;
};

} // namespace netring_asio::flow::detail
