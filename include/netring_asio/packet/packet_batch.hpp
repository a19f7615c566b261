#pragma once

#include <netring_asio/detail/block_records.hpp>
#include <netring_asio/packet/frame.hpp>
#include <netring_asio/packet/packet_owner.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <utility>

namespace netring_asio {

/// What a source says about a batch as a whole.
struct batch_info {
    std::uint64_t sequence = 0; ///< number of the ring block; consecutive, also where packets were dropped
    timestamp first_time{};     ///< when the block was opened or its first packet stamped
    timestamp last_time{};      ///< when the last packet was stamped
    bool by_timeout = false;    ///< the block was closed by its timeout, not because it was full
    bool losing = false;        ///< packets were dropped since the statistics were last read
};

/// Packets that came together: one TPACKET_V3 block, one burst of AF_XDP descriptors, one chunk of a file.
///
/// Move-only. It lends the packets and gives their memory back when it is destroyed, assigned to or reset. Several may
/// be alive at once and be released in any order.
///
/// @par Lifetime
/// May outlive the source it came from and the `io_context`. It shares the memory of the ring and nothing of Asio.
///
/// @par Thread safety
/// Distinct objects: safe, also where they came from one source; the last release may be on any thread. Shared objects:
/// unsafe.
class packet_batch {
public:
    class iterator;
    using const_iterator = iterator;
    using value_type = packet_view;

    packet_batch() noexcept = default;

    /// A batch over packets of your own. `packets` and the bytes they point at must stay valid until `owner` is
    /// recycled.
    packet_batch(std::span<packet_view const> packets, packet_owner_ptr owner, batch_info const& info = {}) noexcept
        : owner_{std::move(owner)}
        , first_{reinterpret_cast<std::byte const*>(packets.data())}
        , size_{packets.size()}
        , info_{info} {}

    /// A batch over the records of a ring block; used by `afpacket::rx_ring`.
    packet_batch(std::byte const* first_record, std::size_t size, detail::block_records const& records,
                 packet_owner_ptr owner, batch_info const& info) noexcept
        : owner_{std::move(owner)}
        , first_{first_record}
        , size_{size}
        , records_{records}
        , info_{info} {}

    packet_batch(packet_batch&& other) noexcept
        : owner_{std::move(other.owner_)}
        , first_{std::exchange(other.first_, nullptr)}
        , size_{std::exchange(other.size_, 0)}
        , records_{std::exchange(other.records_, {})}
        , info_{std::exchange(other.info_, {})} {}

    packet_batch& operator=(packet_batch&& other) noexcept {
        packet_batch moved{std::move(other)};
        swap(moved);
        return *this;
    }

    void swap(packet_batch& other) noexcept {
        std::swap(owner_, other.owner_);
        std::swap(first_, other.first_);
        std::swap(size_, other.size_);
        std::swap(records_, other.records_);
        std::swap(info_, other.info_);
    }

    /// Gives the memory back; the batch is empty afterwards.
    void reset() noexcept { packet_batch{std::move(*this)}; }

    /// Splits the first `count` packets off as a batch of their own, which shares the memory; all, if there are fewer.
    packet_batch split(std::size_t count) noexcept;

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    batch_info const& info() const noexcept { return info_; }

    iterator begin() const noexcept;
    iterator end() const noexcept;

    /// Keeps one packet of this batch beyond it.
    ///
    /// Without a copy while the source's pin budget lasts, with one above it (see `frame::copied`). Allocates only
    /// then.
    frame hold(packet_view const& packet) const { return owner_ ? owner_->hold(packet) : frame{}; }

private:
    packet_owner_ptr owner_;
    std::byte const* first_ = nullptr; // a record of a block where records_.end is set, a packet_view elsewhere
    std::size_t size_ = 0;
    detail::block_records records_{};
    batch_info info_{};
};

/// Makes a `packet_view` for each packet, lazily.
class packet_batch::iterator {
public:
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = packet_view;
    using difference_type = std::ptrdiff_t;
    using reference = packet_view;
    using pointer = void;

    iterator() noexcept = default;

    packet_view operator*() const noexcept {
        return records_.end != nullptr ? records_.decode(at_) : *reinterpret_cast<packet_view const*>(at_);
    }

    iterator& operator++() noexcept {
        --left_;
        at_ = records_.end != nullptr ? records_.next(at_) : at_ + sizeof(packet_view);
        stop_outside_block();
        return *this;
    }
    iterator operator++(int) noexcept {
        auto const before = *this;
        ++*this;
        return before;
    }

    friend bool operator==(iterator const& a, iterator const& b) noexcept { return a.left_ == b.left_; }
    friend bool operator==(iterator const& a, std::default_sentinel_t) noexcept { return a.left_ == 0; }

private:
    friend class packet_batch;
    iterator(std::byte const* at, std::size_t left, detail::block_records const& records) noexcept
        : at_{at}
        , left_{left}
        , records_{records} {
        stop_outside_block();
    }

    void stop_outside_block() noexcept {
        if (left_ != 0 && records_.end != nullptr && !records_.contains(at_)) [[unlikely]]
            left_ = 0;
    }

    std::byte const* at_ = nullptr;
    std::size_t left_ = 0;
    detail::block_records records_{};
};

inline packet_batch::iterator packet_batch::begin() const noexcept { return {first_, size_, records_}; }
inline packet_batch::iterator packet_batch::end() const noexcept { return {nullptr, 0, {}}; }

inline packet_batch packet_batch::split(std::size_t count) noexcept {
    if (count >= size_)
        return std::move(*this);
    packet_batch front;
    front.owner_ = owner_;
    front.first_ = first_;
    front.size_ = count;
    front.records_ = records_;
    front.info_ = info_;
    auto rest = begin();
    while (count-- != 0 && rest != std::default_sentinel)
        ++rest;
    first_ = rest.at_;
    size_ = rest.left_;
    return front;
}

} // namespace netring_asio
