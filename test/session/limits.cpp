// Hostile input: work grows with the bytes and not with their square, and memory keeps to its limits.

#include "session/recorder.hpp"
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/tls.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>

#include <time.h>

namespace nr = netring_asio;
namespace session = netring_asio::session;
using test::recorder;

namespace {

constexpr auto c = session::side::initiator;
constexpr auto s = session::side::responder;

/// Processor time of the quickest of several calls, in seconds.
template <class F>
double cost(F f) {
    auto const now = [] {
        timespec t{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
    };
    double best = std::numeric_limits<double>::max();
    for (int i = 0; i != 3; ++i) {
        auto const begin = now();
        f();
        best = std::min(best, now() - begin);
    }
    return best;
}

/// Four times the input costs about four times the work; sixteen times would be its square. Measured on request alone,
/// as a machine may have other things to do.
template <class F>
void expect_linear(char const* what, std::size_t size, F f) {
    if (std::getenv("NETRING_ASIO_TIMING") == nullptr)
        return f(size);
    auto const one = cost([&] { f(size); });
    auto const four = cost([&] { f(4 * size); });
    BOOST_TEST(four / one < 8, what << " costs " << four / one << " times as much");
    BOOST_TEST_MESSAGE("figure: " << what << ": four times as long costs " << four / one << " times as much");
}

void drip(auto& to, session::side from, std::string_view bytes) {
    for (std::size_t i = 0; i != bytes.size(); ++i)
        to.feed(from, bytes.substr(i, 1));
}

std::string repeated(std::string_view text, std::size_t times) {
    std::string result;
    result.reserve(text.size() * times);
    while (times-- != 0)
        result += text;
    return result;
}

std::string be16(std::size_t value) { return {static_cast<char>(value >> 8 & 255), static_cast<char>(value & 255)}; }

} // namespace

BOOST_AUTO_TEST_CASE(heads_that_come_byte_by_byte) {
    expect_linear("an HTTP head byte by byte", 15'000, [](std::size_t size) {
        recorder<session::http1_parser> r;
        drip(r, c, "GET / HTTP/1.1\r\n");
        drip(r, c, "X: " + std::string(size, 'x') + "\r\n\r\n");
        BOOST_TEST(r.messages.size() == 1u);
    });
    expect_linear("an HTTP head of many fields byte by byte", 2'500, [](std::size_t count) {
        recorder<session::http1_parser> r;
        drip(r, c, "GET / HTTP/1.1\r\n" + repeated("a:b\r\n", count) + "\r\n");
        BOOST_TEST(r.messages.size() == 1u);
    });
}

BOOST_AUTO_TEST_CASE(a_million_fields) {
    recorder<session::http1_parser> r{session::http1_parser{session::http1_options{}.max_head(std::size_t{8} << 20)}};
    auto const fields = repeated("a:b\r\n", 1'000'000);
    r.feed(c, "GET / HTTP/1.1\r\n");
    r.feed(c, fields);
    r.feed(c, "\r\n");
    BOOST_TEST(!r.error, r.error.message());
    BOOST_REQUIRE(r.messages.size() == 1u);
    BOOST_TEST(std::get<session::http1::request>(r.messages[0].second).fields.size() == 1'000'000u);
    recorder<session::http1_parser> bounded;
    bounded.feed(c, "GET / HTTP/1.1\r\n");
    bounded.feed(c, fields);
    BOOST_TEST((bounded.error == nr::error::message_too_long));
}

BOOST_AUTO_TEST_CASE(bodies_in_the_smallest_pieces) {
    expect_linear("a body in chunks of one byte", 8'000, [](std::size_t count) {
        recorder<session::http1_parser> r;
        r.feed(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        r.feed(s, repeated("1\r\nx\r\n", count));
        r.feed(s, "0\r\n\r\n");
        BOOST_TEST(r.messages.size() == 1u);
    });
    expect_linear("a body byte by byte", 15'000, [](std::size_t size) {
        recorder<session::http1_parser> r;
        r.feed(s, "HTTP/1.1 200 OK\r\n\r\n");
        drip(r, s, std::string(size, 'x'));
        r.finish();
        BOOST_TEST(r.messages.size() == 1u);
    });
    expect_linear("requests in one piece", 4'000, [](std::size_t count) {
        recorder<session::http1_parser> r;
        for (std::size_t i = 0; i != count / 100; ++i) {
            r.feed(c, repeated("GET / HTTP/1.1\r\n\r\n", 100));
            r.feed(s, repeated("HTTP/1.1 304 Not Modified\r\n\r\n", 100));
        }
        BOOST_TEST(r.messages.size() == 2 * (count / 100 * 100));
    });
}

