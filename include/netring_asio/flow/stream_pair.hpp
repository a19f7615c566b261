#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/key.hpp>
#include <netring_asio/flow/reassembler.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace netring_asio::flow {

/// Both directions of a TCP connection, put in order: see `reassembler`.
///
/// Data counts on whatever segment it comes: on a SYN (RFC 7413), a FIN, a RST; but not on one that acknowledges
/// nothing and is neither SYN nor RST, which every receiver drops (RFC 9293, 3.10.7.4). The directions are those of the
/// key, which stay the same when it turns out late who the initiator was.
///
/// @par Thread safety
/// As `reassembler`.
class NETRING_ASIO_API stream_pair {
public:
    explicit stream_pair(reassembler_options const& options = reassembler_options{},
                         reassembly_memory* memory = nullptr) noexcept
        : directions_{reassembler{options, memory}, reassembler{options, memory}} {}

    /// A packet of the connection came, and went this way. What it leads to goes to the consumer of its direction, or
    /// to that of the other, as it also tells what was received there.
    void packet(decode::headers const& headers, orientation way, timestamp now, byte_consumer& a_to_b,
                byte_consumer& b_to_a);

    /// Time passed.
    void advance(timestamp now, byte_consumer& a_to_b, byte_consumer& b_to_a);
    /// The connection is over: hands over what waits, with the gaps before it.
    void finish(byte_consumer& a_to_b, byte_consumer& b_to_a);

    reassembler const& direction(orientation way) const noexcept { return directions_[static_cast<std::size_t>(way)]; }
    /// Bytes that wait for missing ones.
    std::size_t buffered() const noexcept { return directions_[0].buffered() + directions_[1].buffered(); }
    /// Either direction was given up over the budget, by `budget_policy::stop`.
    bool stopped() const noexcept { return directions_[0].stopped() || directions_[1].stopped(); }

private:
    /// What a side said of its window.
    struct receiver {
        std::optional<std::uint8_t> shift; // of its SYN
        bool has_begun = false;            // with a SYN
    };
    void note_window(decode::headers const& headers, std::size_t way, timestamp now) noexcept;

    std::array<reassembler, 2> directions_;
    std::array<receiver, 2> receivers_; // by the way that they send
};

} // namespace netring_asio::flow
