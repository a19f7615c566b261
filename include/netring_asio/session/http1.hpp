#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/session/http1_message.hpp>
#include <netring_asio/session/parser.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace netring_asio::session {

class http1_options {
public:
    http1_options() = default;

    /// Bytes of a head, of a trailer and of a chunk's head. More end the parser. Default 64 KiB.
    http1_options& max_head(std::uint32_t value) noexcept { return max_head_ = value, *this; }
    /// Bytes of a body that are kept in its message. What goes beyond is only counted. Default 64 KiB.
    http1_options& max_body(std::size_t value) noexcept { return max_body_ = value, *this; }
    /// Tells a message at the end of its head, and its body in pieces of so many bytes. 0, the default, tells it whole.
    http1_options& stream_bodies(std::size_t piece) noexcept { return piece_ = piece, *this; }
    /// Requests that wait for their response; above it the parser ends. Default 1000.
    http1_options& max_pipelined(std::size_t value) noexcept { return max_pipelined_ = value, *this; }

    std::uint32_t max_head() const noexcept { return max_head_; }
    std::size_t max_body() const noexcept { return max_body_; }
    std::size_t stream_bodies() const noexcept { return piece_; }
    std::size_t max_pipelined() const noexcept { return max_pipelined_; }

private:
    std::uint32_t max_head_ = std::uint32_t{64} << 10;
    std::size_t max_body_ = std::size_t{64} << 10;
    std::size_t piece_ = 0;
    std::size_t max_pipelined_ = 1000;
};

/// HTTP/1 with pipelining, until the connection becomes a tunnel by CONNECT or another protocol by an upgrade.
///
/// A message counts as sent when its body is complete. Behind a gap it goes on with the next line that is the first of
/// a message; a gap within a body of known length only makes a hole in it. A message that breaks the rules is told with
/// an `error`, as servers and clients take it; where its end cannot be known, and behind anything else, the next line
/// that is the first of a message is looked for. The parser fails where no side sends a message.
class NETRING_ASIO_API http1_parser {
public:
    using message_type = http1::message;
    static constexpr std::string_view name = "http1";

    explicit http1_parser(http1_options const& options = http1_options{});
    http1_parser(http1_parser const& prototype);
    http1_parser(http1_parser&&) noexcept;
    http1_parser& operator=(http1_parser&&) noexcept;
    ~http1_parser();

    error_code feed(side from, std::span<std::byte const> bytes, timestamp time, output<message_type>& out);
    error_code gap(side from, std::uint64_t length, timestamp time, output<message_type>& out);
    error_code finish(side from, timestamp time, output<message_type>& out);
    void reset(timestamp time, output<message_type>& out);
    std::size_t held() const noexcept;
    bool done() const noexcept;
    static match probe(side from, std::span<std::byte const> bytes);

private:
    class conversation;
    http1_options options_;
    std::unique_ptr<conversation> conversation_;
};

} // namespace netring_asio::session
