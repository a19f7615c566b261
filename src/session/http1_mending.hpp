#pragma once

#include <netring_asio/session/http1_message.hpp>

#include <optional>
#include <string>
#include <string_view>

/// What servers and clients take although RFC 9112 does not allow it, so that an observer sees it too.
namespace netring_asio::session::http1 {

/// A head as Beast takes it, and of its first line what was really sent.
struct mended_head {
    std::string text;
    std::string method;   // of a request
    std::string target;   // of a request
    unsigned version = 0; // 10 or 11, or 0 where there is none, or another
    field_list fields;    // all that were sent, also what Beast is not shown
};

/// Mends a head whose lines end with CR and LF: a first line with parts too many or too few, control characters,
/// lines that are no fields, a length beside chunks (which then count, RFC 9112, 6.3). Nothing where the first line is
/// none of HTTP.
std::optional<mended_head> mend(std::string_view head, bool is_request);

/// A mended head without the fields that say where the body ends, and what becomes of the connection.
std::string without_framing(std::string_view head);

/// Whether a request may begin like this.
bool is_method(std::string_view text) noexcept;

} // namespace netring_asio::session::http1
