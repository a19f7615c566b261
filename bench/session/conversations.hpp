#pragma once

#include <netring_asio/packet/packet_view.hpp>
#include <netring_asio/session/parser.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <decode/craft.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What hosts say to each other, as it is common.
namespace bench {

namespace nr = netring_asio;
namespace session = netring_asio::session;

struct sent {
    session::side from;
    std::string bytes;
};
using conversation = std::vector<sent>;

inline std::size_t size_of(conversation const& what) {
    std::size_t result = 0;
    for (auto const& s : what)
        result += s.bytes.size();
    return result;
}

inline std::string big_endian(std::size_t value, int bytes) {
    std::string result;
    while (bytes-- != 0)
        result += static_cast<char>(value >> 8 * bytes & 255);
    return result;
}
inline std::string with_length(std::string const& content, int bytes) {
    return big_endian(content.size(), bytes) + content;
}

/// A browser's request, and a response with so long a body.
inline conversation http_exchange(std::size_t body) {
    return {{session::side::initiator,
             "GET /articles/2026/11/what-the-network-said?page=2 HTTP/1.1\r\n"
             "Host: www.example.com\r\n"
             "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
             "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
             "Accept-Language: en-US,en;q=0.5\r\n"
             "Accept-Encoding: gzip, deflate\r\n"
             "Connection: keep-alive\r\n"
             "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
             "Upgrade-Insecure-Requests: 1\r\n\r\n"},
            {session::side::responder, "HTTP/1.1 200 OK\r\n"
                                       "Server: nginx\r\n"
                                       "Date: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
                                       "Content-Type: text/html; charset=utf-8\r\n"
                                       "Content-Length: " +
                                           std::to_string(body) +
                                           "\r\n"
                                           "Connection: keep-alive\r\n"
                                           "Cache-Control: max-age=600\r\n"
                                           "ETag: \"5f3e-60a1b2c3d4e5f\"\r\n\r\n" +
                                           std::string(body, 'x')}};
}

/// A query for an address, and a response with an alias and an address.
inline conversation dns_exchange() {
    std::string const name{"\3www\7example\3com\0", 17}, type_and_class{"\0\1\0\1", 4};
    return {{session::side::initiator, std::string{"\x12\x34\1\0\0\1\0\0\0\0\0\1", 12} + name + type_and_class +
                                           std::string{"\0\0\x29\4\xd0\0\0\0\0\0\0", 11}},
            {session::side::responder, std::string{"\x12\x34\x81\x80\0\1\0\2\0\0\0\1", 12} + name + type_and_class +
                                           std::string{"\xc0\x0c\0\5\0\1\0\0\1\x2c\0\6\3cdn\xc0\x10", 18} +
                                           std::string{"\xc0\x2d\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\7", 16} +
                                           std::string{"\0\0\x29\4\xd0\0\0\0\0\0\0", 11}}};
}

/// The hellos of a browser and a server that agree on TLS 1.3.
inline conversation tls_exchange() {
    auto const extension = [](unsigned type, std::string const& content) {
        return big_endian(type, 2) + with_length(content, 2);
    };
    std::string suites;
    for (auto const suite : {0x1301u, 0x1303u, 0x1302u, 0xc02bu, 0xc02fu, 0xcca9u, 0xcca8u, 0xc02cu, 0xc030u, 0xc00au,
                             0xc009u, 0xc013u, 0xc014u, 0x009cu, 0x009du, 0x002fu, 0x0035u})
        suites += big_endian(suite, 2);
    std::string const random(32, '\x5a'), key(32, '\x21');
    auto const extensions =
        extension(0, with_length(std::string(1, '\0') + with_length("www.example.com", 2), 2)) + extension(23, "") +
        extension(0xff01, std::string(1, '\0')) +
        extension(10, with_length(std::string{"\0\x1d\0\x17\0\x18\0\x19", 8}, 2)) +
        extension(11, with_length(std::string(1, '\0'), 1)) + extension(35, "") +
        extension(16, with_length(with_length("h2", 1) + with_length("http/1.1", 1), 2)) +
        extension(5, std::string{"\1\0\0\0\0", 5}) +
        extension(51, with_length(std::string{"\0\x1d", 2} + with_length(key, 2), 2)) +
        extension(43, with_length(std::string{"\3\4\3\3", 4}, 1)) +
        extension(13, with_length(std::string{"\4\3\5\3\6\3\x08\4\x08\5\x08\6\4\1\5\1\6\1\2\3\2\1", 22}, 2)) +
        extension(45, std::string{"\1\1", 2}) + extension(21, std::string(150, '\0'));
    auto const message = [](char type, std::string const& body) { return type + with_length(body, 3); };
    auto const record = [](char type, std::string const& body) {
        return std::string{type, '\3', '\3'} + with_length(body, 2);
    };
    auto const client = std::string{"\3\3", 2} + random + with_length(random, 1) + with_length(suites, 2) +
                        with_length(std::string(1, '\0'), 1) + with_length(extensions, 2);
    auto const server =
        std::string{"\3\3", 2} + random + with_length(random, 1) + std::string{"\x13\1\0", 3} +
        with_length(
            extension(51, std::string{"\0\x1d", 2} + with_length(key, 2)) + extension(43, std::string{"\3\4", 2}), 2);
    auto const change = record('\x14', std::string(1, '\1'));
    auto const data = record('\x17', std::string(512, 'e'));
    return {{session::side::initiator, record('\x16', message('\1', client))},
            {session::side::responder, record('\x16', message('\2', server)) + change + data},
            {session::side::initiator, change + data}};
}

/// The packets of connections, one after the other, each of which says the same.
class packets {
public:
    void tcp(unsigned client, unsigned server, conversation const& what, std::size_t segment = 1448) {
        std::uint32_t next[2] = {1000, 5000};
        auto const send = [&](int from, std::string_view bytes, unsigned flags) {
            auto frame = test::craft{bytes}.tcp(from == 0 ? client : server, from == 0 ? server : client, flags,
                                                next[from], next[1 - from]);
            next[from] += static_cast<std::uint32_t>(bytes.size()) + ((flags & 3) != 0 ? 1 : 0);
            add(std::move(frame), from, client, 6);
        };
        send(0, "", 2);
        send(1, "", 18);
        send(0, "", 16);
        for (auto const& s : what)
            for (std::size_t at = 0; at < s.bytes.size(); at += segment)
                send(static_cast<int>(index(s.from)), std::string_view{s.bytes}.substr(at, segment), 24);
        send(0, "", 17);
        send(1, "", 17);
        send(0, "", 16);
    }
    void udp(unsigned client, unsigned server, conversation const& what) {
        for (auto const& s : what) {
            auto const from = static_cast<int>(index(s.from));
            add(test::craft{s.bytes}.udp(from == 0 ? client : server, from == 0 ? server : client), from, client, 17);
        }
    }

    /// As if they came 10 us apart, from `begin` on, which becomes the end.
    std::span<nr::packet_view const> at(nr::timestamp& begin) {
        for (auto& view : views_)
            view.time = begin += std::chrono::microseconds{10};
        return views_;
    }
    std::size_t size() const noexcept { return views_.size(); }

private:
    void add(test::craft frame, int from, unsigned client, unsigned protocol) {
        auto const address = "10.0." + std::to_string(client % 200) + ".1";
        frame.ipv4(from == 0 ? address.c_str() : "10.1.0.1", from == 0 ? "10.1.0.1" : address.c_str(), protocol)
            .ethernet(0x0800);
        frames_.push_back(std::move(frame));
        views_.push_back(frames_.back().view());
    }
    std::vector<test::craft> frames_;
    std::vector<nr::packet_view> views_;
};

} // namespace bench
