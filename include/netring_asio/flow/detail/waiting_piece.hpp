#pragma once

#include <boost/intrusive/set.hpp>
#include <boost/intrusive/slist.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace netring_asio::flow::detail {

// Sequence numbers without wrap, counted from far above zero so that some may come before the first.
using stream_position = std::uint64_t;

/// Bytes of a stream that wait for those before them.
struct waiting_piece : boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>>,
                       boost::intrusive::slist_base_hook<> {
    /// What a piece costs beside its bytes.
    static constexpr std::size_t overhead = 128;

    stream_position begin = 0;
    stream_position end = 0;
    stream_position segment_begin = 0; // of the segment that brought it
    stream_position segment_end = 0;
    std::vector<std::byte> bytes; // empty: on the wire, but not captured

    bool captured() const noexcept { return !bytes.empty(); }
    std::size_t cost() const noexcept { return bytes.size() + overhead; }
    /// What it takes in fact: it may have served for more before.
    std::size_t memory() const noexcept { return bytes.capacity() + overhead; }
};
static_assert(sizeof(waiting_piece) <= waiting_piece::overhead);

struct begin_of_piece {
    using type = stream_position;
    type operator()(waiting_piece const& piece) const noexcept { return piece.begin; }
};

using waiting_pieces = boost::intrusive::set<waiting_piece, boost::intrusive::key_of_value<begin_of_piece>>;
using spare_pieces = boost::intrusive::slist<waiting_piece, boost::intrusive::constant_time_size<false>>;

} // namespace netring_asio::flow::detail
