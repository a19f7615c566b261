#include "five_tuple_loop.hpp"

#include <cstddef>
#include <cstring>

namespace bench {
namespace {

/// An address, IPv4 in the last four bytes, and a port.
struct end {
    unsigned char bytes[18];
};
struct five_tuple {
    end a;
    end b;
    unsigned char protocol;
    unsigned char version;
};

std::uint64_t load64(void const* at) noexcept {
    std::uint64_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
std::uint16_t load16(std::byte const* at) noexcept {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(at[0]) << 8 | std::to_integer<unsigned>(at[1]));
}
std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using wide = unsigned __int128;
    auto const product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

bool read(netring_asio::packet_view const& packet, end& source, end& destination, five_tuple& tuple) noexcept {
    auto const* const frame = packet.data.data();
    auto const size = packet.data.size();
    if (size < 38)
        return false;
    auto const type = load16(frame + 12);
    std::size_t transport = 0;
    if (type == 0x0800) {
        transport = 14 + (std::to_integer<unsigned>(frame[14]) & 15) * 4;
        tuple.protocol = std::to_integer<unsigned char>(frame[23]);
        tuple.version = 4;
        if ((load16(frame + 20) & 0x1fff) != 0)
            return false;
        std::memset(source.bytes, 0, 12);
        std::memset(destination.bytes, 0, 12);
        std::memcpy(source.bytes + 12, frame + 26, 4);
        std::memcpy(destination.bytes + 12, frame + 30, 4);
    } else if (type == 0x86dd && size >= 58) {
        transport = 54;
        tuple.protocol = std::to_integer<unsigned char>(frame[20]);
        tuple.version = 6;
        std::memcpy(source.bytes, frame + 22, 16);
        std::memcpy(destination.bytes, frame + 38, 16);
    } else {
        return false;
    }
    if ((tuple.protocol != 6 && tuple.protocol != 17) || size < transport + 4)
        return false;
    std::memcpy(source.bytes + 16, frame + transport, 2);
    std::memcpy(destination.bytes + 16, frame + transport + 2, 2);
    return true;
}

std::uint64_t hash(five_tuple const& tuple) noexcept {
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
    unsigned char bytes[sizeof tuple];
    std::memcpy(bytes, &tuple, sizeof tuple);
    auto state = mix(load64(bytes) ^ odd, load64(bytes + 8));
    state = mix(load64(bytes + 16) ^ state, load64(bytes + 24) ^ odd);
    return mix(load64(bytes + 30) ^ state, odd);
}

} // namespace

std::uint64_t five_tuple_loop(std::span<netring_asio::packet_view const> packets) noexcept {
    std::uint64_t sum = 0;
    for (auto const& packet : packets) {
        end source;
        end destination;
        five_tuple tuple;
        if (!read(packet, source, destination, tuple))
            continue;
        bool const forward = std::memcmp(source.bytes, destination.bytes, sizeof source.bytes) <= 0;
        tuple.a = forward ? source : destination;
        tuple.b = forward ? destination : source;
        sum += hash(tuple);
    }
    return sum;
}

} // namespace bench
