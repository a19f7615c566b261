// Each parser by itself: what it makes of what is sent, however that is cut.

#include "session/recorder.hpp"
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/quic.hpp>
#include <netring_asio/session/tls.hpp>

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <iterator>
#include <random>
#include <span>

using namespace test;
using session::side;
namespace http1 = session::http1;
namespace dns = session::dns;
namespace tls = session::tls;

namespace {

auto const c = side::initiator;
auto const s = side::responder;

template <class Parser>
std::string text_of(recorder<Parser> const& from) {
    std::ostringstream out;
    for (auto const& [side, message] : from.messages) {
        out << (side == c ? "> " : "< ");
        std::visit([&](auto const& m) { out << m; }, message);
        out << '\n';
    }
    out << from.error.message();
    return out.str();
}

template <class Parser>
std::string parsed(std::vector<sent> const& conversation, Parser const& parser, auto cut) {
    recorder<Parser> r{parser};
    for (auto const& [from, bytes] : conversation)
        for (std::size_t at = 0; at != bytes.size();) {
            auto const size = std::min(bytes.size() - at, std::max<std::size_t>(1, cut(at)));
            r.feed(from, std::string_view{bytes}.substr(at, size));
            at += size;
        }
    r.finish();
    return text_of(r);
}

/// Cuts each side's bytes once everywhere, into single bytes, and at random.
template <class Parser>
void expect_the_same_however_cut(std::vector<sent> const& conversation, Parser const& parser) {
    auto const whole = parsed(conversation, parser, [](std::size_t) { return std::size_t{1} << 30; });
    std::size_t longest = 0;
    for (auto const& part : conversation)
        longest = std::max(longest, part.bytes.size());
    BOOST_TEST(parsed(conversation, parser, [](std::size_t) { return std::size_t{1}; }) == whole);
    std::size_t different = 0;
    for (std::size_t place = 1; place < longest; ++place)
        different +=
            parsed(conversation, parser, [&](std::size_t at) { return at < place ? place - at : longest; }) != whole;
    std::mt19937 random{7};
    for (int i = 0; i != 200; ++i)
        different += parsed(conversation, parser, [&](std::size_t) { return random() % 40; }) != whole;
    BOOST_TEST(different == 0u, whole);
}

std::string from_hex(std::string_view text) {
    std::string result;
    int high = -1;
    for (char const h : text) {
        auto const at = std::string_view{"0123456789abcdef"}.find(h);
        if (at == std::string_view::npos)
            continue;
        if (high < 0) {
            high = static_cast<int>(at);
        } else {
            result += static_cast<char>(high << 4 | static_cast<int>(at));
            high = -1;
        }
    }
    return result;
}

} // namespace

BOOST_AUTO_TEST_SUITE(http1_suite)

BOOST_AUTO_TEST_CASE(a_request_and_its_response) {
    recorder<session::http1_parser> r;
    r.feed(c, "GET /a?b HTTP/1.1\r\nHost: example\r\nX-Empty:\r\n\r\n");
    r.time += std::chrono::milliseconds{3};
    r.feed(s, "HTTP/1.1 200 All right\r\nContent-Length: 5\r\n\r\nhello");
    BOOST_REQUIRE(r.messages.size() == 2u);
    auto const& request = r.at<http1::request>(0);
    BOOST_TEST(request.method == "GET");
    BOOST_TEST(request.target == "/a?b");
    BOOST_TEST(request.fields["host"] == "example");
    BOOST_TEST(request.fields.size() == 2u);
    auto const& response = r.at<http1::response>(1);
    BOOST_TEST(response.status == 200u);
    BOOST_TEST(response.reason == "All right");
    BOOST_TEST(response.body == "hello");
    BOOST_TEST(response.request_method == "GET");
    BOOST_TEST((response.latency == std::chrono::milliseconds{3}));
    BOOST_TEST(response.has_whole_body());
}

