#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/detail/api.hpp>

#include <cstdint>

namespace netring_asio::decode {

/// How far a `decoder` looks into tunnels.
class decoder_options {
public:
    decoder_options() = default;

    /// How many tunnels to open, one in another; 0 gives the outermost IP header. Default 8, at most 16.
    ///
    /// PPPoE, VLAN tags and MPLS over a link are part of the link layer and always passed.
    decoder_options& max_tunnels(std::uint8_t value) noexcept {
        max_tunnels_ = value < 16 ? value : std::uint8_t{16};
        return *this;
    }
    std::uint8_t max_tunnels() const noexcept { return max_tunnels_; }

private:
    std::uint8_t max_tunnels_ = 8;
};

/// Finds the headers of a packet in one pass.
///
/// Knows Ethernet with LLC/SNAP, 802.1Q and 802.1ad, Linux cooked captures, BSD loopback and raw IP; PPPoE and MPLS;
/// IPv4 with options and IPv6 with its extension headers; TCP, UDP, SCTP and ICMP; and the tunnels of `tunnel`. A
/// tunnel on a well-known UDP port is taken as one only if what is in it holds together, else as plain UDP.
///
/// Reads nothing beyond the captured bytes, whatever they say, and allocates nothing.
///
/// @par Thread safety
/// Stateless: one decoder may be used from several threads.
class NETRING_ASIO_API decoder {
public:
    explicit decoder(decoder_options const& options = decoder_options{}) noexcept
        : options_{options} {}

    /// Decodes a packet; returns whether an IP header with both addresses was found.
    bool operator()(packet_view const& packet, headers& out) const noexcept;

    /// Decodes a packet again, no further than to the given one of its IP headers, counted from 1.
    bool layer(headers const& packet, std::uint8_t layer, headers& out) const noexcept;

    /// Decodes an IP datagram put together from the fragments of `out`, whose link layer, time and tunnels stay.
    bool datagram(std::span<std::byte const> bytes, headers& out) const noexcept;

    /// Decodes the packet that an ICMP error talks about: its addresses and ports are those of the flow that the error
    /// belongs to, which goes the other way. Returns false if `error` is no ICMP error or quotes no IP header.
    bool quoted(headers const& error, headers& out) const noexcept;

    decoder_options const& options() const noexcept { return options_; }

private:
    decoder_options options_;
};

} // namespace netring_asio::decode
