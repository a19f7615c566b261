#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/session/parser.hpp>
#include <netring_asio/session/tls_message.hpp>

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace netring_asio::session {

/// Messages of QUIC, version 1 and 2 (RFC 9000, RFC 9369).
namespace quic {

/// The ClientHello that begins a connection: its packets are encrypted with keys that everybody can derive.
struct initial {
    std::uint32_t version = 0;
    std::vector<std::byte> destination_id; ///< of the first packet, which the keys come from
    std::vector<std::byte> source_id;
    bool has_token = false;
    tls::client_hello hello;

    std::string ja4() const { return hello.ja4(true); }
};

NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, initial const& value);

} // namespace quic

/// The beginning of a QUIC connection.
class NETRING_ASIO_API quic_initial {
public:
    using message_type = quic::initial;
    static constexpr std::string_view name = "quic";

    quic_initial();
    quic_initial(quic_initial const& prototype);
    quic_initial(quic_initial&&) noexcept;
    quic_initial& operator=(quic_initial&&) noexcept;
    ~quic_initial();

    error_code datagram(side from, std::span<std::byte const> bytes, timestamp time, output<message_type>& out);
    /// The ClientHello was told, or does not come any more.
    bool done() const noexcept { return done_; }
    std::size_t held() const noexcept;
    static match probe(side from, std::span<std::byte const> bytes);

private:
    class connection;
    std::unique_ptr<connection> connection_;
    bool done_ = false;
};

} // namespace netring_asio::session
