#include <netring_asio/flow/detail/tcp_connection.hpp>

namespace netring_asio::flow::detail {
namespace {

namespace flag = decode::tcp_flag;

// A SYN that arrives behind the first data of its connection lies this close before it.
constexpr std::uint32_t reorder_window = 1U << 16;
// The largest window that TCP can have (RFC 7323, 2.3).
constexpr std::uint32_t largest_window = 1U << 30;

} // namespace

bool tcp_connection::is_new_attempt(decode::headers const& packet, std::size_t side) const noexcept {
    if ((packet.tcp_flags & (flag::syn | flag::ack | flag::rst)) != flag::syn)
        return false;
    auto const& from = sides_[side];
    switch (from.state) {
    case state::silent: // a simultaneous open, unless the other side's connection has gone on without this one
        return sides_[1 - side].fin;
    case state::midstream:
        return from.initial - packet.sequence - 1 > reorder_window;
    default:
        return packet.sequence != from.initial;
    }
}

// RFC 5961, 3: a reset must lie in the window. A refusal acknowledges the SYN and has no number of its own.
bool tcp_connection::is_plausible_reset(decode::headers const& packet, side_state const& from,
                                        side_state const& to) const noexcept {
    if (from.state == state::silent || from.state == state::midstream)
        return true;
    if (!to.has_acknowledged)
        return packet.sequence - from.initial < largest_window;
    return packet.sequence - (to.acknowledged - 1) < largest_window || packet.sequence == from.next;
}

tcp_connection::outcome tcp_connection::update(decode::headers const& packet, std::size_t side) noexcept {
    auto& from = sides_[side];
    auto& to = sides_[1 - side];
    auto const flags = packet.tcp_flags;
    if ((flags & flag::rst) != 0)
        return is_plausible_reset(packet, from, to) ? outcome::reset : outcome::none;

    auto const end = packet.sequence + packet.payload_length + ((flags & flag::syn) != 0 ? 1 : 0) +
                     ((flags & flag::fin) != 0 ? 1 : 0);
    if ((flags & flag::syn) != 0) {
        if (from.state == state::silent || from.state == state::midstream) {
            from.initial = packet.sequence;
            if (from.state == state::silent)
                from.next = end;
            from.state = (flags & flag::ack) != 0 ? state::syn_ack_sent : state::syn_sent;
        } else if (from.state == state::syn_sent && (flags & flag::ack) != 0) {
            from.state = state::syn_ack_sent; // simultaneous open
        }
    } else if (from.state == state::silent) {
        from.state = state::midstream;
        from.initial = packet.sequence;
        from.next = end;
    }
    if (sequence_before(from.next, end))
        from.next = end;
    if ((flags & flag::fin) != 0) {
        from.fin = true;
        from.fin_end = end;
    }

    bool answered = false;
    if ((flags & flag::ack) != 0) {
        if (!from.has_acknowledged || sequence_before(from.acknowledged, packet.acknowledgment))
            from.acknowledged = packet.acknowledgment;
        from.has_acknowledged = true;
        if ((flags & flag::syn) == 0 && (from.state == state::syn_sent || from.state == state::syn_ack_sent))
            from.state = state::open;
        // The handshake is over when the initiator's last part of it, or anything that implies it, was seen.
        answered = to.state != state::silent && to.state != state::syn_sent && (flags & flag::syn) == 0;
    }
    if (from.fin && to.fin && from.has_acknowledged && to.has_acknowledged &&
        !sequence_before(from.acknowledged, to.fin_end) && !sequence_before(to.acknowledged, from.fin_end))
        return outcome::closed;
    if (!established_ && answered) {
        established_ = true;
        return outcome::established;
    }
    return outcome::none;
}

} // namespace netring_asio::flow::detail
