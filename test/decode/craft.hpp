#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <boost/endian/conversion.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>

namespace test {

/// Bytes of headers, written from the inside out: each call puts a header before what there is.
class craft {
public:
    craft() = default;
    explicit craft(std::string_view payload) { bytes_.assign(payload.begin(), payload.end()); }
    explicit craft(std::size_t payload)
        : bytes_(payload, 0x5a) {}

    craft& put(std::initializer_list<unsigned> head) {
        std::vector<std::uint8_t> front;
        for (auto byte : head)
            front.push_back(static_cast<std::uint8_t>(byte));
        bytes_.insert(bytes_.begin(), front.begin(), front.end());
        return *this;
    }

    craft& tcp(unsigned source, unsigned destination, unsigned flags, std::uint32_t sequence = 0,
               std::uint32_t acknowledgment = 0) {
        return put({source >> 8,
                    source & 255,
                    destination >> 8,
                    destination & 255,
                    sequence >> 24,
                    sequence >> 16 & 255,
                    sequence >> 8 & 255,
                    sequence & 255,
                    acknowledgment >> 24,
                    acknowledgment >> 16 & 255,
                    acknowledgment >> 8 & 255,
                    acknowledgment & 255,
                    0x50,
                    flags,
                    0xff,
                    0xff,
                    0,
                    0,
                    0,
                    0});
    }
    craft& udp(unsigned source, unsigned destination) {
        auto const length = static_cast<unsigned>(bytes_.size()) + 8;
        return put({source >> 8, source & 255, destination >> 8, destination & 255, length >> 8, length & 255, 0, 0});
    }
    craft& ipv4(char const* source, char const* destination, unsigned protocol, unsigned fragment = 0,
                unsigned id = 0) {
        auto const length = static_cast<unsigned>(bytes_.size()) + 20;
        std::array<std::uint8_t, 4> a{};
        std::array<std::uint8_t, 4> b{};
        inet_pton(AF_INET, source, a.data());
        inet_pton(AF_INET, destination, b.data());
        return put({0x45,     0,   length >> 8, length & 255, id >> 8, id & 255, fragment >> 8, fragment & 255, 64,
                    protocol, 0,   0,           a[0],         a[1],    a[2],     a[3],          b[0],           b[1],
                    b[2],     b[3]});
    }
    craft& ipv6(char const* source, char const* destination, unsigned next) {
        auto const length = static_cast<unsigned>(bytes_.size());
        std::array<std::uint8_t, 16> address{};
        inet_pton(AF_INET6, destination, address.data());
        bytes_.insert(bytes_.begin(), address.begin(), address.end());
        inet_pton(AF_INET6, source, address.data());
        bytes_.insert(bytes_.begin(), address.begin(), address.end());
        return put({0x60, 0, 0, 0, length >> 8, length & 255, next, 64});
    }
    craft& vlan(unsigned id, unsigned type) { return put({id >> 8, id & 255, type >> 8, type & 255}); }
    craft& ethernet(unsigned type) { return put({2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, type >> 8, type & 255}); }
    /// The right checksum of the IPv4 header, which begins at `ip`.
    craft& sign_header(std::size_t ip = 14) {
        store(ip + 10, 0xffff);
        store(ip + 10, sum(ip, ip + 20, 0));
        return *this;
    }
    /// That, and the right checksum of TCP or UDP behind it; call it last.
    craft& sign(std::size_t ip = 14) {
        sign_header(ip);
        auto const field = ip + 20 + (bytes_[ip + 9] == 6 ? 16U : 6U);
        store(field, 0xffff);
        store(field,
              sum(ip + 20, size(), sum(ip + 12, ip + 20, bytes_[ip + 9] + static_cast<unsigned>(size() - ip - 20))));
        return *this;
    }
    /// Bytes behind everything, as Ethernet padding.
    craft& pad(std::size_t count) {
        bytes_.resize(bytes_.size() + count);
        return *this;
    }

    std::vector<std::uint8_t>& bytes() noexcept { return bytes_; }
    std::size_t size() const noexcept { return bytes_.size(); }

    /// Borrows the bytes.
    netring_asio::packet_view view(netring_asio::link_type link = netring_asio::link_type::ethernet) const {
        netring_asio::packet_view result;
        result.data = std::as_bytes(std::span{bytes_});
        result.wire_length = static_cast<std::uint32_t>(bytes_.size());
        result.link = link;
        return result;
    }

private:
    unsigned sum(std::size_t from, std::size_t to, unsigned start) const {
        for (; from < to; from += 2)
            start += static_cast<unsigned>(bytes_[from] << 8) + (from + 1 < to ? bytes_[from + 1] : 0U);
        while (start >> 16 != 0)
            start = (start & 0xffff) + (start >> 16);
        return start;
    }
    void store(std::size_t at, unsigned value) {
        bytes_[at] = static_cast<std::uint8_t>(~value >> 8);
        bytes_[at + 1] = static_cast<std::uint8_t>(~value);
    }

    std::vector<std::uint8_t> bytes_;
};

} // namespace test
