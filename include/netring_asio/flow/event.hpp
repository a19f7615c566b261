#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/key.hpp>
#include <netring_asio/flow/lifecycle.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <optional>

namespace netring_asio::flow {

/// What happened to a flow.
enum class event_kind : std::uint8_t {
    started,     ///< its first packet came
    established, ///< TCP: the handshake is complete; otherwise: the other side answered
    ended,       ///< no more is expected; the counters are final
    late,        ///< packets came after the end, as stragglers do; the counters are of these alone
};

/// Why a flow ended.
enum class end_reason : std::uint8_t {
    none,           ///< it has not
    fin,            ///< both sides closed
    rst,            ///< one side reset the connection
    idle,           ///< nothing came for the idle timeout
    active_timeout, ///< it goes on, and was cut for being long; the next packet starts the next part
    evicted,        ///< the table was full
    reused,         ///< a new connection began on the same key
    flushed,        ///< the input ended
};

/// What one direction of a flow carried.
struct direction_stats {
    std::uint64_t packets = 0;
    std::uint64_t wire_bytes = 0;    ///< frames as they were on the wire
    std::uint64_t ip_bytes = 0;      ///< IP headers and what they carry
    std::uint64_t payload_bytes = 0; ///< what the transport headers carry

    /// Packets with a wrong checksum, which count above but did nothing; see `tracker_options::verifying_checksums`.
    std::uint64_t bad_checksums = 0;

    // Of TCP; 0 for all else.
    std::uint64_t retransmitted = 0; ///< packets with nothing new in them; a keep-alive is none
    std::uint64_t out_of_order = 0;  ///< packets that came behind later ones
    std::uint64_t missed_bytes = 0;  ///< payload that was passed over and did not come late either
    std::uint64_t zero_windows = 0;  ///< packets that closed the window
    std::uint8_t tcp_flags = 0;      ///< union of all flags seen

    // From its SYN, where that was seen and says so.
    std::optional<std::uint32_t> initial_sequence;
    std::optional<std::uint16_t> maximum_segment_size;
    std::optional<std::uint8_t> window_scale;
};

/// What a flow carried. `forward` goes from the initiator: who sent the SYN, or else the first packet seen.
///
/// Where a flow is cut into parts, times and counters are those of one part, the rest is that of the flow until then.
struct flow_stats {
    timestamp first_time{}; ///< stamp of the first packet
    timestamp last_time{};  ///< stamp of the last packet
    direction_stats forward;
    direction_stats reverse;
    connection_state state = connection_state::oth;
    flow::history history;

    /// From the SYN to the answer: how far away the responder is. Not known where one of them was repeated.
    std::optional<std::chrono::nanoseconds> responder_round_trip;
    /// From that answer to its acknowledgment: how far away the initiator is.
    std::optional<std::chrono::nanoseconds> initiator_round_trip;

    std::uint64_t packets() const noexcept { return forward.packets + reverse.packets; }
    std::uint64_t wire_bytes() const noexcept { return forward.wire_bytes + reverse.wire_bytes; }
    /// Of the handshake, between both ends, wherever between them this was captured.
    std::optional<std::chrono::nanoseconds> round_trip() const noexcept {
        if (!responder_round_trip || !initiator_round_trip)
            return std::nullopt;
        return *responder_round_trip + *initiator_round_trip;
    }
};

/// Something that happened to a flow, with what is known of the flow then. A plain value.
template <class Key, class State = no_state>
struct basic_event {
    event_kind kind = event_kind::started;
    end_reason reason = end_reason::none;
    /// From the initiator to the responder. It may turn once, when a handshake shows up behind what it led to; the
    /// history has a ^ then.
    flow::orientation orientation = orientation::a_to_b;
    Key key{};
    std::uint64_t flow_id = 0; ///< unique within one tracker; the parts of a flow that was cut share it
    timestamp time{};          ///< packet time when it happened
    flow_stats stats;
    [[no_unique_address]] State state{}; ///< what the extractor kept of the flow

    auto const& initiator() const noexcept
        requires requires(Key const& k) { k.a; }
    {
        return orientation == orientation::a_to_b ? key.a : key.b;
    }
    auto const& responder() const noexcept
        requires requires(Key const& k) { k.b; }
    {
        return orientation == orientation::a_to_b ? key.b : key.a;
    }
};

using event = basic_event<five_tuple_key>;

NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, event_kind kind);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, end_reason reason);

namespace detail {
NETRING_ASIO_API void print_head(std::ostream& out, event_kind kind, end_reason reason, timestamp time);
NETRING_ASIO_API void print_stats(std::ostream& out, event_kind kind, flow_stats const& stats);
} // namespace detail

/// One line: time in UTC, what happened, the key, and the counters where they are final.
template <class Key, class State>
std::ostream& operator<<(std::ostream& out, basic_event<Key, State> const& e) {
    detail::print_head(out, e.kind, e.reason, e.time);
    print(out, e.key, e.orientation);
    detail::print_stats(out, e.kind, e.stats);
    return out;
}

} // namespace netring_asio::flow
