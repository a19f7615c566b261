#pragma once

#include <netring_asio/flow/key.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <cstdint>
#include <iosfwd>

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
    std::uint8_t tcp_flags = 0;      ///< union of all flags seen
};

/// What a flow carried. `forward` goes from the initiator: who sent the SYN, or else the first packet seen.
struct flow_stats {
    timestamp first_time{}; ///< stamp of the first packet
    timestamp last_time{};  ///< stamp of the last packet
    direction_stats forward;
    direction_stats reverse;

    std::uint64_t packets() const noexcept { return forward.packets + reverse.packets; }
    std::uint64_t wire_bytes() const noexcept { return forward.wire_bytes + reverse.wire_bytes; }
};

/// Something that happened to a flow, with what is known of the flow then. A plain value.
template <class Key>
struct basic_event {
    event_kind kind = event_kind::started;
    end_reason reason = end_reason::none;
    flow::orientation orientation = orientation::a_to_b; ///< from the initiator to the responder
    Key key{};
    std::uint64_t flow_id = 0; ///< unique within one tracker; the parts of a flow that was cut share it
    timestamp time{};          ///< packet time when it happened
    flow_stats stats;

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

std::ostream& operator<<(std::ostream& out, event_kind kind);
std::ostream& operator<<(std::ostream& out, end_reason reason);

namespace detail {
void print_head(std::ostream& out, event_kind kind, end_reason reason, timestamp time);
void print_stats(std::ostream& out, event_kind kind, flow_stats const& stats);
} // namespace detail

/// One line: time in UTC, what happened, the key, and the counters where they are final.
template <class Key>
std::ostream& operator<<(std::ostream& out, basic_event<Key> const& e) {
    detail::print_head(out, e.kind, e.reason, e.time);
    print(out, e.key, e.orientation);
    detail::print_stats(out, e.kind, e.stats);
    return out;
}

} // namespace netring_asio::flow
