#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace netring_asio::detail {

/// Cuts a frame that was left to be cut into segments, for what a vnet header cannot express: TCP or UDP in tunnels
/// (IP in IP, GRE, VXLAN, Geneve). Lengths, identifications and checksums of all headers become those of each segment.
class NETRING_ASIO_API segmenter {
public:
    /// Begins with a frame, whose bytes must stay valid; false where it cannot be cut.
    bool begin(packet_view const& frame);
    bool done() const noexcept { return payload_ >= frame_.data.size(); }
    /// The segment, with all checksums finished.
    packet_view const& segment() const noexcept { return segment_; }
    void next();
    /// Leaves out the rest.
    void reset() noexcept { frame_ = {}; }

private:
    enum class kind : std::uint8_t { ipv4, ipv6, udp, tcp };
    struct header {
        kind what;
        std::size_t offset;
        std::size_t ip; // of the IP header that it is in
    };

    bool find_headers() noexcept;
    bool add(kind what, std::size_t offset, std::size_t ip) noexcept;
    bool find_link(std::size_t& at, std::uint16_t& protocol) const noexcept;
    bool find_tunnel(std::uint8_t transport, std::size_t& at, std::uint16_t& protocol) const noexcept;
    void make();
    void correct(header const& of) noexcept;

    packet_view frame_;
    packet_view segment_;
    std::vector<std::byte> bytes_;
    std::array<header, 12> headers_{};
    std::size_t header_count_ = 0;
    std::size_t header_size_ = 0;
    std::size_t payload_ = 0; // where that of the segment begins
    unsigned index_ = 0;
};

} // namespace netring_asio::detail
