#include <netring_asio/decode/tcp_options.hpp>
#include <netring_asio/flow/detail/tcp_connection.hpp>

#include <algorithm>
#include <utility>

namespace netring_asio::flow::detail {
namespace {

namespace flag = decode::tcp_flag;

// A SYN that arrives behind the first data of its connection lies this close before it.
constexpr std::uint32_t reorder_window = 1U << 16;
// The largest window that TCP can have (RFC 7323, 2.3).
constexpr std::uint32_t largest_window = 1U << 30;
constexpr std::uint8_t largest_shift = 14;

constexpr std::chrono::nanoseconds round_trip_unit{16};

void note_flags(decode::headers const& packet, std::size_t side, history_log& history) noexcept {
    auto const flags = packet.tcp_flags;
    switch (flags & (flag::syn | flag::fin | flag::rst)) {
    case 0:
        if (packet.payload_length != 0)
            history.note(side, seen::data);
        else if ((flags & flag::ack) != 0)
            history.note(side, seen::ack);
        break;
    case flag::syn:
        history.note(side, (flags & flag::ack) != 0 ? seen::syn_ack : seen::syn);
        break;
    case flag::fin:
        history.note(side, seen::fin);
        break;
    case flag::rst:
        history.note(side, seen::rst);
        break;
    default:
        history.note(side, (flags & flag::fin) != 0 && (flags & flag::rst) != 0 ? seen::fin_rst : seen::many);
    }
}

std::uint32_t in_units(std::chrono::nanoseconds time) noexcept {
    if (time.count() < 0)
        return 0;
    return static_cast<std::uint32_t>(std::min<std::int64_t>(time / round_trip_unit + 1, 0xffffffff));
}

} // namespace

bool tcp_connection::is_new_attempt(decode::headers const& packet, std::size_t side,
                                    tcp_beginning const& beginning) const noexcept {
    if ((packet.tcp_flags & (flag::syn | flag::ack | flag::rst)) != flag::syn)
        return false;
    auto const& from = sides_[side];
    auto const& to = sides_[1 - side];
    switch (from.state) {
    case state::silent: // a simultaneous open, or the late SYN of what the other side acknowledges already
        return to.fin || (to.has_acknowledged && to.acknowledged - packet.sequence - 1 > largest_window);
    case state::midstream:
        return beginning.sides[side].initial - packet.sequence - 1 > reorder_window;
    default:
        return packet.sequence != beginning.sides[side].initial;
    }
}

bool tcp_connection::is_reversed(decode::headers const& packet, std::size_t side) const noexcept {
    auto const flags = packet.tcp_flags;
    if ((flags & flag::syn) == 0 || (flags & flag::rst) != 0)
        return false;
    auto const& first = sides_[0];
    // The first to be seen sends an answer, or the second an attempt that the first has answered already.
    if ((flags & flag::ack) != 0)
        return side == 0 && first.state == state::midstream && sides_[1].state != state::syn_sent;
    return side == 1 && first.has_acknowledged && first.state != state::syn_sent &&
           (first.state == state::midstream || first.state == state::syn_ack_sent) &&
           first.acknowledged - packet.sequence - 1 <= largest_window;
}

std::uint64_t tcp_connection::window_of(std::size_t receiver, tcp_beginning const& beginning) const noexcept {
    // Windows are scaled only if both sides said so (RFC 7323, 2.2).
    auto const& to = beginning.sides[receiver];
    auto const& from = beginning.sides[1 - receiver];
    unsigned shift = largest_shift;
    if (to.has_initial && from.has_initial)
        shift = to.window_shift != 0 && from.window_shift != 0 ? to.window_shift - 1U : 0;
    return static_cast<std::uint64_t>(sides_[receiver].window) << shift;
}

// RFC 9293, 3.5.2: a reset must lie in the window, or acknowledge the SYN that it refuses. What was sent but not
// captured may lie before it.
bool tcp_connection::is_plausible_reset(decode::headers const& packet, std::size_t side,
                                        tcp_beginning const& beginning) const noexcept {
    auto const& from = sides_[side];
    auto const& to = sides_[1 - side];
    auto const& answered = beginning.sides[1 - side];
    if (from.state == state::silent && to.state == state::syn_sent && answered.has_initial)
        return (packet.tcp_flags & flag::ack) != 0 &&
               packet.acknowledgment - answered.initial - 1 <= to.next - answered.initial;
    if (from.state == state::silent || from.state == state::midstream)
        return true;
    if (!to.has_acknowledged)
        return packet.sequence - beginning.sides[side].initial < largest_window;
    auto const distance = packet.sequence - (to.acknowledged - 1);
    auto const in_flight = sequence_before(to.acknowledged, from.next) ? from.next - to.acknowledged : 0;
    return distance <= 1 + in_flight + window_of(1 - side, beginning);
}

void tcp_connection::take_syn(decode::headers const& packet, std::size_t side, tcp_beginning& beginning,
                              timestamp begun) noexcept {
    auto& from = sides_[side];
    auto& mine = beginning.sides[side];
    auto const& other = beginning.sides[1 - side];
    bool const answers = (packet.tcp_flags & flag::ack) != 0;
    bool const is_first = !mine.has_initial;
    // Karn's rule: which of several was answered cannot be told, nor when one was sent that did not come first.
    mine.syn_repeated = !is_first || (side == 0 && packet.time != begun);
    if (is_first) {
        auto const options = decode::parse_tcp_options(packet);
        mine.segment_size = options.maximum_segment_size.value_or(0);
        mine.window_shift = options.window_scale ? static_cast<std::uint8_t>(*options.window_scale + 1) : 0;
    }
    if (from.state == state::silent || from.state == state::midstream) {
        if (from.state == state::silent)
            from.next = packet.sequence + packet.payload_length + 1;
        mine.initial = packet.sequence;
        from.state = answers ? state::syn_ack_sent : state::syn_sent;
    } else if (from.state == state::syn_sent && answers) {
        from.state = state::syn_ack_sent; // simultaneous open
        mine.syn_repeated = true;
    }
    if (answers && side == 1 && is_first && other.has_initial && !other.syn_repeated)
        beginning.round_trips[0] = in_units(packet.time - begun);
    mine.has_initial = true;
}

void tcp_connection::advance_endpoint(std::uint8_t flags, std::size_t side, bool has_payload) noexcept {
    auto& from = sides_[side];
    auto& to = sides_[1 - side];
    bool const syn = (flags & flag::syn) != 0;
    bool const ack = (flags & flag::ack) != 0;
    bool const fin = (flags & flag::fin) != 0;
    bool const rst = (flags & flag::rst) != 0;
    switch (from.endpoint) {
    case endpoint::inactive:
        if (syn && side == 0) {
            // Where the answer came first, the attempt that it answers completes it.
            from.endpoint = ack                                    ? endpoint::syn_ack_sent
                            : to.endpoint == endpoint::established ? endpoint::established
                                                                   : endpoint::syn_sent;
        } else if (syn) {
            if (to.endpoint == endpoint::syn_sent)
                to.endpoint = endpoint::established;
            from.endpoint = endpoint::established;
        }
        if (fin)
            from.endpoint = endpoint::closed;
        if (rst)
            from.endpoint = endpoint::reset;
        if (syn || fin || rst)
            return;
        if (side == 1 && !has_payload && to.endpoint == endpoint::syn_sent) // some acknowledge before they answer
            return;
        from.endpoint = ack && to.endpoint == endpoint::established ? endpoint::established : endpoint::partial;
        return;
    case endpoint::syn_sent:
    case endpoint::syn_ack_sent:
        if (fin)
            from.endpoint = endpoint::closed;
        if (rst)
            from.endpoint = endpoint::reset;
        return;
    case endpoint::partial:
    case endpoint::established:
        if (syn && !ack && from.endpoint == endpoint::partial && to.endpoint == endpoint::inactive)
            from.endpoint = endpoint::syn_sent;
        if (syn && ack && side == 1) { // it came late
            from.endpoint = endpoint::established;
            if (to.endpoint == endpoint::syn_sent)
                to.endpoint = endpoint::established;
        }
        if (fin && !rst) {
            from.endpoint = endpoint::closed;
            if (to.endpoint == endpoint::reset && to.fin) // its reset came behind its FIN: an ordinary end
                to.endpoint = endpoint::closed;
        }
        if (rst)
            from.endpoint = endpoint::reset;
        return;
    case endpoint::closed:
        if (rst && to.endpoint != endpoint::closed)
            from.endpoint = endpoint::reset;
        return;
    case endpoint::reset:
        return;
    }
}

void tcp_connection::update(decode::headers const& packet, std::size_t side, tcp_beginning& beginning,
                            timestamp const& begun, history_log history, report& result) noexcept {
    auto& from = sides_[side];
    auto& to = sides_[1 - side];
    auto const flags = packet.tcp_flags;
    from.tcp_flags |= flags;
    note_flags(packet, side, history);
    if ((flags & flag::rst) != 0) {
        if (is_plausible_reset(packet, side, beginning)) {
            advance_endpoint(flags, side, false);
            result.outcome = outcome::reset;
        }
        return;
    }
    result.zero_window = packet.window == 0 && !to.fin && from.endpoint != endpoint::reset;

    auto const span = packet.payload_length + ((flags & flag::syn) != 0 ? 1 : 0) + ((flags & flag::fin) != 0 ? 1 : 0);
    auto const end = packet.sequence + span;
    bool const was_silent = from.state == state::silent;
    if ((flags & flag::syn) != 0) {
        take_syn(packet, side, beginning, begun);
    } else if (was_silent) {
        from.state = state::midstream;
        beginning.sides[side].initial = packet.sequence;
        from.next = end;
    }
    if (!was_silent) {
        if (sequence_before(from.next, packet.sequence))
            result.skipped = packet.sequence - from.next;
        // A keep-alive has one byte before the next, or none (RFC 9293, 3.8.4).
        else if (span != 0 && !sequence_before(from.next, end))
            result.repeated = span > 1 || (flags & (flag::syn | flag::fin)) != 0 || end != from.next;
    }
    advance_endpoint(flags, side, packet.payload_length != 0);
    if (sequence_before(from.next, end) && !from.fin)
        from.next = end;
    from.window = packet.window;

    bool answered = false;
    if ((flags & flag::ack) != 0) {
        result.acknowledges = true;
        if (!from.has_acknowledged || sequence_before(from.acknowledged, packet.acknowledgment))
            from.acknowledged = packet.acknowledgment;
        from.has_acknowledged = 1;
        if ((flags & flag::syn) == 0 && (from.state == state::syn_sent || from.state == state::syn_ack_sent)) {
            auto& [answer, acknowledgment] = beginning.round_trips;
            auto const& other = beginning.sides[1];
            if (side == 0 && answer != 0 && !other.syn_repeated && packet.acknowledgment == other.initial + 1)
                acknowledgment = in_units(packet.time - begun - (answer - 1) * round_trip_unit);
            from.state = state::open;
        }
        // The handshake is over when the initiator's last part of it, or anything that implies it, was seen.
        answered = to.state != state::silent && to.state != state::syn_sent && (flags & flag::syn) == 0;
    }
    if ((flags & flag::fin) != 0)
        from.fin = 1;
    // The FIN is the last that a side sends, so what it sent ends there.
    if (from.fin && to.fin && from.has_acknowledged && to.has_acknowledged &&
        !sequence_before(from.acknowledged, to.next) && !sequence_before(to.acknowledged, from.next))
        result.outcome = outcome::closed;
    else if (answered)
        result.outcome = outcome::answered;
}

connection_state tcp_connection::zeek_state(history_marks const& history) const noexcept {
    auto const initiator = sides_[0].endpoint;
    auto const responder = sides_[1].endpoint;
    auto const is_inactive = [](endpoint e) { return e == endpoint::inactive || e == endpoint::partial; };
    if (responder == endpoint::reset) {
        auto const nothing_sent = ((history.seen[0] | history.seen[1]) & seen::data) == 0;
        if (initiator == endpoint::syn_sent || initiator == endpoint::syn_ack_sent ||
            (initiator == endpoint::reset && nothing_sent))
            return connection_state::rej;
        return is_inactive(initiator) ? connection_state::rstrh : connection_state::rstr;
    }
    if (initiator == endpoint::reset) {
        if (!is_inactive(responder))
            return connection_state::rsto;
        constexpr auto more = seen::syn_ack | seen::ack | seen::fin | seen::fin_rst | seen::many;
        return (history.seen[0] & seen::syn) != 0 && (history.seen[0] & more) == 0 ? connection_state::rstos0
                                                                                   : connection_state::oth;
    }
    if (initiator == endpoint::closed && responder == endpoint::closed)
        return connection_state::sf;
    if (initiator == endpoint::closed)
        return is_inactive(responder) ? connection_state::sh : connection_state::s2;
    if (responder == endpoint::closed)
        return is_inactive(initiator) ? connection_state::shr : connection_state::s3;
    if (initiator == endpoint::syn_sent && responder == endpoint::inactive)
        return connection_state::s0;
    if (initiator == endpoint::established && responder == endpoint::established)
        return connection_state::s1;
    return connection_state::oth;
}

void tcp_connection::describe(flow_stats& stats) const noexcept {
    stats.forward.tcp_flags = sides_[0].tcp_flags;
    stats.reverse.tcp_flags = sides_[1].tcp_flags;
}

void tcp_beginning::describe(flow_stats& stats) const noexcept {
    auto const write = [](side const& from, direction_stats& to) {
        if (from.has_initial)
            to.initial_sequence = from.initial;
        if (from.segment_size != 0)
            to.maximum_segment_size = from.segment_size;
        if (from.window_shift != 0)
            to.window_scale = static_cast<std::uint8_t>(from.window_shift - 1);
    };
    write(sides[0], stats.forward);
    write(sides[1], stats.reverse);
    if (round_trips[0] != 0)
        stats.responder_round_trip = (round_trips[0] - 1) * round_trip_unit;
    if (round_trips[1] != 0)
        stats.initiator_round_trip = (round_trips[1] - 1) * round_trip_unit;
}

} // namespace netring_asio::flow::detail
