#pragma once

#include <netring_asio/flow/reassembler_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace netring_asio::session {

/// Which flow goes on unparsed where parsers hold too much.
enum class held_policy : std::uint8_t {
    give_up_slowest,  ///< the one that has gone longest without a complete message
    give_up_newcomer, ///< the one that wants more
};

/// How flows become sessions.
class session_options {
public:
    session_options() = default;

    /// How the bytes of each direction are put in order.
    session_options& reassembly(flow::reassembler_options const& value) noexcept { return reassembly_ = value, *this; }
    /// Bytes that wait for missing ones, of all flows together. Default 256 MiB.
    session_options& max_buffered(std::size_t value) noexcept { return max_buffered_ = value, *this; }
    /// Bytes that parsers hold for messages that are not complete, and to choose a parser, of all flows together.
    /// Default 256 MiB.
    session_options& max_held(std::size_t value) noexcept { return max_held_ = value, *this; }
    /// Who goes on unparsed where that is reached; told as a failure with `errc::no_buffer_space`. Default the slowest.
    session_options& when_full(held_policy value) noexcept { return when_full_ = value, *this; }
    /// Bytes of a flow that are looked at to choose its parser by content. Default 1024.
    session_options& max_probed(std::size_t value) noexcept { return max_probed_ = value, *this; }
    /// Packet time between two ticks of the parsers that have them. Default 1 s.
    session_options& tick_interval(std::chrono::nanoseconds value) noexcept { return tick_ = value, *this; }

    flow::reassembler_options const& reassembly() const noexcept { return reassembly_; }
    std::size_t max_buffered() const noexcept { return max_buffered_; }
    std::size_t max_held() const noexcept { return max_held_; }
    held_policy when_full() const noexcept { return when_full_; }
    std::size_t max_probed() const noexcept { return max_probed_; }
    std::chrono::nanoseconds tick_interval() const noexcept { return tick_; }

private:
    flow::reassembler_options reassembly_;
    std::size_t max_buffered_ = std::size_t{256} << 20;
    std::size_t max_held_ = std::size_t{256} << 20;
    std::size_t max_probed_ = 1024;
    held_policy when_full_ = held_policy::give_up_slowest;
    std::chrono::nanoseconds tick_ = std::chrono::seconds{1};
};

} // namespace netring_asio::session
