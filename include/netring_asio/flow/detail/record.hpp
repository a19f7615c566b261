#pragma once

#include <netring_asio/flow/detail/history_log.hpp>
#include <netring_asio/flow/detail/tcp_connection.hpp>
#include <netring_asio/flow/detail/timer_wheel.hpp>
#include <netring_asio/flow/event.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace netring_asio::flow::detail {

/// In which order a full table gives up its flows.
enum class eviction_class : std::uint8_t { ended, unanswered, one_sided, answered };
inline constexpr std::size_t eviction_classes = 4;

/// What one direction of a flow carried: packets, wire bytes, IP bytes, payload bytes.
using amounts = std::array<std::uint64_t, 4>;

/// What few packets touch of a flow in the table.
struct record_rest {
    static constexpr std::uint32_t none = 0xffffffff;

    std::array<std::array<std::uint16_t, 4>, 2> high; // of the counters, above their low 32 bits
    tcp_beginning beginning;
    flow::history history;
    std::uint32_t troubles = none; // of TCP, where there are any
    timer_wheel::links timer;
    std::uint32_t newer;
    std::uint32_t older;
    timestamp first_time;
    std::uint64_t id;
};

/// What every packet touches of a flow in the table: two cache lines, where the key is a five-tuple. With a longer key
/// to begin with a line of its own would only take more memory.
template <class Key>
struct alignas(sizeof(Key) <= 40 ? 64 : 8) record {
    Key key;
    std::uint8_t protocol; // as the first packet had it, where the flow is one connection
    eviction_class rank : 2;
    flow::orientation orientation : 1; // of the initiator
    std::uint8_t live : 1;             // in the table
    std::uint8_t ended : 1;            // remembered for stragglers only
    std::uint8_t resumed : 1;          // cut by the active timeout; not told again before its next packet
    std::uint8_t is_tcp : 1;
    std::uint8_t established : 1;
    timestamp last_seen; // packet time, not the packet's own stamp
    timestamp last_time;
    std::uint32_t begun;                                // timer tick when this part began, its low bits
    std::array<std::array<std::uint32_t, 4>, 2> counts; // of the initiator and of the responder, their low bits
    tcp_connection tcp;
    std::uint8_t used : 1;     // since it joined the end of its class
    std::uint8_t troubled : 1; // the rest knows of troubles
    std::uint8_t full : 1;     // a counter could overflow with the next packet
    std::uint8_t sent : 2;     // a bit for each side that has counters
    history_marks marks;
    std::uint32_t mark; // the observer's own
    std::uint8_t plain; // a bit for each `plain_kind`: such a packet changes nothing but numbers, if it is in order

    /// Of which kind a packet is, as a bit.
    static std::uint8_t plain_kind(std::size_t side, bool has_payload) noexcept {
        return static_cast<std::uint8_t>(1U << (side * 2 + (has_payload ? 1 : 0)));
    }

    bool empty() const noexcept { return sent == 0; }
    bool is_one_sided() const noexcept { return sent != 3; }
    void see(timestamp now) noexcept {
        used |= now != last_seen;
        last_seen = now;
    }

    /// Adds what fragments or one packet were; each number is less than 2^47.
    void add(std::size_t side, amounts const& more, record_rest& rest) noexcept {
        sent = (sent | 1U << side) & 3U;
        amounts carry;
        for (std::size_t i = 0; i != more.size(); ++i) {
            auto const sum = counts[side][i] + more[i];
            counts[side][i] = static_cast<std::uint32_t>(sum);
            carry[i] = sum >> 32;
        }
        if ((carry[0] | carry[1] | carry[2] | carry[3]) != 0) [[unlikely]]
            for (std::size_t i = 0; i != more.size(); ++i) {
                auto& high = rest.high[side][i];
                high = static_cast<std::uint16_t>(high + carry[i]);
                full = (full | high >> 15U) & 1U;
                plain = full ? std::uint8_t{0} : plain;
            }
    }
    amounts carried(std::size_t side, record_rest const& rest) const noexcept {
        amounts result;
        for (std::size_t i = 0; i != result.size(); ++i)
            result[i] = static_cast<std::uint64_t>(rest.high[side][i]) << 32 | counts[side][i];
        return result;
    }
    void clear(record_rest& rest) noexcept {
        counts = {};
        rest.high = {};
        sent = full = 0;
        plain = 0;
        rest.first_time = last_time = {};
    }
    /// The sides were the other way round.
    void flip(record_rest& rest) noexcept {
        orientation = opposite(orientation);
        unsigned const before = sent;
        sent = (before >> 1U | before << 1U) & 3U;
        std::swap(counts[0], counts[1]);
        std::swap(rest.high[0], rest.high[1]);
        tcp.flip();
        rest.beginning.flip();
        history(rest).flip();
        plain = 0;
    }
    history_log history(record_rest& rest) noexcept { return {marks, rest.history}; }
};

} // namespace netring_asio::flow::detail
