#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/detail/history_log.hpp>
#include <netring_asio/flow/detail/tcp_connection.hpp>
#include <netring_asio/flow/event.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace netring_asio::flow::detail {

/// What went wrong in a flow, most of it of TCP, and which in most is nothing.
///
/// Of what is missing only where it begins and ends is kept, and how much it is. So with several holes at once a
/// repetition of what lies between them is taken for one of them.
class NETRING_ASIO_API tcp_troubles {
public:
    /// Whether there is anything to note of a packet.
    static bool has(tcp_connection::report const& r) noexcept { return r.repeated || r.zero_window || r.skipped != 0; }

    void note(tcp_connection::report const& r, decode::headers const& packet, std::size_t side,
              history_log history) noexcept;
    /// A packet of `side` had a wrong checksum.
    void note_corrupt(std::size_t side, history_log history) noexcept;
    /// `side` has everything before the number.
    void acknowledged(std::size_t side, std::uint32_t number, history_log history) noexcept;
    /// No acknowledgment of `side` tells anything new, as long as nothing more goes wrong.
    bool is_settled(std::size_t side) const noexcept { return sides_[1 - side].open == 0 || sides_[1 - side].gap_told; }
    void flip() noexcept { std::swap(sides_[0], sides_[1]); }
    void describe(flow_stats& stats) const noexcept;
    /// A new part of the flow begins.
    void clear_counters() noexcept;

    std::uint32_t next_free = 0; ///< for who keeps these

private:
    struct side_troubles {
        std::uint64_t missed = 0; // bytes passed over, of this part and not come since
        std::uint64_t open = 0;   // of the holes that may still be filled
        std::uint32_t hole_begin = 0;
        std::uint32_t hole_end = 0;
        std::uint32_t retransmitted = 0;
        std::uint32_t out_of_order = 0;
        std::uint32_t zero_windows = 0;
        std::uint32_t corrupt = 0; // of this part, and all of them
        std::uint32_t all_corrupt = 0;
        std::uint32_t gaps = 0;
        std::uint32_t late_data = 0; // as the history counts it
        bool gap_told = false;
    };
    std::array<side_troubles, 2> sides_{};
};

} // namespace netring_asio::flow::detail