BOOST_AUTO_TEST_CASE(responses_without_a_body) {
    recorder<session::http1_parser> r;
    r.feed(c, "HEAD / HTTP/1.1\r\n\r\nGET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nPUT /3 HTTP/1.1\r\nContent-Length: "
              "1\r\n\r\nx");
    r.feed(s, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: "
              "7\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
              "2\r\n\r\nok");
    BOOST_TEST(!r.error);
    BOOST_REQUIRE(r.messages.size() == 9u);
    std::vector<std::pair<unsigned, std::string>> answers;
    for (std::size_t i = 4; i != 9; ++i)
        answers.emplace_back(r.at<http1::response>(i).status, r.at<http1::response>(i).request_method);
    std::vector<std::pair<unsigned, std::string>> const expected{
        {200, "HEAD"}, {304, "GET"}, {204, "GET"}, {100, "PUT"}, {200, "PUT"}};
    BOOST_TEST((answers == expected));
    BOOST_TEST(r.at<http1::response>(8).body == "ok");
}

BOOST_AUTO_TEST_CASE(bodies_of_every_framing) {
    recorder<session::http1_parser> r;
    r.feed(c, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    r.feed(s,
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nSum: 1\r\n\r\n");
    r.feed(s, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
    r.finish();
    BOOST_REQUIRE(r.messages.size() == 4u);
    BOOST_TEST(r.at<http1::response>(2).body == "hello world");
    BOOST_TEST(r.at<http1::response>(2).fields["sum"] == "1");
    BOOST_TEST(r.at<http1::response>(3).body == "until the end");
    BOOST_TEST(r.at<http1::response>(3).complete);
}

BOOST_AUTO_TEST_CASE(limits_and_pieces_of_bodies) {
    std::vector<sent> const conversation{{c, "GET / HTTP/1.1\r\n\r\n"},
                                         {s, "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n0123456789012345678901234"}};
    recorder<session::http1_parser> limited{session::http1_parser{session::http1_options{}.max_body(10)}};
    recorder<session::http1_parser> streamed{session::http1_parser{session::http1_options{}.stream_bodies(10)}};
    for (auto const& [from, bytes] : conversation) {
        limited.feed(from, bytes);
        streamed.feed(from, bytes);
    }
    BOOST_TEST(limited.at<http1::response>(1).body == "0123456789");
    BOOST_TEST(limited.at<http1::response>(1).body_size == 25u);
    BOOST_TEST(!limited.at<http1::response>(1).has_whole_body());
    BOOST_REQUIRE(streamed.messages.size() == 6u); // two heads, an empty body, three pieces
    BOOST_TEST(streamed.at<http1::body_piece>(5).bytes == "01234");
    BOOST_TEST(streamed.at<http1::body_piece>(5).offset == 20u);
    BOOST_TEST(streamed.at<http1::body_piece>(5).last);
}

BOOST_AUTO_TEST_CASE(what_follows_an_upgrade_or_a_tunnel_is_left_alone) {
    recorder<session::http1_parser> upgrade;
    upgrade.feed(c, "GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    upgrade.feed(s, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello");
    BOOST_TEST(upgrade.is_done());
    BOOST_TEST(upgrade.messages.size() == 2u);
    recorder<session::http1_parser> tunnel;
    tunnel.feed(c, "CONNECT example:443 HTTP/1.1\r\n\r\n");
    tunnel.feed(s, "HTTP/1.1 200 Connection established\r\n\r\n\x16\x03\x01");
    BOOST_TEST(tunnel.is_done());
    BOOST_TEST(tunnel.messages.size() == 2u);
    BOOST_TEST(!tunnel.error);
}

BOOST_AUTO_TEST_CASE(gaps) {
    recorder<session::http1_parser> in_body;
    in_body.feed(c, "GET / HTTP/1.1\r\n\r\n");
    in_body.feed(s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    in_body.gap(s, 4);
    in_body.feed(s, "hijHTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n");
    BOOST_REQUIRE(in_body.messages.size() == 3u);
    BOOST_TEST(in_body.at<http1::response>(1).missing_bytes == 4u);
    BOOST_TEST(in_body.at<http1::response>(1).complete);
    BOOST_TEST(in_body.at<http1::response>(2).status == 404u);

    recorder<session::http1_parser> beyond;
    beyond.feed(s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    beyond.gap(s, 100);
    beyond.feed(s, "e: 1\r\nHTTP/1.1 no line\r\n\r\nHTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n");
    BOOST_REQUIRE(beyond.messages.size() == 2u);
    BOOST_TEST(!beyond.at<http1::response>(0).complete);
    BOOST_TEST(beyond.at<http1::response>(1).status == 404u);
}

BOOST_AUTO_TEST_CASE(however_it_is_cut) {
    expect_the_same_however_cut(
        {{c, "POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcdGET /b HTTP/1.0\nHost: x\n\n"},
         {s,
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nSum: 1\r\n\r\n"},
         {s, "\r\nHTTP/1.0 204\r\n\r\n"},
         {c, "HEAD /c HTTP/1.1\r\n\r\nDELETE /d HTTP/1.1\r\n\r\n"},
         {s, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end"}},
        session::http1_parser{session::http1_options{}.stream_bodies(3)});
    expect_the_same_however_cut(
        {{c, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: 1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"}},
        session::http1_parser{});
    expect_the_same_however_cut({{c, "GET / HTTP/1.1\r\n\r\n"}, {s, "HTTP/1.1 2x0 OK\r\n\r\n"}},
                                session::http1_parser{});
}

BOOST_AUTO_TEST_CASE(what_breaks_the_rules_is_taken_as_others_take_it) {
    recorder<session::http1_parser> r;
    r.feed(c, "GET /a b;c HTTP/1.1\r\nno field\r\nX: a\x01"
              "b\r\n\r\nOPTIONS\r\n\r\n");
    r.feed(c, "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\nx=1\r\nGET /smuggled HTTP/1.1\r\n\r\n");
    r.feed(c, "POST / HTTP/1.1\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    r.feed(c, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n10000000000000001\r\nrest\r\n");
    r.feed(c, "HEAD /last HTTP/1.1\r\n\r\n");
    BOOST_TEST(!r.error);
    BOOST_REQUIRE(r.messages.size() == 7u);
    auto const& spaces = r.at<http1::request>(0);
    BOOST_TEST(spaces.target == "/a b;c");
    BOOST_TEST(spaces.fields["x"] == "a b");
    BOOST_TEST((spaces.error == nr::error::malformed_message));
    BOOST_TEST(r.at<http1::request>(1).method == "OPTIONS");
    BOOST_TEST(r.at<http1::request>(1).version == 0u);
    BOOST_TEST(!r.at<http1::request>(2).complete);
    BOOST_TEST(r.at<http1::request>(3).target == "/smuggled");
    BOOST_TEST(r.at<http1::request>(4).complete); // the chunks count
    BOOST_TEST(r.at<http1::request>(4).body_size == 0u);
    BOOST_TEST(r.at<http1::request>(5).body == "x");
    BOOST_TEST(!r.at<http1::request>(5).complete);
    BOOST_TEST(r.at<http1::request>(6).target == "/last");
    BOOST_TEST(!r.at<http1::request>(6).error);

    // However it is written that chunks go before a length (RFC 9112, 6.3), and only where they do.
    for (std::string const chunked :
         {"Transfer-Encoding: Chunked", "Transfer-Encoding : chunked", "Transfer-Encoding:\r\n chunked",
          "TRANSFER-ENCODING: chunked ", "Transfer-Encoding: gzip, chunked\t"}) {
        recorder<session::http1_parser> both;
        both.feed(c, "POST / HTTP/1.1\r\nContent-Length: 4\r\n" + chunked +
                         "\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /next HTTP/1.1\r\n\r\n");
        BOOST_REQUIRE(both.messages.size() == 2u);
        BOOST_TEST(both.at<http1::request>(0).body == "hello", chunked);
        BOOST_TEST(both.at<http1::request>(1).target == "/next", chunked);
    }
    recorder<session::http1_parser> other_coding;
    other_coding.feed(c, "POST / HTTP/1.1\r\nno field\r\nContent-Length: 27\r\nTransfer-Encoding: xchunked\r\n\r\n"
                         "GET /smuggled HTTP/1.1\r\n\r\nxGET /next HTTP/1.1\r\n\r\n");
    BOOST_REQUIRE(!other_coding.messages.empty());
    BOOST_TEST(!other_coding.at<http1::request>(0).complete); // where it ends nobody can say

    recorder<session::http1_parser> response;
    response.feed(s, "HTTP/1.2 200 \x02ok\r\nContent-Length: some\r\n\r\nuntil the end");
    response.finish();
    BOOST_REQUIRE(response.messages.size() == 1u);
    BOOST_TEST(response.at<http1::response>(0).body == "until the end");
    BOOST_TEST((response.at<http1::response>(0).error == nr::error::malformed_message));

    recorder<session::http1_parser> one_side;
    one_side.feed(c, "hello there\r\n\r\n");
    one_side.feed(s, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    one_side.finish();
    BOOST_TEST(!one_side.error);
    BOOST_TEST(one_side.messages.size() == 1u);
    recorder<session::http1_parser> neither;
    neither.feed(c, "hello there\r\n\r\n");
    neither.feed(s, "250 ok\r\n");
    BOOST_TEST((neither.error == nr::error::malformed_message));
}

BOOST_AUTO_TEST_CASE(a_head_that_is_cut_off_is_told_as_far_as_it_came) {
    recorder<session::http1_parser> r;
    r.feed(c, "GET /long HTTP/1.1\r\nHost: h\r\nCookie: abc");
    r.gap(c, 500);
    r.feed(c, "\r\n\r\nGET /next HTTP/1.1\r\n\r\nGET /half");
    r.finish();
    BOOST_REQUIRE(r.messages.size() == 2u);
    BOOST_TEST(r.at<http1::request>(0).target == "/long");
    BOOST_TEST(r.at<http1::request>(0).fields["host"] == "h");
    BOOST_TEST(!r.at<http1::request>(0).complete);
    BOOST_TEST(r.at<http1::request>(1).target == "/next");
}

BOOST_AUTO_TEST_CASE(damaged_and_however_it_is_cut) {
    expect_the_same_however_cut(
        {{c,
          "junk\r\nGET /a b HTTP/1.1\r\nX\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: -1\r\n\r\nGET /s HTTP/1.1\r\n\r\n"},
         {s, "HTTP/1.3 200\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nHTTP/1.1 204 "
             "No\r\n\r\nHTTP/x\r\n\r\n"},
         {c, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1x\r\n\r\nGET /t HTTP/1.1\r\nHost"},
         {s, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nuntil the end"}},
        session::http1_parser{});
    expect_the_same_however_cut(
        {{c, "\x01\x02 GET / HTTP/1.1\r\n\r\n"}, {s, "HTTP/1.1 400\r\n\r\n"}, {c, "get\r\n\r\n"}},
        session::http1_parser{});
}

BOOST_AUTO_TEST_CASE(heads_are_bounded) {
    recorder<session::http1_parser> r;
    r.feed(c, "GET / HTTP/1.1\r\n");
    for (int i = 0; i != 1'000'000 && !r.error; ++i)
        r.feed(c, "X: " + std::to_string(i) + "\r\n");
    BOOST_TEST((r.error == nr::error::message_too_long));
    BOOST_TEST(r.messages.empty());
}

BOOST_AUTO_TEST_CASE(a_body_of_four_gigabytes_is_counted_and_not_kept) {
    recorder<session::http1_parser> r;
    r.feed(s, "HTTP/1.1 200 OK\r\nContent-Length: 4294967297\r\n\r\n");
    std::string const block(std::size_t{1} << 20, 'x');
    for (int i = 0; i != 4096; ++i)
        r.feed(s, block);
    BOOST_TEST(r.messages.empty());
    r.feed(s, "x");
    BOOST_REQUIRE(r.messages.size() == 1u);
    BOOST_TEST(r.at<http1::response>(0).body_size == 4294967297u);
    BOOST_TEST(r.at<http1::response>(0).body.size() == 65536u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(dns_suite)

namespace {
std::string const query = from_hex("1234 0100 0001 0000 0000 0000 0377777707 6578616d706c65 00 0001 0001");
std::string const answer = from_hex("1234 8180 0001 0002 0000 0000 0377777707 6578616d706c65 00 0001 0001"
                                    "c00c 0005 0001 00000e10 0006 036c6f62 c010 c029 0001 0001 0000003c 0004 c0000201");
} // namespace

BOOST_AUTO_TEST_CASE(a_query_and_its_response) {
    recorder<session::dns_over_udp> r;
    r.feed(c, query);
    r.time += std::chrono::milliseconds{7};
    r.feed(s, answer);
    BOOST_REQUIRE(r.messages.size() == 2u);
    auto const& m = r.at<dns::message>(1);
    BOOST_TEST(m.questions.at(0).name == "www.example");
    BOOST_REQUIRE(m.answers.size() == 2u);
    BOOST_TEST(std::get<dns::name>(m.answers[0].data) == "lob.example");
    BOOST_TEST(m.answers[1].name == "lob.example");
    BOOST_TEST(std::get<nr::decode::ip_address>(m.answers[1].data).to_string() == "192.0.2.1");
    BOOST_TEST((m.latency == std::chrono::milliseconds{7}));
}

BOOST_AUTO_TEST_CASE(queries_without_a_response_are_told) {
    recorder<session::dns_over_udp> r;
    r.feed(c, query);
    r.time += std::chrono::seconds{9};
    r.tick();
    BOOST_TEST(r.messages.size() == 1u);
    r.time += std::chrono::seconds{1};
    r.tick();
    BOOST_REQUIRE(r.messages.size() == 2u);
    BOOST_TEST(r.at<dns::unanswered>(1).id == 0x1234);
    r.feed(c, query);
    r.finish();
    BOOST_TEST(r.messages.size() == 4u);
}

BOOST_AUTO_TEST_CASE(what_the_snap_length_left_is_told) {
    recorder<session::dns_over_udp> r;
    r.feed(c, query);
    BOOST_TEST(!r.cut(s, std::string_view{answer}.substr(0, answer.size() - 3)));
    BOOST_REQUIRE(r.messages.size() == 2u);
    auto const& m = r.at<dns::message>(1);
    BOOST_TEST(m.cut);
    BOOST_TEST(m.announced[1] == 2u);
    BOOST_TEST(m.answers.size() == 1u);
    BOOST_TEST(m.latency.has_value());
    BOOST_TEST((r.cut(s, std::string_view{answer}.substr(0, 11)) == nr::error::malformed_message));
}

BOOST_AUTO_TEST_CASE(pointers_that_go_in_circles) {
    recorder<session::dns_over_udp> r;
    BOOST_TEST((r.feed(c, from_hex("1234 0100 0001 0000 0000 0000 c00c 0001 0001")) == nr::error::malformed_message));
    recorder<session::dns_over_udp> forward;
    BOOST_TEST(
        (forward.feed(c, from_hex("1234 0100 0001 0000 0000 0000 c012 0001 0001 00")) == nr::error::malformed_message));
    // A chain of pointers, each to the one before: work must not grow with its square.
    std::string chain = from_hex("1234 8180 0000 1fff 0000 0000 00 0001 0001 00000000 0000");
    while (chain.size() < 16000) {
        auto const at = chain.size() - 11;
        chain += static_cast<char>(0xc0 | at >> 8);
        chain += static_cast<char>(at & 255);
        chain += from_hex("0001 0001 00000000 0000");
    }
    recorder<session::dns_over_udp> long_chain;
    long_chain.feed(s, chain);
}

BOOST_AUTO_TEST_CASE(over_tcp_however_it_is_cut) {
    auto const framed = [](std::string const& m) {
        return std::string{static_cast<char>(m.size() >> 8), static_cast<char>(m.size() & 255)} + m;
    };
    expect_the_same_however_cut({{c, framed(query) + framed(query)},
                                 {s, framed(answer)},
                                 {c, framed(query)},
                                 {s, framed(answer) + framed("x")}},
                                session::dns_over_tcp{});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(tls_begins_after_text) {
    auto const hello = from_hex("16 0301 002f 01 00002b 0303"
                                "0000000000000000000000000000000000000000000000000000000000000000"
                                "00 0002 1301 01 00 0000"); // a ClientHello without extensions
    std::vector<sent> const mail{{s, "220 mail ESMTP\r\n"},
                                 {c, "EHLO me\r\n"},
                                 {s, "250-mail\r\n250 STARTTLS\r\n"},
                                 {c, "STARTTLS\r\n" + hello},
                                 {s, "220 go\r\n"}};
    session::tls_handshake const after_text{session::tls_options{}.after_text(true)};
    expect_the_same_however_cut(mail, after_text);
    recorder<session::tls_handshake> r{after_text};
    for (auto const& [from, bytes] : mail)
        r.feed(from, bytes);
    BOOST_TEST(!r.error);
    BOOST_REQUIRE(r.messages.size() == 1u);
    BOOST_TEST(r.at<tls::client_hello>(0).cipher_suites == std::vector<std::uint16_t>{0x1301});
    recorder<session::tls_handshake> text{
        session::tls_handshake{session::tls_options{}.after_text(true).max_message(50)}};
    text.feed(c, std::string(60, 'x'));
    BOOST_TEST(text.is_done());
    BOOST_TEST(text.messages.empty());
}

BOOST_AUTO_TEST_CASE(quic_of_both_versions) {
    for (auto const& [file, version] : {std::pair{"initial", 1u}, {"initial_version_2", 0x6b3343cfu}}) {
        std::ifstream in{std::string{FUZZ_CORPUS "/quic/"} + file, std::ios::binary};
        auto const datagram = std::string{std::istreambuf_iterator<char>{in}, {}}.substr(2); // behind the fuzzer's head
        BOOST_TEST((session::quic_initial::probe(c, std::as_bytes(std::span{datagram})) == session::match::yes));
        recorder<session::quic_initial> r;
        r.feed(c, datagram);
        BOOST_REQUIRE(r.messages.size() == 1u);
        auto const& m = r.messages[0].second;
        BOOST_TEST(m.version == version);
        BOOST_TEST(m.hello.server_name == "quic.example");
        BOOST_TEST(m.hello.application_protocols == std::vector<std::string>{"h3"});
        BOOST_TEST(m.ja4().substr(0, 10) == "q13d0307h3");
        BOOST_TEST(r.is_done());
        recorder<session::quic_initial> damaged;
        auto broken = datagram;
        broken[600] ^= 1;
        damaged.feed(c, broken);
        BOOST_TEST(damaged.messages.empty());
        // What a server cannot open begins nothing.
        broken[6] ^= 1;
        damaged.error = {};
        damaged.feed(c, broken);
        damaged.error = {};
        damaged.feed(c, datagram);
        BOOST_REQUIRE(damaged.messages.size() == 1u);
        BOOST_TEST((damaged.messages[0].second.destination_id == m.destination_id));
    }
}

BOOST_AUTO_TEST_CASE(what_cannot_become_a_request_is_refused_at_once) {
    auto const verdict = [](std::string_view text) {
        return session::http1_parser::probe(c, std::as_bytes(std::span{text}));
    };
    for (auto const text : {"no handshake", "A B", "lower /", "\x16\x03\x01"})
        BOOST_TEST((verdict(text) == session::match::no), text);
    for (auto const text : {"G", "PR", "GETS", "PROPFIND", "PROPFIND /a"})
        BOOST_TEST((verdict(text) == session::match::maybe), text);
    BOOST_TEST((verdict("PROPFIND /a HTTP/1.1\r\n") == session::match::yes));
    BOOST_TEST((verdict("PROPFIND /a\r\n") == session::match::no));
}
