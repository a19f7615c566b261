#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

/// What flows carry, as typed messages.
namespace netring_asio::session {

/// Which side of a conversation sent something.
enum class side : std::uint8_t {
    initiator, ///< who began: `flow::basic_event::initiator`
    responder,
};

constexpr side opposite(side value) noexcept { return value == side::initiator ? side::responder : side::initiator; }
constexpr std::size_t index(side value) noexcept { return value == side::initiator ? 0 : 1; }

/// Takes the messages of a parser.
template <class Message>
class NETRING_ASIO_API output {
public:
    /// A message that this side sent, and that is complete now.
    virtual void operator()(side from, Message&& message) = 0;
    void operator()(side from, Message const& message) { (*this)(from, Message{message}); }

protected:
    ~output() = default;
};

/// What the first bytes of a flow say about whether a parser is the right one.
enum class match : std::uint8_t {
    no,
    maybe, ///< more of them would tell
    yes,
};

/// Makes messages out of the two byte streams of a TCP connection. There is one for each flow, a copy of the one that
/// the stream was given.
///
/// - `message_type`, what it makes;
/// - `feed(side, bytes, time, output)` takes bytes that are consecutive for each side and never empty, valid during the
///   call. How the bytes were cut must make no difference. An error ends the parser: the flow goes on without.
///
/// It may also have
/// - `gap(side, length, time, output)`, as `feed`: so many bytes are missing. Without it a gap ends the parser, with
///   `error::stream_gap`.
/// - `finish(side, time, output)`: this side sends no more. Called once for each side, when all before its FIN has been
///   fed, or where the connection was idle or the input ended. It may return an error as `feed` does.
/// - `reset(time, output)` instead, unless both sides have finished: the connection was reset, evicted or reused, or
///   given up over the reassembly budget.
/// - `tick(time, output)`: packet time passed; about once a second, and before `finish`.
/// - `bool waits() const`: whether `tick` has anything to do; asked after each packet. Flows that do not wait cost
/// nothing
///   as time passes. Without it all flows of a parser that has `tick` wait.
/// - `std::size_t held() const`: bytes that it keeps for what is not complete, to be bounded over all flows by
///   `session_options::max_held`. It is asked after each packet.
/// - `bool done() const`: it wants no more bytes; the flow is not reassembled further.
/// - `static match probe(side, bytes)`: what the first bytes of a side say. With it a flow can be chosen by content.
/// - `static constexpr std::string_view name`, shown with its events.
template <class T>
concept stream_parser = std::copy_constructible<T> && requires(T& parser, side from, std::span<std::byte const> bytes,
                                                               timestamp time, output<typename T::message_type>& out) {
    { parser.feed(from, bytes, time, out) } -> std::same_as<error_code>;
};

/// Makes messages out of the datagrams of a flow. As `stream_parser`, but `datagram(side, bytes, time, output)` takes
/// one datagram, and what it returns is an error of that datagram alone.
///
/// It may also have `cut_datagram`, called in the same way, for a datagram of which only the beginning was captured
/// (the snap length). Without it such a datagram is left out, and told as a gap of what is missing.
template <class T>
concept datagram_parser =
    std::copy_constructible<T> && requires(T& parser, side from, std::span<std::byte const> bytes, timestamp time,
                                           output<typename T::message_type>& out) {
        { parser.datagram(from, bytes, time, out) } -> std::same_as<error_code>;
    };

} // namespace netring_asio::session
