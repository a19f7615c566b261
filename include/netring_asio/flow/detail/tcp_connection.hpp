#pragma once

#include <netring_asio/decode/headers.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace netring_asio::flow::detail {

/// Whether sequence number `a` comes before `b`, across the wrap (RFC 9293, 3.4).
constexpr bool sequence_before(std::uint32_t a, std::uint32_t b) noexcept {
    return static_cast<std::int32_t>(a - b) < 0;
}

/// A TCP connection as a bystander sees it. Side 0 is the initiator.
class tcp_connection {
public:
    enum class outcome : std::uint8_t { none, established, closed, reset };

    /// A connection attempt that cannot belong to what was seen so far: a new connection on the same ports.
    bool is_new_attempt(decode::headers const& packet, std::size_t side) const noexcept;

    /// Takes one packet of `side` in.
    outcome update(decode::headers const& packet, std::size_t side) noexcept;

    /// Nobody answered the initiator, and nothing shows that somebody did unseen.
    bool unanswered() const noexcept { return sides_[0].state == state::syn_sent && sides_[1].state == state::silent; }
    /// Both sides have sent their FIN.
    bool closing() const noexcept { return sides_[0].fin && sides_[1].fin; }
    bool established() const noexcept { return established_; }

    /// What was taken for the responder turned out to be the initiator.
    void swap_sides() noexcept { std::swap(sides_[0], sides_[1]); }

private:
    enum class state : std::uint8_t {
        silent,       // sent nothing yet
        midstream,    // was seen sending, but not how it began
        syn_sent,     // SYN
        syn_ack_sent, // SYN and ACK
        open,         // acknowledged the other's SYN
    };
    struct side_state {
        std::uint32_t initial = 0;      // its SYN, or what it sent first
        std::uint32_t next = 0;         // one past the highest sequence number it sent
        std::uint32_t acknowledged = 0; // the highest number it acknowledged
        std::uint32_t fin_end = 0;      // one past its FIN
        detail::tcp_connection::state state = state::silent;
        bool fin = false;
        bool has_acknowledged = false;
    };

    bool is_plausible_reset(decode::headers const& packet, side_state const& from, side_state const& to) const noexcept;

    std::array<side_state, 2> sides_{};
    bool established_ = false;
};

} // namespace netring_asio::flow::detail
