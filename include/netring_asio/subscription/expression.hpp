#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/subscription/detail/predicate.hpp>

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>

namespace netring_asio::subscription {

/// Where a text is no expression, and why.
struct NETRING_ASIO_API problem {
    std::size_t position = 0; ///< in characters, from 0
    std::string message;
};

/// What is wanted: predicates over fields of packets, connections and sessions, joined by `and`, `or` and `not`.
///
/// @code
/// ipv4 and tcp.port in {80, 443} and not ipv4.addr = 10.0.0.0/8
/// tls.sni ~ '(^|\.)example\.(com|org)$' or http.host contains 'example'
/// tcp.synack and ipv4.time_to_live < 64
/// @endcode
///
/// A protocol alone asks whether it is there; so does a field, except that a flag has to be set. Otherwise an operator
/// follows: `=`, `!=`, `<`, `<=`, `>`, `>=` (or `eq`, `ne`, `lt`, `le`, `gt`, `ge`), `in` with a range `1..1023`, a
/// prefix or a set in braces, `contains`, and `~` (or `matches`) with a regular expression, which is searched for,
/// in linear time. Texts are compared by their bytes, so that capitals in a name make it another one: `~ '(?i)...'`
/// finds both. `not in`, `not contains` and `!~` are what they say. `and` binds tighter than `or`, and `not` tightest;
/// `&&`, `||` and `!` are the same.
///
/// Values are numbers, decimal or `0x...`; durations as `1.5s`, `20ms`; addresses, with a length of a prefix where one
/// is wanted; texts in quotes; and bytes in hexadecimal between bars, `|16 03 01|`.
///
/// Where a field has several values, as `tcp.port` has the ports of both ends, a predicate holds if it does so for one
/// of them, and `!=` and its like hold if the field is there and none of its values is the one: `tcp.port != 80` means
/// that neither port is 80. Of what has no such field no predicate holds, so `not tcp.port = 80` holds of UDP too. A
/// connection has all values of its packets and messages.
///
/// An immutable value; copies share it.
///
/// @par Thread safety
/// Const members may be called on one object from several threads.
class NETRING_ASIO_API expression {
public:
    /// How deep parentheses and `not` may be nested.
    static constexpr std::size_t max_nesting = 32;

    /// Holds of everything.
    expression();
    /// Reads a text; the empty one holds of everything.
    /// @throws system_error with `error::bad_expression`; `what()` says what is wrong, and where.
    explicit expression(std::string_view text);
    explicit expression(char const* text)
        : expression{std::string_view{text}} {}

    /// Reads a text without throwing. On failure `error` is `error::bad_expression`, `found` says why, and the result
    /// holds of everything.
    static expression parse(std::string_view text, error_code& error, problem* found = nullptr);

    bool is_everything() const noexcept { return root_->kind == detail::node_kind::everything; }

    friend NETRING_ASIO_API expression operator&&(expression const& a, expression const& b);
    friend NETRING_ASIO_API expression operator||(expression const& a, expression const& b);
    friend NETRING_ASIO_API expression operator!(expression const& a);

    /// A text that reads as the same expression.
    friend NETRING_ASIO_API std::string to_string(expression const& value);
    friend NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, expression const& value);

    /// For the engine.
    detail::node const& root() const noexcept { return *root_; }
    explicit expression(detail::node_ptr root);

private:
    detail::node_ptr root_;
};

namespace detail {
/// One predicate. Throws where the relation does not suit the field.
NETRING_ASIO_API expression make_expression(predicate what);
} // namespace detail

} // namespace netring_asio::subscription
