#pragma once

#include <netring_asio/detail/api.hpp>

#include <boost/endian/conversion.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iosfwd>
#include <string>

namespace netring_asio::decode {

/// An IPv4 or IPv6 address in network byte order; an IPv4 address is kept as an IPv4-mapped one (RFC 4291, 2.5.5.2).
///
/// Sixteen bytes without padding, so that addresses can be hashed and compared as bytes.
struct NETRING_ASIO_API ip_address {
    std::array<std::uint8_t, 16> bytes{};

    static ip_address from_v4(void const* four_bytes) noexcept {
        // In words, since they are read as words soon.
        ip_address result;
        auto const address = boost::endian::load_big_u32(static_cast<unsigned char const*>(four_bytes));
        boost::endian::store_big_u64(result.bytes.data() + 8, std::uint64_t{0xffff} << 32 | address);
        return result;
    }
    static ip_address from_v6(void const* sixteen_bytes) noexcept {
        ip_address result;
        std::memcpy(result.bytes.data(), sixteen_bytes, 16);
        return result;
    }

    /// An IPv4 address, or an IPv6 address that stands for one.
    bool is_v4_mapped() const noexcept {
        static constexpr std::uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        return std::memcmp(bytes.data(), prefix, sizeof prefix) == 0;
    }

    /// The text of RFC 5952; mapped addresses in dotted form where `version` is 4.
    std::string to_string(int version) const;
    std::string to_string() const { return to_string(is_v4_mapped() ? 4 : 6); }

    friend bool operator==(ip_address const& a, ip_address const& b) noexcept {
        return a.half(0) == b.half(0) && a.half(1) == b.half(1);
    }
    friend std::strong_ordering operator<=>(ip_address const& a, ip_address const& b) noexcept {
        return a.number() <=> b.number();
    }
    friend bool operator<(ip_address const& a, ip_address const& b) noexcept { return a.number() < b.number(); }
    friend NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, ip_address const& address);

private:
    __extension__ using wide = unsigned __int128;
    wide number() const noexcept { return wide{half(0)} << 64 | half(1); }
    std::uint64_t half(std::size_t i) const noexcept { return boost::endian::load_big_u64(bytes.data() + i * 8); }
};

} // namespace netring_asio::decode
