#include <netring_asio/flow/detail/tcp_troubles.hpp>

#include <algorithm>

namespace netring_asio::flow::detail {
namespace {

// What is skipped by more is no hole, but another connection's packet, or nonsense.
constexpr std::uint32_t largest_hole = 1U << 30;

} // namespace

void tcp_troubles::note(tcp_connection::report const& r, decode::headers const& packet, std::size_t side,
                        history_log history) noexcept {
    auto& s = sides_[side];
    if (r.zero_window)
        history.note_scaled(side, 'W', ++s.zero_windows);
    if (r.skipped != 0 && r.skipped <= largest_hole) {
        if (s.open == 0) {
            s.hole_begin = packet.sequence - r.skipped;
            s.gap_told = false;
        }
        s.hole_end = packet.sequence;
        s.open += r.skipped;
        s.missed += r.skipped;
    }
    if (!r.repeated)
        return;
    auto const end = packet.sequence + packet.payload_length;
    bool const fills =
        s.open != 0 && sequence_before(packet.sequence, s.hole_end) && sequence_before(s.hole_begin, end);
    if (fills) {
        ++s.out_of_order;
        auto const begin = sequence_before(packet.sequence, s.hole_begin) ? s.hole_begin : packet.sequence;
        auto const filled =
            std::min<std::uint64_t>(s.open, (sequence_before(end, s.hole_end) ? end : s.hole_end) - begin);
        s.open -= filled;
        s.missed -= std::min(s.missed, filled);
        if (begin == s.hole_begin)
            s.hole_begin = end;
    } else {
        ++s.retransmitted;
    }
    if (packet.payload_length != 0)
        history.note_scaled(side, 'T', ++s.late_data);
}

void tcp_troubles::note_corrupt(std::size_t side, history_log history) noexcept {
    auto& s = sides_[side];
    ++s.corrupt;
    history.note_scaled(side, 'C', ++s.all_corrupt);
}

void tcp_troubles::acknowledged(std::size_t side, std::uint32_t number, history_log history) noexcept {
    auto const sender = 1 - side;
    auto& s = sides_[sender];
    if (s.open == 0 || s.gap_told || !sequence_before(s.hole_begin, number))
        return;
    s.gap_told = true;
    history.note_scaled(sender, 'G', ++s.gaps);
}

void tcp_troubles::describe(flow_stats& stats) const noexcept {
    auto const write = [](side_troubles const& s, direction_stats& to) {
        to.bad_checksums = s.corrupt;
        to.retransmitted = s.retransmitted;
        to.out_of_order = s.out_of_order;
        to.missed_bytes = s.missed;
        to.zero_windows = s.zero_windows;
    };
    write(sides_[0], stats.forward);
    write(sides_[1], stats.reverse);
}

void tcp_troubles::clear_counters() noexcept {
    for (auto& s : sides_)
        s.missed = s.corrupt = s.retransmitted = s.out_of_order = s.zero_windows = 0;
}

} // namespace netring_asio::flow::detail
