// What lies in headers beyond addresses and ports: ARP, TCP options, the packets that ICMP errors quote.

#include "craft.hpp"
#include <netring_asio/decode/arp.hpp>
#include <netring_asio/decode/decoder.hpp>
#include <netring_asio/decode/tcp_options.hpp>

#include <boost/test/unit_test.hpp>

#include <random>

namespace nr = netring_asio;
namespace decode = netring_asio::decode;
using test::craft;

namespace {

decode::headers decoded(nr::packet_view const& packet) {
    decode::headers result;
    decode::decoder{}(packet, result);
    return result;
}

decode::tcp_options options(std::vector<unsigned char> const& bytes) {
    return decode::parse_tcp_options(std::as_bytes(std::span{bytes}));
}

struct quote {
    explicit quote(craft const& error) { found = decode::decoder{}.quoted(decoded(error.view()), headers); }
    bool found;
    decode::headers headers;
};

} // namespace

BOOST_AUTO_TEST_CASE(an_arp_question_and_what_is_none) {
    auto frame = craft{}
                     .put({0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2})
                     .vlan(5, 0x0806)
                     .ethernet(0x8100)
                     .pad(14);
    auto const arp = decode::arp_of(decoded(frame.view()));
    BOOST_REQUIRE(arp.has_value());
    BOOST_TEST(arp->operation == 1);
    BOOST_TEST(arp->sender.to_string() == "10.0.0.1");
    BOOST_TEST(arp->target.to_string() == "10.0.0.2");
    BOOST_TEST(arp->sender_hardware[5] == 1);

    auto cut = frame.view();
    cut.data = cut.data.first(18 + 27);
    BOOST_TEST(!decode::arp_of(decoded(cut)).has_value());
    frame.bytes()[18 + 1] = 6; // not Ethernet
    BOOST_TEST(!decode::arp_of(decoded(frame.view())).has_value());
    auto const udp = craft{"x"}.udp(1, 2).ipv4("10.0.0.1", "10.0.0.2", 17).ethernet(0x0800);
    BOOST_TEST(!decode::arp_of(decoded(udp.view())).has_value());
}

BOOST_AUTO_TEST_CASE(options_of_a_syn) {
    auto const o = options({2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 7, 1, 3, 3, 9, 0, 77, 77});
    BOOST_TEST(o.maximum_segment_size.value() == 1460);
    BOOST_TEST(o.sack_permitted);
    BOOST_TEST(o.timestamps.value().value == 256u);
    BOOST_TEST(o.timestamps.value().echo == 7u);
    BOOST_TEST(int{o.window_scale.value()} == 9);
    BOOST_TEST(!o.malformed);
    BOOST_TEST(int{options({3, 3, 99}).window_scale.value()} == 14);
    BOOST_TEST(options({34, 2}).fast_open);
}

