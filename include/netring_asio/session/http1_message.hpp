#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// Messages of HTTP/1.0 and HTTP/1.1 (RFC 9112).
namespace netring_asio::session::http1 {

/// The fields of a head and of a trailer, in their order, with names as they were sent.
class NETRING_ASIO_API field_list {
public:
    using value_type = std::pair<std::string_view, std::string_view>; ///< name and value

    std::size_t size() const noexcept { return entries_.size(); }
    bool empty() const noexcept { return entries_.empty(); }
    value_type operator[](std::size_t i) const noexcept {
        auto const& e = entries_[i];
        return {std::string_view{text_}.substr(e.begin, e.name),
                std::string_view{text_}.substr(e.begin + e.name, e.value)};
    }
    /// The value of the first field of this name, in any case of letters; empty if there is none.
    std::string_view operator[](std::string_view name) const noexcept;

    void reserve(std::size_t fields, std::size_t characters) {
        entries_.reserve(fields);
        text_.reserve(characters);
    }
    /// Of all names and values.
    std::size_t characters() const noexcept { return text_.size(); }
    void append(std::string_view name, std::string_view value) {
        entries_.push_back({text_.size(), name.size(), value.size()});
        text_.append(name).append(value);
    }

private:
    struct entry {
        std::size_t begin, name, value;
    };
    std::string text_;
    std::vector<entry> entries_;
};

/// What requests and responses have in common.
struct content {
    unsigned version = 11; ///< 10 or 11; 0 where the first line says none, or another
    field_list fields;
    std::string body;                ///< without chunks' framing, with its content encoding; not more than the limit
    std::uint64_t body_size = 0;     ///< as far as it came, however much of it was kept
    std::uint64_t missing_bytes = 0; ///< of the body, in gaps; zeros stand for them in `body`
    bool complete = true;            ///< false where the connection ended, or a gap came, within the message
    /// Set where it breaks the rules, and was read as most servers and clients do: `error::malformed_message`.
    error_code error;

    /// Whether all of the body is in `body`. Where bodies are streamed none is.
    bool has_whole_body() const noexcept { return complete && missing_bytes == 0 && body.size() == body_size; }
};

struct request : content {
    std::string method;
    std::string target;
};

struct response : content {
    unsigned status = 0;
    std::string reason;
    std::string request_method; ///< of the request that it answers; empty if that was not seen
    /// From the end of the request's head to the end of this one's.
    std::optional<std::chrono::nanoseconds> latency;
};

/// A piece of the body of the message told before by this side, where bodies are streamed.
struct body_piece {
    std::uint64_t offset = 0;
    std::string bytes;
    bool missing = false; ///< the bytes were not captured, and are zeros here
    bool last = false;
    bool complete = true; ///< of the last: as `content::complete`
};

using message = std::variant<request, response, body_piece>;

NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, request const& value);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, response const& value);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, body_piece const& value);

} // namespace netring_asio::session::http1
