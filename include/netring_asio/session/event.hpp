#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/event.hpp>
#include <netring_asio/session/parser.hpp>

#include <array>
#include <cstdint>
#include <ostream>
#include <string_view>
#include <utility>
#include <variant>

namespace netring_asio::session {

/// A parser was chosen for a flow.
struct started {};

/// Bytes of one side were not captured and are not expected any more.
struct gap {
    std::uint64_t offset = 0; ///< in the bytes of that side
    std::uint64_t length = 0;
};

/// The flow carries what its parser does not take. A stream goes on unparsed, and this is told once; of a flow of
/// datagrams the first damaged one is told, and those that follow are parsed.
struct parse_failure {
    error_code error;
};

/// What a parser was given and what it made of it.
struct counters {
    std::uint64_t messages = 0;
    std::array<std::uint64_t, 2> bytes{}; ///< by side, as `index` counts
    std::uint64_t gaps = 0;
    std::uint64_t gap_bytes = 0;
    std::uint64_t failures = 0; ///< damaged datagrams, or 1 where a stream was not parsed to its end
};

/// The flow has ended.
struct ended {
    flow::end_reason reason = flow::end_reason::none;
    session::counters counters;
    flow::flow_stats stats;
};

/// Something that happened to a flow that has a parser.
template <class Key, class Message>
struct basic_event {
    using message_type = Message;

    Key key{};
    flow::orientation orientation = flow::orientation::a_to_b; ///< from the initiator to the responder
    side from = side::initiator;                               ///< who sent the message, or lacks the bytes
    std::uint64_t flow_id = 0;                                 ///< as `flow::basic_event::flow_id`
    timestamp time{};                                          ///< packet time when it happened
    std::string_view protocol;                                 ///< the parser's name
    std::variant<session::started, Message, session::gap, parse_failure, session::ended> what;

    /// The message, or nullptr where this is something else.
    Message const* message() const noexcept { return std::get_if<1>(&what); }
    session::gap const* gap() const noexcept { return std::get_if<session::gap>(&what); }
    parse_failure const* failure() const noexcept { return std::get_if<parse_failure>(&what); }
    session::ended const* ended() const noexcept { return std::get_if<session::ended>(&what); }
    bool is_start() const noexcept { return what.index() == 0; }
};

namespace detail {

NETRING_ASIO_API void print_head(std::ostream& out, timestamp time, std::string_view protocol);
NETRING_ASIO_API void print(std::ostream& out, side from, started const&);
NETRING_ASIO_API void print(std::ostream& out, side from, gap const& value);
NETRING_ASIO_API void print(std::ostream& out, side from, parse_failure const& value);
NETRING_ASIO_API void print(std::ostream& out, side from, ended const& value);

template <class Message>
void print(std::ostream& out, side, Message const& value) {
    if constexpr (requires { out << value; })
        out << value;
    else if constexpr (requires { std::variant_size<Message>::value; })
        std::visit([&out](auto const& v) { detail::print(out, side::initiator, v); }, value);
    else
        out << "message";
}

} // namespace detail

/// One line: time in UTC, the flow, and what happened.
template <class Key, class Message>
std::ostream& operator<<(std::ostream& out, basic_event<Key, Message> const& e) {
    detail::print_head(out, e.time, e.protocol);
    flow::print(out, e.key, e.from == side::initiator ? e.orientation : flow::opposite(e.orientation));
    out << ": ";
    std::visit([&](auto const& what) { detail::print(out, e.from, what); }, e.what);
    return out;
}

} // namespace netring_asio::session
