#pragma once

#include <netring_asio/decode/headers.hpp>

#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace netring_asio::decode::detail {

/// One way through the headers of one packet.
///
/// Every function takes the offset of a header and returns whether an IP header lies behind it. What was written to the
/// headers before a failure is undone by whoever tried, in `attempt`.
class walker {
public:
    walker(headers& out, std::span<std::byte const> data, std::size_t wire, std::uint8_t max_tunnels) noexcept
        : out_{out}
        , base_{reinterpret_cast<unsigned char const*>(data.data())}
        , captured_{data.size()}
        , wire_{std::max(wire, data.size())}
        , tunnels_left_{max_tunnels} {}

    bool link(link_type type) noexcept;
    bool ip(std::size_t at) noexcept;
    /// The header of a link-layer payload; `type` is an EtherType.
    bool ether_type(std::uint16_t type, std::size_t at) noexcept;

private:
    bool ethernet(std::size_t at) noexcept;
    bool logical_link(std::size_t at) noexcept;
    bool cooked(std::uint16_t type, std::size_t at) noexcept;
    bool is_whole_ip(std::uint16_t type, std::size_t at) const noexcept;
    bool loopback(std::uint32_t family, std::size_t at) noexcept;
    bool mpls(std::size_t at) noexcept;
    bool pppoe(std::size_t at) noexcept;
    bool ppp(std::size_t at) noexcept;
    bool ipv4(std::size_t at) noexcept;
    bool ipv6(std::size_t at) noexcept;
    bool ipv6_jumbo_length(std::size_t at, std::size_t length, std::size_t& jumbo) const noexcept;

    void transport(std::uint8_t protocol, std::size_t at) noexcept;
    void tcp(std::size_t at) noexcept;
    void udp(std::size_t at) noexcept;
    void payload_from(std::size_t at, std::size_t end) noexcept;

    bool tunnel_in_ip(std::uint8_t protocol, std::size_t at) noexcept;
    bool tunnel_in_udp(std::uint16_t source, std::uint16_t destination, std::size_t at) noexcept;
    bool gre(std::size_t at) noexcept;
    bool vxlan(std::size_t at) noexcept;
    bool geneve(std::size_t at) noexcept;
    bool gtp_u(std::size_t at) noexcept;
    bool teredo(std::size_t at) noexcept;

    /// Opens a tunnel: runs `inner`, and puts everything back if there is no sound IP packet in it.
    template <class Inner>
    bool attempt(tunnel kind, std::uint32_t id, Inner inner) noexcept;

    bool has(std::size_t at, std::size_t count) const noexcept { return at <= captured_ && count <= captured_ - at; }
    std::uint8_t u8(std::size_t at) const noexcept { return base_[at]; }
    std::uint16_t u16(std::size_t at) const noexcept { return boost::endian::load_big_u16(base_ + at); }
    std::uint32_t u24(std::size_t at) const noexcept { return boost::endian::load_big_u24(base_ + at); }
    std::uint32_t u32(std::size_t at) const noexcept { return boost::endian::load_big_u32(base_ + at); }

    /// Leaves out what lies behind a header's own length, as padding.
    void end_at(std::size_t end) noexcept {
        wire_ = std::min(wire_, end);
        captured_ = std::min(captured_, end);
    }

    headers& out_;
    unsigned char const* base_;
    std::size_t captured_; // one past the last byte that may be read
    std::size_t wire_;     // one past the last byte that was on the wire
    std::uint8_t tunnels_left_;
    std::uint8_t depth_ = 0; // link layers within link layers
};

/// The captured part of the packet that an ICMP error quotes; empty if it is no error.
std::span<std::byte const> quotation(headers const& error) noexcept;

} // namespace netring_asio::decode::detail
