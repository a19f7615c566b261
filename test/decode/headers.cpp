#include "craft.hpp"
#include <netring_asio/decode/decoder.hpp>

#include <boost/test/unit_test.hpp>

#include <random>

namespace nr = netring_asio;
namespace decode = netring_asio::decode;
using test::craft;

namespace {

decode::headers decoded(nr::packet_view const& packet, unsigned max_tunnels = 8) {
    decode::headers result;
    decode::decoder const decoder{decode::decoder_options{}.max_tunnels(static_cast<std::uint8_t>(max_tunnels))};
    decoder(packet, result);
    return result;
}

std::string text(std::span<std::byte const> bytes) {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

craft plain_udp() { return craft{"hello"}.udp(1000, 53).ipv4("10.0.0.1", "10.0.0.2", 17); }

} // namespace

BOOST_AUTO_TEST_CASE(udp_over_ipv4_over_ethernet) {
    auto frame = plain_udp().ethernet(0x0800);
    auto const h = decoded(frame.view());
    BOOST_TEST(h.ip_version == 4);
    BOOST_TEST(h.protocol == 17);
    BOOST_TEST(h.source.to_string() == "10.0.0.1");
    BOOST_TEST(h.destination.to_string() == "10.0.0.2");
    BOOST_TEST(h.source_port == 1000);
    BOOST_TEST(h.destination_port == 53);
    BOOST_TEST(h.wire_length == 14u + 20 + 8 + 5);
    BOOST_TEST(h.ip_length == 33u);
    BOOST_TEST(h.payload_length == 5u);
    BOOST_TEST(text(h.payload()) == "hello");
}

BOOST_AUTO_TEST_CASE(padding_is_no_payload) {
    auto frame = craft{}.tcp(1, 2, 0x10).ipv4("10.0.0.1", "10.0.0.2", 6).ethernet(0x0800).pad(6);
    auto const h = decoded(frame.view());
    BOOST_TEST(h.wire_length == 60u);
    BOOST_TEST(h.payload_length == 0u);
    BOOST_TEST(h.payload().empty());
}

BOOST_AUTO_TEST_CASE(tags_in_the_frame_and_beside_it) {
    auto frame = plain_udp().vlan(7, 0x0800).ethernet(0x8100);
    auto view = frame.view();
    view.vlan = {0x88a8, 5};
    auto const h = decoded(view);
    BOOST_TEST(h.vlan_count == 2);
    BOOST_TEST(h.vlans[0].tpid == 0x88a8);
    BOOST_TEST(h.vlans[0].id() == 5);
    BOOST_TEST(h.vlans[1].id() == 7);
    BOOST_TEST(h.wire_length == frame.size() + 4);
    BOOST_TEST(h.destination_port == 53);
}

BOOST_AUTO_TEST_CASE(options_and_extension_headers) {
    auto frame = craft{"x"}.tcp(80, 1024, 0x18, 7, 9);
    frame.put({6, 0, 1, 2, 0, 0, 0, 0});                           // destination options
    frame.put({60, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); // hop by hop
    frame.ipv6("2001:db8::1", "2001:db8::2", 0).ethernet(0x86dd);
    auto const h = decoded(frame.view());
    BOOST_TEST(h.ip_version == 6);
    BOOST_TEST(h.protocol == 6);
    BOOST_TEST(h.has_tcp);
    BOOST_TEST(h.sequence == 7u);
    BOOST_TEST(h.acknowledgment == 9u);
    BOOST_TEST(h.tcp_flags == 0x18);
    BOOST_TEST(h.payload_length == 1u);
    BOOST_TEST(h.source.to_string() == "2001:db8::1");
}

BOOST_AUTO_TEST_CASE(fragments) {
    auto first = craft{24}.udp(1, 2).ipv4("10.0.0.1", "10.0.0.2", 17, 0x2000, 77).ethernet(0x0800);
    auto h = decoded(first.view());
    BOOST_TEST(h.is_first_fragment());
    BOOST_TEST(h.more_fragments);
    BOOST_TEST(h.has_ports);
    BOOST_TEST(h.fragment_id == 77u);

    auto later = craft{24}.ipv4("10.0.0.1", "10.0.0.2", 17, 4, 77).ethernet(0x0800);
    h = decoded(later.view());
    BOOST_TEST(h.is_later_fragment());
    BOOST_TEST(!h.has_ports);
    BOOST_TEST(h.fragment_offset == 32u);

    auto six = craft{16}.put({17, 0, 0, 0x19, 0, 0, 0, 9}).ipv6("::1", "::2", 44).ethernet(0x86dd);
    h = decoded(six.view());
    BOOST_TEST(h.is_later_fragment());
    BOOST_TEST(h.fragment_offset == 24u);
    BOOST_TEST(h.more_fragments);
    BOOST_TEST(h.fragment_id == 9u);
    BOOST_TEST(h.protocol == 17);
}

BOOST_AUTO_TEST_CASE(a_cut_packet_is_read_as_far_as_it_goes) {
    auto frame = craft{1000}.tcp(80, 1024, 0x18, 7, 9).ipv4("10.0.0.1", "10.0.0.2", 6).ethernet(0x0800);
    auto view = frame.view();
    view.data = view.data.first(14 + 20 + 20 + 10);
    auto h = decoded(view);
    BOOST_TEST(h.payload_length == 1000u);
    BOOST_TEST(h.payload().size() == 10u);

    view.data = view.data.first(14 + 20 + 6);
    h = decoded(view);
    BOOST_TEST(h.has_ports);
    BOOST_TEST(!h.has_tcp);
    BOOST_TEST(h.source_port == 80);
    BOOST_TEST(h.ip_length == 1040u);

    view.data = view.data.first(14 + 19);
    BOOST_TEST(!decoded(view).has_ip());
}

BOOST_AUTO_TEST_CASE(a_length_of_zero_is_the_rest_of_the_frame) {
    auto frame = craft{100}.tcp(80, 1024, 0x18).ipv4("10.0.0.1", "10.0.0.2", 6);
    frame.bytes()[2] = frame.bytes()[3] = 0;
    frame.ethernet(0x0800);
    auto const h = decoded(frame.view());
    BOOST_TEST(h.ip_length == 140u);
    BOOST_TEST(h.payload_length == 100u);
}

BOOST_AUTO_TEST_CASE(every_tunnel) {
    auto const inner_ok = [](craft& frame, decode::tunnel kind, std::uint32_t id, char const* name) {
        BOOST_TEST_CONTEXT(name) {
            auto const h = decoded(frame.view());
            BOOST_TEST((h.tunnel == kind));
            BOOST_TEST(h.tunnel_id == id);
            BOOST_TEST(h.destination_port == 53);
            BOOST_TEST(h.source.to_string() == "10.0.0.1");
            BOOST_TEST(text(h.payload()) == "hello");
            auto const outer = decoded(frame.view(), 0);
            if (kind != decode::tunnel::none && outer.has_ip())
                BOOST_TEST(outer.source.to_string() == "192.0.2.1");
        }
    };
    auto const carry = [](craft inner, unsigned protocol) {
        return inner.ipv4("192.0.2.1", "192.0.2.2", protocol).ethernet(0x0800);
    };
    auto const carry_udp = [](craft inner, unsigned port) {
        return inner.udp(40000, port).ipv4("192.0.2.1", "192.0.2.2", 17).ethernet(0x0800);
    };
    auto ethernet = plain_udp().ethernet(0x0800);

    auto frame = carry(plain_udp(), 4);
    inner_ok(frame, decode::tunnel::ip_in_ip, 0, "ipip");
    frame = carry(plain_udp().put({0x20, 0, 8, 0, 0, 0, 0, 42}), 47);
    inner_ok(frame, decode::tunnel::gre, 42, "gre");
    frame = carry(craft{ethernet}.put({0, 0, 0x65, 0x58}), 47);
    inner_ok(frame, decode::tunnel::gre, 0, "gretap");
    frame = carry(plain_udp().put({0x21}).put({0x30, 1, 0x88, 0x0b, 0, 33, 0, 1, 0, 0, 0, 5}), 47);
    inner_ok(frame, decode::tunnel::gre, 0x00210001, "pptp");
    frame = carry(craft{ethernet}.put({0x10, 0x01, 0, 5, 0, 0, 0, 0}).put({0x10, 0, 0x88, 0xbe, 0, 0, 0, 1}), 47);
    inner_ok(frame, decode::tunnel::erspan, 5, "erspan II");
    frame = carry(craft{ethernet}.put({0x30, 0}), 97);
    inner_ok(frame, decode::tunnel::etherip, 0, "etherip");
    frame = carry_udp(craft{ethernet}.put({8, 0, 0, 0, 0, 1, 0, 0}), 4789);
    inner_ok(frame, decode::tunnel::vxlan, 256, "vxlan");
    frame = carry_udp(craft{ethernet}.put({1, 2, 3, 4}).put({1, 0, 0x65, 0x58, 0, 0, 9, 0}), 6081);
    inner_ok(frame, decode::tunnel::geneve, 9, "geneve");
    frame = carry(craft{"hello"}.udp(1000, 53).ipv4("10.0.0.1", "10.0.0.2", 17).put({0, 1, 0x11, 64}), 137);
    inner_ok(frame, decode::tunnel::mpls, 0, "mpls in ip");
    frame = carry_udp(plain_udp().put({0, 1, 0x11, 64}), 6635);
    inner_ok(frame, decode::tunnel::mpls, 0, "mpls in udp");
    frame =
        carry(craft{ethernet}
                  .put(std::initializer_list<unsigned>{0x20, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
                  .put({0x10, 0, 0x22, 0xeb, 0, 0, 0, 1}),
              47);
    inner_ok(frame, decode::tunnel::erspan, 5, "erspan III with a platform header");
    frame = carry(craft{ethernet}.put({0, 0, 0x88, 0xbe}), 47);
    inner_ok(frame, decode::tunnel::erspan, 0, "erspan I");
    frame = craft{ethernet}.put({0, 1, 0x11, 64}).ethernet(0x8847);
    inner_ok(frame, decode::tunnel::mpls, 17, "ethernet over mpls without a control word");
    frame = plain_udp().vlan(9, 0x0800).vlan(7, 0x8100).ethernet(0x88a8);
    inner_ok(frame, decode::tunnel::none, 0, "802.1ad");
    frame = craft{ethernet}.put({0, 0, 0, 7}).ethernet(0x88e7);
    inner_ok(frame, decode::tunnel::none, 0, "802.1ah");
    frame = carry_udp(plain_udp().put({0x30, 255, 0, 33, 0, 0, 0, 6}), 2152);
    inner_ok(frame, decode::tunnel::gtp_u, 6, "gtp");
    frame = carry_udp(plain_udp().put({1, 9, 9, 0}).put({0x34, 255, 0, 41, 0, 0, 0, 6, 0, 0, 0, 0x85}), 2152);
    inner_ok(frame, decode::tunnel::gtp_u, 6, "gtp with an extension header");
    frame = craft{ethernet}.put({0, 0, 0, 0}).put({0, 1, 0x11, 64}).ethernet(0x8847);
    inner_ok(frame, decode::tunnel::mpls, 17, "ethernet over mpls");
    frame = plain_udp().put({0, 1, 0x11, 64}).put({0, 1, 0, 64}).ethernet(0x8847);
    inner_ok(frame, decode::tunnel::none, 0, "mpls");
    frame = plain_udp().put({0x11, 0, 0, 1, 0, 35, 0, 0x21}).ethernet(0x8864);
    inner_ok(frame, decode::tunnel::none, 0, "pppoe");
}

BOOST_AUTO_TEST_CASE(ipv6_in_tunnels) {
    auto const inner = craft{"hello"}.udp(1000, 53).ipv6("2001:db8::1", "2001:db8::2", 17);
    auto const check = [](craft const& frame, decode::tunnel kind) {
        auto const h = decoded(frame.view());
        BOOST_TEST((h.tunnel == kind));
        BOOST_TEST(h.source.to_string() == "2001:db8::1");
        BOOST_TEST(h.destination_port == 53);
    };
    check(craft{inner}.ipv4("192.0.2.1", "192.0.2.2", 41).ethernet(0x0800), decode::tunnel::ip_in_ip);
    check(craft{inner}.udp(40000, 3544).ipv4("192.0.2.1", "192.0.2.2", 17).ethernet(0x0800), decode::tunnel::teredo);
    check(craft{inner}
              .put({0, 0, 0xff, 0xff, 1, 2, 3, 4})
              .put({0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0})
              .udp(3544, 40000)
              .ipv4("192.0.2.1", "192.0.2.2", 17)
              .ethernet(0x0800),
          decode::tunnel::teredo);
    check(craft{inner}.ipv6("fe80::1", "fe80::2", 41).ethernet(0x86dd), decode::tunnel::ip_in_ip);
}

BOOST_AUTO_TEST_CASE(what_only_looks_like_a_tunnel_is_plain_udp) {
    auto frame = craft{60}.put({8, 0, 0, 0, 0, 1, 0, 0}).udp(40000, 4789);
    frame.ipv4("192.0.2.1", "192.0.2.2", 17).ethernet(0x0800);
    auto const h = decoded(frame.view());
    BOOST_TEST((h.tunnel == decode::tunnel::none));
    BOOST_TEST(h.destination_port == 4789);
    BOOST_TEST(h.payload_length == 68u);
    BOOST_TEST(h.ip_layers == 1);
}

BOOST_AUTO_TEST_CASE(tunnels_nest_up_to_the_bound) {
    craft frame = plain_udp();
    for (int i = 0; i != 10; ++i)
        frame.ipv4("192.0.2.1", "192.0.2.2", 4);
    frame.ethernet(0x0800);
    BOOST_TEST(decoded(frame.view(), 10).destination_port == 53);
    auto const h = decoded(frame.view(), 3);
    BOOST_TEST(h.ip_layers == 4);
    BOOST_TEST(h.protocol == 4);
}

BOOST_AUTO_TEST_CASE(other_link_types) {
    using nr::link_type;
    BOOST_TEST(decoded(plain_udp().view(link_type::raw_ip)).destination_port == 53);
    BOOST_TEST(decoded(plain_udp().put({2, 0, 0, 0}).view(link_type::null_loopback)).destination_port == 53);
    BOOST_TEST(decoded(plain_udp().put({0, 0, 0, 2}).view(link_type::null_loopback)).destination_port == 53);
    BOOST_TEST(decoded(plain_udp().put({0, 0, 0, 2}).view(link_type::loop)).destination_port == 53);
    auto cooked = plain_udp().put({0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0});
    BOOST_TEST(decoded(cooked.view(link_type::linux_sll)).destination_port == 53);
    auto cooked2 = plain_udp().put({8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0});
    BOOST_TEST(decoded(cooked2.view(link_type::linux_sll2)).destination_port == 53);
    auto snap = plain_udp().put({0xaa, 0xaa, 3, 0, 0, 0, 8, 0}).ethernet(41).pad(3);
    BOOST_TEST(decoded(snap.view()).destination_port == 53);
}

// Linux tells the protocol behind all tags and begins the packet behind the outermost one.
BOOST_AUTO_TEST_CASE(a_second_tag_on_a_cooked_socket) {
    auto const cook = [](craft packet, unsigned type) {
        return packet.put({type >> 8, type & 255, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0});
    };
    auto const check = [](craft const& frame, std::vector<int> const& ids) {
        auto view = frame.view(nr::link_type::linux_sll2);
        view.vlan = {0x88a8, 5};
        auto const h = decoded(view);
        BOOST_TEST(h.destination_port == 53);
        BOOST_REQUIRE(h.vlan_count == ids.size());
        for (std::size_t i = 0; i != ids.size(); ++i)
            BOOST_TEST(h.vlans[i].id() == ids[i]);
    };
    check(cook(plain_udp(), 0x0800), {5});
    check(cook(plain_udp().put({0, 7, 8, 0}), 0x0800), {5, 7});
    check(cook(plain_udp().put({0x40, 7, 8, 0}), 0x0800), {5, 7}); // priority 2 looks like version 4
    check(cook(plain_udp().put({0, 7, 0x81, 0, 0, 9, 8, 0}), 0x0800), {5, 7, 9});
    check(cook(craft{"x"}.udp(1, 53).ipv6("::1", "::2", 17).put({0x60, 7, 0x86, 0xdd}), 0x86dd), {5, 7});
    check(cook(plain_udp().vlan(7, 0x0800), 0x8100), {5, 7}); // as it should be
    // A whole packet whose length and number look like a tag's type and the packet behind it.
    auto whole = craft{2048 - 28}.udp(1, 53).ipv4("10.0.0.1", "10.0.0.2", 17, 0, 0x4500);
    check(cook(whole, 0x0800), {5});
}

BOOST_AUTO_TEST_CASE(any_chain_of_extension_headers) {
    std::mt19937 random{3};
    for (int round = 0; round != 2000; ++round) {
        auto frame = craft{"hello"}.tcp(80, 1024, 0x18, 7, 9);
        unsigned next = 6;
        for (auto n = random() % 7; n != 0; --n) {
            static constexpr unsigned kinds[] = {0, 43, 44, 51, 60, 135, 139, 140};
            auto const kind = kinds[random() % std::size(kinds)];
            if (kind == 44) { // an atomic fragment
                frame.put({next, 0, 0, 0, 0, 0, 0, 1});
            } else {
                auto const length = static_cast<unsigned>(random() % 3); // in units that are not counted for all
                auto const bytes = kind == 51 ? 12 + length * 4 : 8 + length * 8;
                auto body = craft{bytes - 4};
                frame = craft{std::string(body.bytes().begin(), body.bytes().end()) +
                              std::string(frame.bytes().begin(), frame.bytes().end())};
                frame.put({next, kind == 51 ? 1 + length : length, 0, 0});
            }
            next = kind;
        }
        frame.ipv6("2001:db8::1", "2001:db8::2", next).ethernet(0x86dd);
        auto const h = decoded(frame.view());
        BOOST_REQUIRE(h.has_tcp);
        BOOST_REQUIRE(h.sequence == 7u);
        BOOST_REQUIRE(text(h.payload()) == "hello");
        BOOST_REQUIRE(!h.is_fragment);
        // Cut anywhere, it is read as far as it goes.
        auto view = frame.view();
        view.data = view.data.first(54 + random() % (view.data.size() - 54));
        auto const cut = decoded(view);
        BOOST_REQUIRE(cut.has_ip());
        BOOST_REQUIRE((!cut.has_tcp || cut.payload().size() <= 5));
    }
}

BOOST_AUTO_TEST_CASE(sctp_and_no_next_header) {
    auto sctp = craft{"x"}.put({0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 0}).ipv4("10.0.0.1", "10.0.0.2", 132);
    auto h = decoded(sctp.ethernet(0x0800).view());
    BOOST_TEST(h.source_port == 4096);
    BOOST_TEST(h.destination_port == 8192);
    BOOST_TEST(h.payload_length == 1u);
    auto none = craft{"rest"}.ipv6("::1", "::2", 59).ethernet(0x86dd);
    h = decoded(none.view());
    BOOST_TEST(h.has_ip());
    BOOST_TEST(int{h.protocol} == 59);
    BOOST_TEST(!h.has_ports);
}

// The bytes are copied to a block of just their size, so that a sanitizer sees a read one past the end.
BOOST_AUTO_TEST_CASE(damaged_packets_stay_within_bounds) {
    std::vector<craft> seeds;
    seeds.push_back(plain_udp().ethernet(0x0800));
    seeds.push_back(craft{20}.tcp(1, 2, 2).put({6, 0, 1, 2, 0, 0, 0, 0}).ipv6("::1", "::2", 60).ethernet(0x86dd));
    for (unsigned port : {4789U, 6081U, 2152U, 3544U, 6635U})
        seeds.push_back(plain_udp()
                            .ethernet(0x0800)
                            .put({8, 0, 0x65, 0x58, 0, 1, 0, 0})
                            .udp(3544, port)
                            .ipv4("192.0.2.1", "192.0.2.2", 17)
                            .ethernet(0x0800));
    seeds.push_back(plain_udp().put({0x30, 1, 0x88, 0xbe, 0, 0, 0, 1}).ipv4("1.1.1.1", "2.2.2.2", 47).ethernet(0x0800));
    seeds.push_back(plain_udp().put({0, 1, 0x11, 64}).ethernet(0x8847));

    std::mt19937 random{20};
    std::size_t with_ip = 0;
    for (int round = 0; round != 200'000; ++round) {
        auto bytes = seeds[random() % seeds.size()].bytes();
        for (auto n = random() % 4; n != 0; --n)
            bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
        if (random() % 4 == 0)
            bytes.resize(random() % (bytes.size() + 1));
        std::vector<std::uint8_t> const exact(bytes.begin(), bytes.end());
        nr::packet_view view;
        view.data = std::as_bytes(std::span{exact});
        view.wire_length = static_cast<std::uint32_t>(random() % 3 == 0 ? random() % 3000 : exact.size());
        static constexpr nr::link_type links[] = {nr::link_type::ethernet,  nr::link_type::raw_ip,
                                                  nr::link_type::linux_sll, nr::link_type::null_loopback,
                                                  nr::link_type::loop,      nr::link_type::linux_sll2};
        view.link = random() % 4 == 0 ? links[random() % 6] : nr::link_type::ethernet;
        auto const h = decoded(view);
        with_ip += h.has_ip() ? 1 : 0;
        auto const payload = h.payload();
        if (!payload.empty()) {
            BOOST_REQUIRE(payload.data() + payload.size() <= view.data.data() + view.data.size());
            BOOST_REQUIRE(payload.data() >= view.data.data());
        }
        BOOST_REQUIRE(h.payload_length <= std::max<std::size_t>(view.wire_length, exact.size()));
        auto const options = h.tcp_options();
        BOOST_REQUIRE(options.empty() || options.data() + options.size() <= view.data.data() + view.data.size());
    }
    BOOST_TEST(with_ip > 100'000u);
}
