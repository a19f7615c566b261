#pragma once

#include <netring_asio/packet/packet_batch.hpp>

#include <cstddef>
#include <iterator>
#include <ranges>
#include <utility>

namespace netring_asio::detail {

/// The packets of a source, one at a time, as a move-only input view.
///
/// `Next` is a movable `bool(packet_batch&)`, which puts the next packet alone into the batch, or returns false at the
/// end. It is called when a packet is looked at, never before, so that an algorithm takes from the source exactly what
/// it looks at.
template <class Next>
class packet_range : public std::ranges::view_interface<packet_range<Next>> {
public:
    class iterator {
    public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = packet_view;
        using difference_type = std::ptrdiff_t;

        packet_view const& operator*() const {
            range_->fetch();
            return range_->view_;
        }
        iterator& operator++() {
            range_->fetch();
            range_->fetched_ = false;
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(iterator const& a, std::default_sentinel_t) { return a.at_end(); }

    private:
        friend class packet_range;
        explicit iterator(packet_range& range) noexcept
            : range_{&range} {}
        bool at_end() const { return !range_->fetch(); }
        packet_range* range_;
    };

    explicit packet_range(Next next)
        : next_{std::move(next)} {}
    packet_range(packet_range&&) = default;
    packet_range& operator=(packet_range&&) = default;

    iterator begin() noexcept { return iterator{*this}; }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    bool fetch() {
        if (!fetched_ && !ended_) {
            ended_ = !next_(packet_);
            fetched_ = !ended_;
            view_ = fetched_ ? *packet_.begin() : packet_view{};
        }
        return fetched_;
    }

    Next next_;
    packet_batch packet_;
    packet_view view_;
    bool fetched_ = false; // packet_ was not passed over yet
    bool ended_ = false;
};

} // namespace netring_asio::detail
