#pragma once

#include <netring_asio/flow/reassembler_options.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace netring_asio {

/// What happens where a conversation is read too slowly and its queue is full.
enum class full_queue : std::uint8_t {
    pause_source, ///< nothing more is read from the source until there is room: the file waits, or the ring fills up
    detach,       ///< the rest of that conversation is not kept, and told as a gap and `error::reader_too_slow`
};

/// How a `conversation_stream` works.
class conversation_options {
public:
    conversation_options() = default;

    /// Bytes that wait to be read, of both sides of one conversation. Up to 64 packets more may have come when the
    /// source is paused. Default 256 KiB.
    conversation_options& max_queued(std::size_t value) noexcept { return max_queued_ = value, *this; }
    /// What to do above that. Default: `pause_source` where the source can wait, which is a file; else `detach`.
    conversation_options& when_full(full_queue value) noexcept { return when_full_ = value, *this; }
    /// Conversations that wait to be accepted. One more pauses the source or is left out, as `when_full` says. Default
    /// 1024.
    conversation_options& max_waiting(std::size_t value) noexcept { return max_waiting_ = value, *this; }
    /// Follows only what has one of these ports at either end. Default: all.
    conversation_options& ports(std::vector<std::uint16_t> value) { return ports_ = std::move(value), *this; }
    /// How the bytes of each direction are put in order.
    conversation_options& reassembly(flow::reassembler_options const& value) noexcept {
        return reassembly_ = value, *this;
    }
    /// Bytes that wait for missing ones, of all conversations together. Default 256 MiB.
    conversation_options& max_buffered(std::size_t value) noexcept { return max_buffered_ = value, *this; }

    std::size_t max_queued() const noexcept { return max_queued_; }
    std::optional<full_queue> when_full() const noexcept { return when_full_; }
    std::size_t max_waiting() const noexcept { return max_waiting_; }
    std::vector<std::uint16_t> const& ports() const noexcept { return ports_; }
    flow::reassembler_options const& reassembly() const noexcept { return reassembly_; }
    std::size_t max_buffered() const noexcept { return max_buffered_; }

private:
    flow::reassembler_options reassembly_;
    std::size_t max_queued_ = std::size_t{256} << 10;
    std::size_t max_waiting_ = 1024;
    std::size_t max_buffered_ = std::size_t{256} << 20;
    std::vector<std::uint16_t> ports_;
    std::optional<full_queue> when_full_;
};

/// Counters of a `conversation_stream`.
struct conversation_statistics {
    std::uint64_t conversations = 0; ///< that sent any bytes
    std::uint64_t detached = 0;      ///< of these, read too slowly
    std::uint64_t refused = 0;       ///< of these, left out because too many waited to be accepted
    std::uint64_t failed = 0;        ///< consumers that ended with an error
    std::uint64_t pauses = 0;        ///< how often the source was not read because a queue was full
    std::size_t queued = 0;          ///< bytes that wait to be read now; each piece counts 32 more
    std::size_t full = 0;            ///< conversations whose queue is full now
};

} // namespace netring_asio
