#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/detail/history_log.hpp>
#include <netring_asio/flow/event.hpp>
#include <netring_asio/flow/lifecycle.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace netring_asio::flow::detail {

/// Whether sequence number `a` comes before `b`, across the wrap (RFC 9293, 3.4).
constexpr bool sequence_before(std::uint32_t a, std::uint32_t b) noexcept {
    return static_cast<std::int32_t>(a - b) < 0;
}

/// How a TCP connection began. Kept apart from the rest, because few packets look here.
struct NETRING_ASIO_API tcp_beginning {
    struct side {
        std::uint32_t initial = 0;      // its SYN, or what it sent first
        std::uint16_t segment_size = 0; // of its SYN; 0 if it named none
        std::uint8_t window_shift = 0;  // of its SYN, plus 1; 0 if it named none
        bool has_initial : 1 = false;   // its SYN was seen
        bool syn_repeated : 1 = false;
    };
    std::array<side, 2> sides{};
    // From the SYN to the answer and from that to its acknowledgment, in 16 ns; 0 if not known.
    std::array<std::uint32_t, 2> round_trips{};

    void flip() noexcept {
        std::swap(sides[0], sides[1]);
        round_trips = {};
    }
    /// Writes the facts of both sides and of the handshake.
    void describe(flow_stats& stats) const noexcept;
};

/// A TCP connection as a bystander sees it. Side 0 is the initiator.
class NETRING_ASIO_API tcp_connection {
public:
    enum class outcome : std::uint8_t {
        none,
        answered, // the handshake is over, now or before
        closed,
        reset,
    };

    /// What a packet was, besides one step of the connection.
    struct report {
        tcp_connection::outcome outcome = outcome::none;
        bool repeated = false;     // it took up only sequence numbers that were seen, or passed over, before
        bool zero_window = false;  // one that matters
        bool acknowledges = false; // it says what the other side has
        std::uint32_t skipped = 0; // bytes between what was seen before and this packet
    };

    /// A connection attempt that cannot belong to what was seen so far: a new connection on the same ports.
    bool is_new_attempt(decode::headers const& packet, std::size_t side, tcp_beginning const& beginning) const noexcept;

    /// The packet, of `side`, shows that the sides are the other way round; call `flip` before `update` then.
    bool is_reversed(decode::headers const& packet, std::size_t side) const noexcept;
    void flip() noexcept { std::swap(sides_[0], sides_[1]); }

    /// Takes one packet of `side` in; `begun` is the stamp of the flow's first packet. Writes to a fresh report.
    void update(decode::headers const& packet, std::size_t side, tcp_beginning& beginning, timestamp const& begun,
                history_log history, report& result) noexcept;

    /// What a side sends next in order only carries on what goes on: that it answers the other one is known, or it does
    /// not.
    bool is_steady(std::size_t side, bool is_established) const noexcept {
        auto const& from = sides_[side];
        auto const& to = sides_[1 - side];
        return (is_established || to.state == state::silent || to.state == state::syn_sent) &&
               (from.state == state::open || from.state == state::midstream) && from.endpoint != endpoint::inactive &&
               !from.fin && from.has_acknowledged;
    }
    /// Takes in a packet of a side that is steady, if it is such a one: in order, with an acknowledgment, and neither
    /// its window nor its flags say anything. `update` would do the same, and report nothing of importance.
    bool carries_on(decode::headers const& packet, std::size_t side) noexcept {
        namespace flag = decode::tcp_flag;
        auto& from = sides_[side];
        if ((packet.tcp_flags & (flag::syn | flag::fin | flag::rst | flag::ack)) != flag::ack ||
            packet.sequence != from.next || packet.window == 0) [[unlikely]]
            return false;
        from.tcp_flags |= packet.tcp_flags;
        from.next += packet.payload_length;
        from.window = packet.window;
        if (sequence_before(from.acknowledged, packet.acknowledgment))
            from.acknowledged = packet.acknowledgment;
        return true;
    }

    /// Nobody answered the initiator, and nothing shows that somebody did unseen.
    bool unanswered() const noexcept { return sides_[0].state == state::syn_sent && sides_[1].state == state::silent; }
    /// Both sides have sent their FIN.
    bool closing() const noexcept { return sides_[0].fin && sides_[1].fin; }

    connection_state zeek_state(history_marks const& history) const noexcept;

    /// Writes the flags of both sides.
    void describe(flow_stats& stats) const noexcept;

private:
    enum class state : std::uint8_t {
        silent,       // sent nothing yet
        midstream,    // was seen sending, but not how it began
        syn_sent,     // SYN
        syn_ack_sent, // SYN and ACK
        open,         // acknowledged the other's SYN
    };
    // As Zeek has it: its state names are made of these.
    enum class endpoint : std::uint8_t { inactive, partial, syn_sent, syn_ack_sent, established, closed, reset };

    struct side_state {
        std::uint32_t next = 0;         // one past the highest sequence number it sent
        std::uint32_t acknowledged = 0; // the highest number it acknowledged
        std::uint16_t window = 0;       // as it last said, unscaled
        std::uint8_t tcp_flags = 0;
        tcp_connection::state state : 3 = state::silent;
        tcp_connection::endpoint endpoint : 3 = endpoint::inactive;
        std::uint8_t fin : 1 = 0;
        std::uint8_t has_acknowledged : 1 = 0;
    };

    bool is_plausible_reset(decode::headers const& packet, std::size_t side,
                            tcp_beginning const& beginning) const noexcept;
    std::uint64_t window_of(std::size_t receiver, tcp_beginning const& beginning) const noexcept;
    void take_syn(decode::headers const& packet, std::size_t side, tcp_beginning& beginning, timestamp begun) noexcept;
    void advance_endpoint(std::uint8_t flags, std::size_t side, bool has_payload) noexcept;

    std::array<side_state, 2> sides_{};
};
static_assert(sizeof(tcp_connection) == 24);

} // namespace netring_asio::flow::detail
