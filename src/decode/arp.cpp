#include <netring_asio/decode/arp.hpp>

#include <boost/endian/conversion.hpp>

#include <cstring>

namespace netring_asio::decode {

std::optional<arp> arp_of(headers const& packet) noexcept {
    constexpr std::uint16_t ether_type = 0x0806;
    constexpr std::size_t length = 28;
    if (packet.has_ip() || packet.ether_type != ether_type || packet.data.size() < packet.ip_offset + length)
        return std::nullopt;
    auto const* const at = reinterpret_cast<unsigned char const*>(packet.data.data()) + packet.ip_offset;
    constexpr unsigned char ipv4_over_ethernet[] = {0, 1, 8, 0, 6, 4};
    if (std::memcmp(at, ipv4_over_ethernet, sizeof ipv4_over_ethernet) != 0)
        return std::nullopt;
    arp result;
    result.operation = boost::endian::load_big_u16(at + 6);
    std::memcpy(result.sender_hardware.data(), at + 8, 6);
    result.sender = ip_address::from_v4(at + 14);
    std::memcpy(result.target_hardware.data(), at + 18, 6);
    result.target = ip_address::from_v4(at + 24);
    return result;
}

} // namespace netring_asio::decode
