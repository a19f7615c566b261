#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/session/parser.hpp>
#include <netring_asio/session/tls_message.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace netring_asio::session {

class tls_options {
public:
    tls_options() = default;

    /// Bytes of one handshake message. Default 64 KiB.
    tls_options& max_message(std::size_t value) noexcept { return max_message_ = value, *this; }
    /// Tells only the aggregated `tls::handshake`. Off by default.
    tls_options& only_handshake(bool value) noexcept { return only_handshake_ = value, *this; }

    /// Takes lines of text before the first record, as SMTP, IMAP, POP3, FTP and XMPP have them until STARTTLS. A
    /// conversation that goes on in text is left alone after `max_message` bytes. Off by default.
    tls_options& after_text(bool value) noexcept { return after_text_ = value, *this; }

    std::size_t max_message() const noexcept { return max_message_; }
    bool only_handshake() const noexcept { return only_handshake_; }
    bool after_text() const noexcept { return after_text_; }

private:
    std::size_t max_message_ = std::size_t{64} << 10;
    bool only_handshake_ = false;
    bool after_text_ = false;
};

/// The part of a TLS connection that is sent in the clear.
class NETRING_ASIO_API tls_handshake {
public:
    using message_type = tls::message;
    static constexpr std::string_view name = "tls";

    explicit tls_handshake(tls_options const& options = tls_options{})
        : options_{options} {}

    error_code feed(side from, std::span<std::byte const> bytes, timestamp time, output<message_type>& out);
    void finish(side from, timestamp time, output<message_type>& out);
    void reset(timestamp time, output<message_type>& out) { tell_handshake(time, out); }
    bool done() const noexcept { return told_; }
    std::size_t held() const noexcept {
        return kept_ + directions_[0].handshake.size() + directions_[1].handshake.size();
    }
    static match probe(side from, std::span<std::byte const> bytes);

private:
    struct direction {
        std::array<std::byte, 5> head{};         // of the record
        std::size_t head_size = 0;               // bytes of it that came
        std::size_t record_left = 0;             // bytes of the record still to come
        std::vector<std::byte> handshake;        // the message that is not complete yet
        std::optional<std::uint8_t> alert_level; // of an alert that is not complete yet
        std::size_t text = 0;                    // bytes before the first record
        bool in_line = false;                    // of text
        bool begun = false;
        bool encrypted = false;
        bool finished = false;
    };

    void skip_text(side from, std::span<std::byte const>& bytes);
    error_code record_bytes(side from, std::uint8_t type, std::span<std::byte const> bytes, timestamp time,
                            output<message_type>& out);
    error_code handshake_message(side from, std::uint8_t type, std::span<std::byte const> body, timestamp time,
                                 output<message_type>& out);
    void encrypted(side from, timestamp time, output<message_type>& out);
    void tell_handshake(timestamp time, output<message_type>& out);

    tls_options options_;
    std::array<direction, 2> directions_;
    tls::handshake result_;
    std::size_t kept_ = 0; // bytes that the hellos in it came in
    bool told_ = false;
};

} // namespace netring_asio::session
