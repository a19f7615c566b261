#include "decode/craft.hpp"
#include "pcap/files.hpp"
#include <netring_asio/afpacket/rx_ring.hpp>
#include <netring_asio/decode/decoder.hpp>
#include <netring_asio/flow/dedup.hpp>
#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/pcap/reader.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <lab/allocations.hpp>
#include <lab/lab.hpp>
#include <map>
#include <random>
#include <set>

namespace nr = netring_asio;
namespace flow = netring_asio::flow;
using namespace std::chrono_literals;

namespace {

constexpr nr::timestamp epoch{std::chrono::seconds{1'700'000'000}};

struct sight {
    std::chrono::nanoseconds at{};
    int interface_index = 1;
    nr::direction direction = nr::direction::host;
    nr::vlan_tag vlan{};
};

nr::packet_view seen(test::craft const& frame, sight const& s) {
    auto view = frame.view();
    view.time = epoch + s.at;
    view.interface_index = s.interface_index;
    view.direction = s.direction;
    view.vlan = s.vlan;
    return view;
}

test::craft udp(std::string_view payload = "hello", unsigned hop_limit = 64, unsigned mac = 1) {
    test::craft frame{payload};
    frame.udp(1000, 53).ipv4("10.0.0.1", "10.0.0.2", 17);
    frame.bytes()[8] = static_cast<std::uint8_t>(hop_limit);
    frame.bytes()[10] = static_cast<std::uint8_t>(hop_limit + 7); // stands for a checksum
    frame.ethernet(0x0800);
    frame.bytes()[5] = static_cast<std::uint8_t>(mac);
    return frame;
}

constexpr sight out{0ms, 1, nr::direction::outgoing};
constexpr sight in{0ms, 1, nr::direction::host};

} // namespace

BOOST_AUTO_TEST_CASE(twins_of_loopback_whatever_their_type) {
    for (auto const type : {nr::direction::host, nr::direction::multicast, nr::direction::broadcast}) {
        flow::dedup dedup;
        auto const frame = udp();
        sight const other{1ms, 1, type};
        BOOST_TEST(dedup(seen(frame, out)));
        BOOST_TEST(!dedup(seen(frame, other)));
        BOOST_TEST(dedup.statistics().copies == 1u);
    }
}

BOOST_AUTO_TEST_CASE(the_same_again_is_a_transmission_of_its_own) {
    flow::dedup dedup;
    auto const frame = udp();
    BOOST_TEST(dedup(seen(frame, out)));
    BOOST_TEST(dedup(seen(frame, out))); // retransmitted before the first came in
    BOOST_TEST(!dedup(seen(frame, in)));
    BOOST_TEST(!dedup(seen(frame, in)));
    BOOST_TEST(dedup(seen(frame, in))); // one that was not seen going out
    BOOST_TEST(!dedup(seen(frame, out)));
}

BOOST_AUTO_TEST_CASE(every_byte_is_compared) {
    flow::dedup dedup;
    auto frame = udp();
    BOOST_TEST(dedup(seen(frame, out)));
    frame.bytes().back() ^= 1;
    BOOST_TEST(dedup(seen(frame, in)));
    auto cut = seen(frame, out);
    cut.data = cut.data.first(30);
    BOOST_TEST(dedup(cut));
    cut.direction = nr::direction::host;
    cut.wire_length += 1; // the same start of another packet
    BOOST_TEST(dedup(cut));
}

BOOST_AUTO_TEST_CASE(copies_come_within_the_window) {
    flow::dedup dedup{flow::dedup_options{}.window(10ms)};
    auto const frame = udp();
    BOOST_TEST(dedup(seen(frame, {0ms, 1})));
    BOOST_TEST(!dedup(seen(frame, {10ms, 2})));
    BOOST_TEST(dedup(seen(frame, {21ms, 3})));
    BOOST_TEST(!dedup(seen(frame, {15ms, 1}))); // stamps that go back
    BOOST_TEST(dedup(seen(frame, {1h, 4})));    // one wild stamp
    BOOST_TEST(dedup(seen(frame, {30ms, 1})));  // costs no more than what was remembered
    BOOST_TEST(!dedup(seen(frame, {31ms, 2})));
}

BOOST_AUTO_TEST_CASE(routed_copies) {
    auto const near = udp("hello", 64, 1);
    auto const far = udp("hello", 63, 2);
    flow::dedup strict;
    BOOST_TEST(strict(seen(near, {0ms, 1})));
    BOOST_TEST(strict(seen(far, {0ms, 1})));
    flow::dedup half{flow::dedup_options{}.ignore_hop_limit(true)};
    BOOST_TEST(half(seen(near, {0ms, 1})));
    BOOST_TEST(half(seen(far, {0ms, 1})));
    flow::dedup tolerant{flow::dedup_options{}.ignore_hop_limit(true).ignore_mac(true)};
    BOOST_TEST(tolerant(seen(near, {0ms, 1})));
    BOOST_TEST(!tolerant(seen(far, {0ms, 1})));
    BOOST_TEST(tolerant(seen(near, {1ms, 1}))); // a retransmission, and its copy
    BOOST_TEST(!tolerant(seen(far, {1ms, 1})));
    BOOST_TEST(tolerant(seen(udp("hellO", 63, 2), {1ms, 1})));
}

BOOST_AUTO_TEST_CASE(tags_in_and_beside_the_frame) {
    auto const plain = udp();
    test::craft tagged{"hello"};
    tagged.udp(1000, 53).ipv4("10.0.0.1", "10.0.0.2", 17);
    tagged.bytes()[8] = 64;
    tagged.bytes()[10] = 71;
    tagged.vlan(5, 0x0800).ethernet(0x8100).pad(4);
    tagged.bytes()[5] = 1;
    sight const beside{0ms, 2, nr::direction::host, {0x8100, 5}};
    flow::dedup strict;
    BOOST_TEST(strict(seen(tagged, {0ms, 1})));
    BOOST_TEST(strict(seen(plain, {0ms, 2})));
    auto unpadded = tagged;
    unpadded.bytes().resize(unpadded.size() - 4);
    BOOST_TEST(strict(seen(unpadded, {0ms, 1})));
    BOOST_TEST(!strict(seen(plain, beside))); // the kernel took the tag out
    flow::dedup tolerant{flow::dedup_options{}.ignore_vlan(true)};
    BOOST_TEST(tolerant(seen(tagged, {0ms, 1})));
    BOOST_TEST(!tolerant(seen(plain, {0ms, 1})));
    BOOST_TEST(!tolerant(seen(plain, beside)));
}

BOOST_AUTO_TEST_CASE(a_mirror_that_hands_out_twice) {
    flow::dedup dedup{flow::dedup_options{}.identical_copies(2)};
    auto const frame = udp();
    std::vector<bool> kept;
    for (int i = 0; i != 6; ++i)
        kept.push_back(dedup(seen(frame, in)));
    BOOST_TEST((kept == std::vector<bool>{true, false, true, false, true, false}));
}

BOOST_AUTO_TEST_CASE(bounds_hold) {
    flow::dedup dedup{flow::dedup_options{}.window(1h).max_packets(1000)};
    for (int i = 0; i != 5000; ++i)
        BOOST_REQUIRE(dedup(seen(udp(std::to_string(i)), out)));
    BOOST_TEST(dedup.statistics().forgotten == 4000u);
    BOOST_TEST(dedup(seen(udp("3999"), in)));
    BOOST_TEST(!dedup(seen(udp("4999"), in)));

    flow::dedup small{flow::dedup_options{}.window(1h).max_bytes(1)}; // 128 KiB
    for (int i = 0; i != 5000; ++i)
        BOOST_REQUIRE(small(seen(udp(std::string(1400, 'x') + std::to_string(i)), out)));
    BOOST_TEST(!small(seen(udp(std::string(1400, 'x') + "4999"), in)));
    BOOST_TEST(small(seen(udp(std::string(1400, 'x') + "4000"), in)));
    BOOST_TEST(small(seen(udp(std::string(100'000, 'y')), out))); // too large to be remembered
    BOOST_TEST(small(seen(udp(std::string(100'000, 'y')), in)));
}

// Of equal packets as many are kept as the point saw that saw most of them.
BOOST_AUTO_TEST_CASE(what_one_point_saw_is_never_lost) {
    std::mt19937 random{4};
    for (int round = 0; round != 3000; ++round) {
        bool const tiny = round % 3 == 0;
        flow::dedup dedup{flow::dedup_options{}.window(1h).max_packets(tiny ? 3 : 1000)};
        std::map<std::pair<int, int>, int> by_point; // content, interface
        std::map<int, int> kept;
        for (auto n = random() % 60; n != 0; --n) {
            auto const content = static_cast<int>(random() % 3);
            auto const point = static_cast<int>(random() % 4);
            ++by_point[{content, point}];
            kept[content] += dedup(seen(udp(std::to_string(content)), {0ms, point})) ? 1 : 0;
        }
        for (auto const& [content, count] : kept) {
            int most = 0;
            for (int point = 0; point != 4; ++point)
                most = std::max(most, by_point[{content, point}]);
            if (tiny)
                BOOST_REQUIRE(count >= most);
            else
                BOOST_REQUIRE(count == most);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_tracker_counts_copies_once) {
    flow::tracker tracker{flow::five_tuple{}, flow::tracker_options{}.deduplicating(flow::dedup_options{})};
    auto const frame = udp();
    std::vector<nr::packet_view> const packets{seen(frame, out), seen(frame, in), seen(frame, out), seen(frame, in)};
    std::vector<flow::event> events;
    tracker.track(packets, events);
    tracker.flush(events);
    BOOST_TEST(events.back().stats.packets() == 2u);
    BOOST_TEST(tracker.statistics().packets == 2u);
    BOOST_TEST(tracker.statistics().copies == 2u);
}

BOOST_AUTO_TEST_CASE(nothing_is_allocated_per_packet) {
    flow::dedup dedup{flow::dedup_options{}.ignore_vlan(true).ignore_hop_limit(true)};
    std::vector<test::craft> frames;
    for (int i = 0; i != 1000; ++i)
        frames.push_back(udp(std::to_string(i)));
    auto const pass = [&] {
        for (auto const& frame : frames) {
            dedup(seen(frame, out));
            dedup(seen(frame, in));
        }
    };
    pass();
    auto const allocations = lab::allocation_counter::of(pass);
    BOOST_TEST(allocations == 0u);
}

// Each packet of every capture, as a mirror behind a router would show it once more.
BOOST_AUTO_TEST_CASE(traces_seen_twice_are_the_traces, *files::has_traces()) {
    std::uint64_t packets = 0;
    std::uint64_t dropped_alone = 0;
    std::uint64_t routed = 0; // captures that have both sides of a router
    std::uint64_t copies_missed = 0;
    nr::decode::decoder const outermost{nr::decode::decoder_options{}.max_tunnels(0)};
    for (auto const& [file, count] : files::traces()) {
        nr::error_code error;
        nr::pcap::reader reader;
        reader.open(nr::pcap::reader_options{file}, error);
        nr::packet_batch batch;
        flow::dedup alone;
        flow::dedup mirrored{flow::dedup_options{}.ignore_hop_limit(true).ignore_mac(true)};
        std::vector<std::byte> copy;
        while (!error && reader.read(batch, error) != 0)
            for (auto packet : batch) {
                ++packets;
                packet.interface_index = 1;
                dropped_alone += alone(packet) ? 0 : 1;
                bool const first = mirrored(packet);
                routed += first ? 0 : 1;
                copy.assign(packet.data.begin(), packet.data.end());
                nr::decode::headers h;
                if (outermost(packet, h) && h.has_ethernet && h.ip_version == 4) {
                    copy[0] = copy[6] = std::byte{0x42};
                    copy[h.ip_offset + 8] = static_cast<std::byte>(h.hop_limit - 1);
                    copy[h.ip_offset + 10] ^= std::byte{0x55};
                }
                packet.data = copy;
                packet.interface_index = 2;
                copies_missed += mirrored(packet) ? 1 : 0;
            }
    }
    BOOST_TEST(packets > 30'000u);
    BOOST_TEST(routed < 10u);
    BOOST_TEST(dropped_alone == 0u);
    BOOST_TEST(copies_missed <= routed);
    BOOST_TEST_MESSAGE("figure: " << packets << " packets of the traces kept, " << packets - copies_missed
                                  << " copies with other MAC addresses and hop limits dropped");
}

BOOST_AUTO_TEST_CASE(live_on_loopback, *lab::available()) {
    lab::network const net;
    net.run({"ip", "route", "add", "239.0.0.0/8", "dev", "lo"});
    net.run({"ip", "link", "set", "lo", "multicast", "on"});
    nr::afpacket::rx_ring ring;
    net.enter([&] { ring.open(nr::capture_options{"lo"}.block_timeout(1ms)); });
    auto const script = R"(
import socket, struct
r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r.bind(('', 5000))
r.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('239.1.1.1') + socket.inet_aton('127.0.0.1'))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: do not fragment, so no identification either
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('127.0.0.1'))
for to in '127.0.0.1', '239.1.1.1', '127.255.255.255':
    for i in range(50):
        s.sendto(b'always the same', (to, 5000))
        s.sendto(b'number %d' % i, (to, 5000))
p = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); p.bind(('lo', 0))
for to in b'\x01\x00\x5e\x01\x01\x01', b'\xff' * 6:
    for i in range(100):
        p.send(to + b'\x00' * 6 + b'\x88\xb5' + b'always the same')
l = socket.socket(); l.bind(('127.0.0.1', 6000)); l.listen()
c = socket.create_connection(('127.0.0.1', 6000)); a = l.accept()[0]
for i in range(50):
    c.sendall(b'x' * 1000); assert len(a.recv(1000, socket.MSG_WAITALL)) == 1000
c.close(); a.close()
)";
    net.run({"python3", "-c", script});
    flow::dedup dedup{flow::dedup_options{}.window(1s)};
    nr::packet_batch batch;
    nr::error_code error;
    std::map<nr::direction, unsigned> types;
    std::set<std::string> same;
    std::uint64_t kept = 0;
    unsigned equal = 0;
    while (ring.receive(batch, 200ms, error) != 0)
        for (auto const packet : batch) {
            ++types[packet.direction];
            if (!dedup(packet))
                continue;
            ++kept;
            equal += same.insert(files::text(packet.data)).second ? 0 : 1;
        }
    auto const counts = net.run({"cat", "/proc/net/dev"});
    std::uint64_t transmitted = 0;
    std::istringstream fields{counts.substr(counts.find("lo:") + 3)};
    for (int i = 0; i != 10; ++i)
        fields >> transmitted;
    BOOST_TEST(ring.statistics().dropped == 0u);
    BOOST_TEST(transmitted >= 350u);
    BOOST_TEST(dedup.statistics().packets == 2 * transmitted);
    BOOST_TEST(kept == transmitted);
    BOOST_TEST(equal >= 100u); // retransmissions with the same bytes are among them, and kept
    BOOST_TEST(types[nr::direction::outgoing] == transmitted);
    BOOST_TEST(types[nr::direction::multicast] == 200u); // lo knows no broadcast address
    BOOST_TEST_MESSAGE("figure: " << dedup.statistics().packets << " packets captured on lo, " << kept << " kept, "
                                  << transmitted << " sent by the kernel's count, " << equal
                                  << " of them with the same bytes as another");
}
