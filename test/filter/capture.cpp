#include <netring_asio/afpacket/rx_ring.hpp>
#include <netring_asio/filter.hpp>
#include <netring_asio/packet/owned_packet.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <filter/frames.hpp>
#include <filter/sender.hpp>
#include <lab/lab.hpp>
#include <string>
#include <vector>

namespace nr = netring_asio;
using namespace std::chrono_literals;

namespace {

bool same(nr::owned_packet const& left, nr::owned_packet const& right) {
    return left->vlan == right->vlan && left->wire_length == right->wire_length &&
           std::ranges::equal(left->data, right->data);
}

nr::afpacket::rx_ring open_ring(lab::network const& where, std::string interface, std::string expression,
                                std::uint32_t snap_length) {
    nr::afpacket::rx_ring ring;
    where.enter([&] {
        ring.open(nr::capture_options{std::move(interface)}
                      .block_size(256 << 10)
                      .block_count(32)
                      .block_timeout(1ms)
                      .filter(std::move(expression))
                      .snap_length(snap_length));
    });
    return ring;
}

std::vector<nr::owned_packet> drain(nr::afpacket::rx_ring& ring) {
    std::vector<nr::owned_packet> packets;
    nr::packet_batch batch;
    nr::error_code ec;
    while (ring.receive(batch, 50ms, ec) != 0)
        for (auto const packet : batch)
            packets.emplace_back(packet);
    return packets;
}

/// What a capture with a filter delivers is what the filter leaves of what one without delivers.
void compare(std::string const& interface, std::vector<std::string> const& expressions) {
    lab::pair const pair;
    frames::sender const send{pair.left};
    auto const all = frames::all();
    auto unfiltered = open_ring(pair.right, interface, "", nr::filter::whole_packet);
    for (auto const& expression : expressions)
        for (auto const snap_length : {nr::filter::whole_packet, 40U}) {
            auto filtered = open_ring(pair.right, interface, expression, snap_length);
            send(all);
            nr::filter const wanted{expression, filtered.link(), snap_length};
            std::vector<nr::owned_packet> expected;
            for (auto const& packet : drain(unfiltered))
                if (auto view = packet.view(); wanted.apply(view))
                    expected.emplace_back(view);
            auto const got = drain(filtered);
            BOOST_TEST(!expected.empty(), expression);
            BOOST_TEST(std::ranges::equal(got, expected, same), expression << ", snap length " << snap_length << ": "
                                                                           << got.size() << " instead of "
                                                                           << expected.size());
        }
}

} // namespace

BOOST_AUTO_TEST_CASE(an_interface_delivers_what_the_filter_means, *lab::available()) {
    compare("right", {"udp", "vlan 5", "vlan 5 and udp", "not vlan", "len > 100", "ip6 protochain 17",
                      "not ip6 protochain 17", "ip protochain 6 or ether[60] & 1 = 1"});
}

BOOST_AUTO_TEST_CASE(all_interfaces_deliver_what_the_filter_means, *lab::available()) {
    compare("any", {"udp", "not udp", "ip6", "link[55] > 0", "link[12] = 2 and link[55] > 0", "ip6 protochain 17"});
}

BOOST_AUTO_TEST_CASE(a_filter_that_the_kernel_cannot_decide_is_replaced_and_replaces, *lab::available()) {
    lab::pair const pair;
    frames::sender const send{pair.left};
    auto const all = frames::all();
    auto ring = open_ring(pair.right, "right", "arp", nr::filter::whole_packet);
    for (std::string const expression : {"ip6 protochain 17", "vlan 5 and udp", "ip protochain 6", "not vlan"}) {
        send(all);
        ring.set_filter(expression);
        nr::filter const wanted{expression};
        // What the old filter let through and the new one wants, and then all that the new one wants.
        for (int round = 0; round != 3; ++round) {
            auto const got = drain(ring);
            BOOST_TEST(std::ranges::all_of(got, [&](auto const& packet) { return wanted.matches(packet); }),
                       expression);
            auto const wanted_now = std::ranges::count_if(
                all, [&](auto const& frame) { return wanted.matches(frames::view_of(frame.data)); });
            if (round != 0)
                BOOST_TEST(std::ssize(got) == wanted_now, expression);
            send(all);
        }
        drain(ring);
    }
}
