#pragma once

#include <netring_asio/session/detail/byte_reader.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace netring_asio::session::detail {

/// A long header of QUIC (RFC 9000, 17.2), of an Initial packet.
struct quic_header {
    std::uint32_t version;
    std::span<std::byte const> destination_id;
    std::span<std::byte const> source_id;
    bool has_token;
    std::size_t packet_number_offset;
    std::size_t end; ///< of the packet; others may follow in the datagram
};

/// The header of an Initial packet of a version that is known, or of any other long packet that only is passed over;
/// nothing if it is damaged.
struct quic_long_packet {
    bool is_initial;
    quic_header header;
};

/// A number of one to eight bytes (RFC 9000, 16).
std::uint64_t variable_length(byte_reader& from) noexcept;

std::optional<quic_long_packet> read_long_header(std::span<std::byte const> datagram);

/// The keys that protect a client's Initial packets (RFC 9001, 5.2; RFC 9369, 3.3).
class quic_keys {
public:
    quic_keys(std::uint32_t version, std::span<std::byte const> destination_id);

    /// What an Initial packet carries; nothing if it is not authentic. `packet` begins with its header.
    std::optional<std::vector<std::byte>> open(std::span<std::byte const> packet, quic_header const& header) const;

private:
    std::array<unsigned char, 16> key_;
    std::array<unsigned char, 12> iv_;
    std::array<unsigned char, 16> header_key_;
};

} // namespace netring_asio::session::detail