BOOST_AUTO_TEST_CASE(selective_acknowledgments) {
    auto const o = options({1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 3});
    BOOST_REQUIRE(o.sack_count == 2);
    BOOST_TEST(o.sack[0].begin == 1u);
    BOOST_TEST(o.sack[0].end == 2u);
    BOOST_TEST(o.sack[1].begin == 0xffff'ffffu);
    BOOST_TEST(o.sack[1].end == 3u);
}

BOOST_AUTO_TEST_CASE(options_that_lie) {
    for (auto const& bytes : {std::vector<unsigned char>{2, 4, 5, 0xb4, 8},
                              {2, 4, 5, 0xb4, 8, 0},
                              {2, 4, 5, 0xb4, 8, 1},
                              {2, 4, 5, 0xb4, 8, 40, 0, 0}}) {
        auto const o = options(bytes);
        BOOST_TEST(o.malformed);
        BOOST_TEST(o.maximum_segment_size.value() == 1460);
        BOOST_TEST(!o.timestamps.has_value());
    }
    BOOST_TEST(!options({2, 3, 5}).maximum_segment_size.has_value());
    std::mt19937 random{1};
    for (int round = 0; round != 50'000; ++round) {
        std::vector<unsigned char> bytes(random() % 41);
        for (auto& byte : bytes)
            byte = static_cast<unsigned char>(random() % (random() % 2 == 0 ? 12 : 256));
        BOOST_REQUIRE(options(bytes).sack_count <= 4);
    }
}

BOOST_AUTO_TEST_CASE(an_error_talks_about_a_flow) {
    // Port unreachable: the quoted packet went the other way, and only eight bytes of its payload are here.
    auto inner = craft{500}.udp(5000, 53).ipv4("10.0.0.1", "10.0.0.2", 17);
    inner.bytes().resize(28);
    quote const v4{craft{inner}.put({3, 3, 0, 0, 0, 0, 0, 0}).ipv4("10.0.0.2", "10.0.0.1", 1).ethernet(0x0800)};
    BOOST_TEST(v4.found);
    BOOST_TEST(v4.headers.source.to_string() == "10.0.0.1");
    BOOST_TEST(v4.headers.destination_port == 53);
    BOOST_TEST(v4.headers.payload_length == 500u);
    BOOST_TEST(v4.headers.ip_length == 528u);

    auto six = craft{40}.tcp(5000, 443, 0x10, 77).ipv6("2001:db8::1", "2001:db8::2", 6);
    quote const v6{craft{six}.put({2, 0, 0, 0, 0, 0, 5, 0}).ipv6("2001:db8::9", "2001:db8::1", 58).ethernet(0x86dd)};
    BOOST_TEST(v6.found);
    BOOST_TEST(v6.headers.destination_port == 443);
    BOOST_TEST(v6.headers.sequence == 77u);
}

BOOST_AUTO_TEST_CASE(what_follows_a_quotation_is_not_of_it) {
    // RFC 4884: 32 words of the datagram, padded, then an extension.
    auto inner = craft{500}.udp(5000, 53).ipv4("10.0.0.1", "10.0.0.2", 17);
    inner.bytes().resize(128);
    inner.pad(12);
    quote const q{craft{inner}.put({11, 0, 0, 0, 0, 32, 0, 0}).ipv4("10.0.0.9", "10.0.0.1", 1).ethernet(0x0800)};
    BOOST_TEST(q.found);
    BOOST_TEST(q.headers.payload().size() == 100u);
}

BOOST_AUTO_TEST_CASE(what_quotes_nothing) {
    auto const inner = craft{8}.udp(1, 2).ipv4("10.0.0.1", "10.0.0.2", 17);
    auto const echo = craft{inner}.put({8, 0, 0, 0, 0, 0, 0, 0}).ipv4("10.0.0.2", "10.0.0.1", 1).ethernet(0x0800);
    BOOST_TEST(!quote{echo}.found);
    auto const plain = craft{inner}.udp(1, 2).ipv4("10.0.0.2", "10.0.0.1", 17).ethernet(0x0800);
    BOOST_TEST(!quote{plain}.found);
    auto const empty = craft{}.put({3, 3, 0, 0, 0, 0, 0, 0}).ipv4("10.0.0.2", "10.0.0.1", 1).ethernet(0x0800);
    BOOST_TEST(!quote{empty}.found);
    auto const rubbish = craft{30}.put({3, 3, 0, 0, 0, 0, 0, 0}).ipv4("10.0.0.2", "10.0.0.1", 1).ethernet(0x0800);
    BOOST_TEST(!quote{rubbish}.found);
    for (std::size_t length = 0; length != inner.size(); ++length) {
        auto cut = inner;
        cut.bytes().resize(length);
        quote const q{cut.put({3, 3, 0, 0, 0, 0, 0, 0}).ipv4("10.0.0.2", "10.0.0.1", 1).ethernet(0x0800)};
        BOOST_TEST(q.found == (length >= 20));
        BOOST_TEST(q.headers.has_ports == (length >= 24));
    }
}
