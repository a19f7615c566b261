#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

/// Messages of Transport Layer Security (RFC 8446, RFC 5246), and its predecessors from SSL 3.0 on. Numbers are those
/// of the IANA registries.
namespace netring_asio::session::tls {

struct NETRING_ASIO_API client_hello {
    std::uint16_t version = 0; ///< of the message; `supported_versions` goes before
    std::array<std::byte, 32> random{};
    std::vector<std::byte> session_id;
    std::vector<std::uint16_t> cipher_suites;
    std::vector<std::uint8_t> compression_methods;
    std::vector<std::uint16_t> extensions; ///< in their order
    std::string server_name;               ///< as sent; of an outer hello where `has_encrypted_client_hello`
    std::vector<std::string> application_protocols;
    std::vector<std::uint16_t> supported_versions;
    std::vector<std::uint16_t> groups;
    std::vector<std::uint8_t> point_formats;
    std::vector<std::uint16_t> signature_algorithms;
    bool has_encrypted_client_hello = false; ///< RFC 9849, or what pretends to be

    /// The text that JA3 hashes, and its MD5.
    std::string ja3_text() const;
    std::string ja3() const;
    /// JA4, of a connection over TCP, or over QUIC.
    std::string ja4(bool over_quic = false) const;
};

struct NETRING_ASIO_API server_hello {
    std::uint16_t version = 0; ///< the one selected
    std::uint16_t legacy_version = 0;
    std::array<std::byte, 32> random{};
    std::vector<std::byte> session_id;
    std::uint16_t cipher_suite = 0;
    std::vector<std::uint16_t> extensions;
    std::string application_protocol; ///< empty if none was selected in the clear
    std::optional<std::uint16_t> group;
    bool is_retry_request = false; ///< HelloRetryRequest: another ClientHello follows

    std::string ja3s_text() const;
    std::string ja3s() const;
};

/// A chain as sent in the clear, before TLS 1.3: DER, the end entity's first.
struct certificates {
    std::vector<std::vector<std::byte>> chain;
};

struct alert {
    std::uint8_t level = 0;
    std::uint8_t description = 0;
};

/// What the handshake led to, told once: when the connection turns to encryption, fails with an alert, or ends.
struct handshake {
    std::optional<client_hello> client;
    std::optional<server_hello> server;
    std::optional<tls::alert> alert;
    std::size_t certificates = 0; ///< in the server's chain
    bool complete = false;        ///< both sides went on to encrypted records
    timestamp begun{};            ///< when the first hello came
    timestamp ended{};
};

using message = std::variant<client_hello, server_hello, certificates, alert, handshake>;

/// Decodes the body of a handshake message, without its type and length.
NETRING_ASIO_API error_code decode(std::span<std::byte const> body, client_hello& result);
NETRING_ASIO_API error_code decode(std::span<std::byte const> body, server_hello& result);
NETRING_ASIO_API error_code decode(std::span<std::byte const> body, certificates& result);

/// One of the values that RFC 8701 reserves, which mean nothing.
constexpr bool is_grease(std::uint16_t value) noexcept {
    return (value & 0x0f0f) == 0x0a0a && (value >> 8) == (value & 0xff);
}

NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, client_hello const& value);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, server_hello const& value);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, certificates const& value);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, alert const& value);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, handshake const& value);

} // namespace netring_asio::session::tls