BOOST_AUTO_TEST_CASE(names_that_point_at_names) {
    // Each record's name is a pointer to the one before, which is a pointer, too, to a chain of so many.
    auto const chains = [](std::size_t records, std::size_t length) {
        auto m = std::string{"\x12\x34\x81\x80\0\0", 6} + be16(records) + std::string(4, '\0');
        std::size_t last = 0;
        for (std::size_t i = 0; i != records; ++i) {
            auto const name = i % length == 0 ? std::string(1, '\0') : be16(0xc000 | last);
            last = m.size();
            m += name + std::string{"\0\1\0\1\0\0\0\0\0\0", 10};
        }
        return m;
    };
    expect_linear("chains of DNS pointers", 320, [&](std::size_t records) {
        recorder<session::dns_over_udp> r;
        auto const m = chains(records, 100);
        for (int i = 0; i != 20; ++i)
            r.feed(s, m);
        BOOST_TEST(r.messages.size() == 20u);
    });
    recorder<session::dns_over_udp> endless;
    BOOST_TEST((endless.feed(s, chains(1300, 1300)) == nr::error::malformed_message));
    expect_linear("DNS queries that nobody answers", 5'000, [](std::size_t count) {
        recorder<session::dns_over_udp> r;
        for (std::size_t i = 0; i != count; ++i)
            r.feed(c, be16(i) + std::string{"\1\0\0\1\0\0\0\0\0\0\1x\0\0\1\0\1", 17});
        BOOST_TEST(r.messages.size() >= 2 * count - 256);
    });
    expect_linear("DNS over TCP byte by byte", 10'000, [](std::size_t size) {
        recorder<session::dns_over_tcp> r;
        drip(r, c, be16(size) + std::string{"\x12\x34\1\0\0\0\0\0\0\0\0\0", 12} + std::string(size - 12, 'x'));
    });
}

// Each question takes six bytes and points at a name of the greatest length.
BOOST_AUTO_TEST_CASE(names_do_not_grow_out_of_bounds) {
    std::string name;
    for (int i = 0; i != 3; ++i)
        name += std::string(1, 62) + std::string(62, '\1'); // of which each takes four characters
    name += '\0';
    auto const query = [&](std::uint16_t id, std::size_t questions) {
        auto m = be16(id) + std::string{"\1\0", 2} + be16(questions) + std::string(6, '\0');
        m += name + std::string{"\0\1\0\1", 4};
        for (std::size_t i = 1; i != questions; ++i)
            m += be16(0xc00c) + std::string{"\0\1\0\1", 4};
        return m;
    };
    session::dns::message m;
    auto const fits = query(1, 10);
    BOOST_TEST(!session::dns::decode(std::as_bytes(std::span{fits}), m));
    auto const large = query(1, 10'000);
    BOOST_TEST((session::dns::decode(std::as_bytes(std::span{large}), m) == nr::error::malformed_message));
    std::size_t text = 0;
    for (auto const& q : m.questions)
        text += q.name.size();
    BOOST_TEST(text <= 16 * large.size() + 4096);

    // What waits for a response counts for what it is.
    recorder<session::dns_over_udp> r;
    auto const known = r.held();
    for (std::uint16_t id = 0; id != 256; ++id)
        r.feed(c, query(id, 1));
    BOOST_TEST(r.held() - known >= 256u * 750);
    r.finish();
    BOOST_TEST(r.held() == known);
    recorder<session::dns_over_udp> many;
    for (std::uint16_t id = 0; id != 256; ++id)
        many.feed(c, query(id, 10));
    BOOST_TEST(many.messages.size() == 256u);
    BOOST_TEST(many.held() == known);
}

BOOST_AUTO_TEST_CASE(alerts_without_end) {
    expect_linear("TLS alerts in one record", 4'000, [](std::size_t size) {
        recorder<session::tls_handshake> r;
        r.feed(c, "\x15\3\1" + be16(size) + repeated("\1\x5a", size / 2));
        BOOST_TEST(r.messages.size() == size / 2);
    });
}

BOOST_AUTO_TEST_CASE(handshakes_in_the_smallest_records) {
    expect_linear("a TLS handshake in records of one byte", 15'000, [](std::size_t size) {
        recorder<session::tls_handshake> r;
        std::string bytes;
        auto const hello = std::string{"\1\0", 2} + be16(size) + std::string(size, 'x');
        for (auto const byte : hello) {
            bytes += std::string{"\x16\3\1\0\1", 5};
            bytes += byte;
        }
        drip(r, c, bytes);
    });
    recorder<session::tls_handshake> r;
    r.feed(c, std::string{"\x16\3\1\x40\0", 5} + std::string{"\1\xff\xff\xff", 4} + std::string(16'380, 'x'));
    for (int i = 0; i != 8; ++i)
        r.feed(c, std::string{"\x16\3\1\x40\0", 5} + std::string(16'384, 'x'));
    BOOST_TEST((r.error == nr::error::message_too_long));
}
