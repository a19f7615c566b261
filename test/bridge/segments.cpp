#include <netring_asio/detail/offload.hpp>
#include <netring_asio/detail/segmenter.hpp>
#include <netring_asio/pcap/writer.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstdio>
#include <decode/craft.hpp>
#include <lab/lab.hpp>
#include <numeric>
#include <string>
#include <vector>

#include <unistd.h>

namespace {

namespace nr = netring_asio;
using nr::detail::segmenter;
using test::craft;

constexpr std::size_t payload_size = 3'500;
constexpr std::uint16_t segment_size = 1'000;

craft tcp() {
    craft frame{payload_size};
    std::iota(frame.bytes().begin(), frame.bytes().end(), std::uint8_t{0});
    return frame.tcp(1000, 80, 0x99, 0xfffffc00); // reduced window, push, fin; the sequence number wraps
}
craft inner() { return tcp().ipv4("10.0.0.1", "10.0.0.2", 6); }

/// What the kernel says of it: the checksum is unfinished, the segments are of that size.
nr::packet_view described(craft const& frame, std::size_t transport, nr::gso_type type = nr::gso_type::tcp_ipv4) {
    auto view = frame.view();
    view.checksum = nr::checksum_state::partial;
    view.offload = {.type = type,
                    .segment_size = segment_size,
                    .checksum_start = static_cast<std::uint16_t>(transport),
                    .checksum_offset = static_cast<std::uint16_t>(type == nr::gso_type::udp_l4 ? 6 : 16)};
    return view;
}

struct file {
    std::string name = "/tmp/netring_segments_" + std::to_string(::getpid()) + ".pcap";
    ~file() { std::remove(name.c_str()); }
};

std::size_t occurrences(std::string const& text, std::string const& part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

/// What tcpdump says of the segments.
std::string observed(nr::packet_view const& frame) {
    file const written;
    nr::pcap::writer writer{nr::pcap::writer_options{written.name}};
    segmenter segments;
    BOOST_REQUIRE(segments.begin(frame));
    std::size_t payload = 0;
    for (; !segments.done(); segments.next()) {
        auto const& segment = segments.segment();
        BOOST_TEST((segment.checksum != nr::checksum_state::partial));
        BOOST_TEST((segment.offload == nr::offload_info{}));
        payload += std::min<std::size_t>(segment_size, payload_size - payload);
        writer.write(segment);
    }
    BOOST_TEST(payload == payload_size);
    writer.close();
    return lab::network{}.run({"tcpdump", "-nvvSr", written.name});
}

} // namespace

BOOST_AUTO_TEST_SUITE(segments, *lab::available())

BOOST_AUTO_TEST_CASE(of_tcp_in_every_tunnel) {
    struct tunnel {
        std::string name;
        craft frame;
        std::size_t transport;
        std::size_t sums; ///< of IPv4 headers in a segment
    };
    auto const bridged = [] { return inner().ethernet(0x0800); };
    auto const outer = [](craft frame, unsigned protocol) {
        return frame.ipv4("10.1.0.1", "10.1.0.2", protocol, 0x4000, 77).ethernet(0x0800);
    };
    auto const vxlan = [&] { return bridged().put({8, 0, 0, 0, 0, 0, 1, 0}).udp(1000, 4789); };
    auto summed = vxlan();
    summed.bytes()[6] = 1; // it has a checksum
    auto const geneve = [&] { return bridged().put({1, 0, 0x65, 0x58, 0, 0, 1, 0, 1, 2, 3, 0}).udp(1000, 6081); };
    std::vector<tunnel> const tunnels{
        {"none", inner().ethernet(0x0800), 34, 1},
        {"IPv6", tcp().ipv6("fd00::1", "fd00::2", 6).ethernet(0x86dd), 54, 0},
        {"IPv4 in IPv4", outer(inner(), 4), 54, 2},
        {"IPv6 in IPv4", outer(tcp().ipv6("fd00::1", "fd00::2", 6), 41), 74, 1},
        {"IPv4 in IPv6", inner().ipv6("fd00::1", "fd00::2", 4).ethernet(0x86dd), 74, 1},
        {"GRE", outer(inner().put({0, 0, 8, 0}), 47), 58, 2},
        {"GRE with a key, bridged", outer(bridged().put({0x20, 0, 0x65, 0x58, 0, 0, 0, 5}), 47), 76, 2},
        {"VXLAN", outer(vxlan(), 17), 84, 2},
        {"VXLAN with a checksum", outer(summed, 17), 84, 2},
        {"VXLAN in IPv6 with a checksum", summed.ipv6("fd00::1", "fd00::2", 17).ethernet(0x86dd), 104, 1},
        {"Geneve with an option", outer(geneve(), 17), 88, 2},
        {"a tag in the tunnel",
         outer(inner().vlan(5, 0x0800).ethernet(0x8100).put({8, 0, 0, 0, 0, 0, 1, 0}).udp(1000, 4789), 17), 88, 2},
    };
    for (auto const& [name, frame, transport, sums] : tunnels)
        BOOST_TEST_CONTEXT(name) {
            auto const text = observed(described(frame, transport));
            BOOST_TEST(occurrences(text, "(correct), seq ") == 4U, text);
            BOOST_TEST(occurrences(text, "seq 4294966272:4294967272") == 1U);
            BOOST_TEST(occurrences(text, "seq 4294967272:976") == 1U);
            BOOST_TEST(occurrences(text, "seq 976:1976") == 1U);
            BOOST_TEST(occurrences(text, "seq 1976:2476") == 1U);
            BOOST_TEST(occurrences(text, "Flags [FP.]") == 1U);
            BOOST_TEST(occurrences(text, "Flags [.W]") == 1U);
            BOOST_TEST(occurrences(text, "bad cksum") == 0U, text);
            BOOST_TEST(occurrences(text, "bad udp") == 0U, text);
            BOOST_TEST(occurrences(text, "udp sum ok") == (name.ends_with("checksum") ? 4U : 0U));
            BOOST_TEST(occurrences(text, "proto ") == 4 * sums);
            BOOST_TEST(occurrences(text, "truncated") == 0U);
        }
}

BOOST_AUTO_TEST_CASE(of_udp_in_a_tunnel) {
    auto const frame = craft{payload_size}
                           .udp(1000, 2000)
                           .ipv4("10.0.0.1", "10.0.0.2", 17)
                           .ipv4("10.1.0.1", "10.1.0.2", 4)
                           .ethernet(0x0800);
    auto const text = observed(described(frame, 54, nr::gso_type::udp_l4));
    BOOST_TEST(occurrences(text, "udp sum ok] UDP, length 1000") == 3U, text);
    BOOST_TEST(occurrences(text, "udp sum ok] UDP, length 500") == 1U);
    BOOST_TEST(occurrences(text, "bad cksum") == 0U);
}

BOOST_AUTO_TEST_CASE(are_not_made_of_what_is_not_understood) {
    segmenter segments;
    auto const outer = [](craft frame, unsigned protocol) {
        return frame.ipv4("10.1.0.1", "10.1.0.2", protocol).ethernet(0x0800);
    };
    auto const refused = [&](craft const& frame, std::size_t transport, nr::gso_type type = nr::gso_type::tcp_ipv4) {
        auto view = described(frame, transport, type);
        bool const begun = segments.begin(view);
        // Cut off anywhere it does no harm.
        for (std::size_t size = 0; size != std::min<std::size_t>(frame.size(), 120); ++size) {
            view.data = view.data.first(std::min(size, view.data.size()));
            if (segments.begin(view))
                while (!segments.done())
                    segments.next();
            view = described(frame, transport, type);
        }
        return !begun && segments.done();
    };
    BOOST_TEST(refused(outer(inner().put({0x80, 0, 8, 0, 1, 2, 0, 0}), 47), 62)); // GRE with a checksum
    BOOST_TEST(refused(outer(inner().put({0x10, 0, 8, 0, 0, 0, 0, 1}), 47), 62)); // and numbers
    BOOST_TEST(refused(outer(inner().ethernet(0x0800).put({8, 0, 0, 0, 0, 0, 1, 0}).udp(1, 5000), 17), 84));
    BOOST_TEST(refused(inner().ethernet(0x0800), 35));
    BOOST_TEST(refused(inner().ethernet(0x0800), 34, nr::gso_type::udp_l4));
    BOOST_TEST(refused(inner().ethernet(0x0800), 34, nr::gso_type::tcp));
    BOOST_TEST(refused(inner().ethernet(0x1234), 34));
    BOOST_TEST(refused(tcp().ipv4("10.0.0.1", "10.0.0.2", 6, 0x2000).ethernet(0x0800), 34)); // a fragment
    auto without_length = inner().ethernet(0x0800);
    without_length.bytes()[46] = 0; // of the TCP header
    BOOST_TEST(refused(without_length, 34));
    BOOST_TEST(!refused(inner().ethernet(0x0800), 34));
}

BOOST_AUTO_TEST_SUITE_END()
