#include "traffic.hpp"

#include <lab/tagging.hpp>
#include <sstream>
#include <vector>

BOOST_AUTO_TEST_SUITE(forwarding, *lab::available())

BOOST_AUTO_TEST_CASE(ping) {
    between const hosts;
    running_bridge bridge{hosts};
    BOOST_TEST(answered(hosts.here(), {}) == 20);
    BOOST_TEST(answered(hosts.here(), {"-s", "1472", "-M", "do"}) == 20);
    BOOST_TEST((bridge.stop() == net::error::operation_aborted));
    auto const statistics = bridge.statistics();
    BOOST_TEST(statistics.left_to_right.forwarded == statistics.left_to_right.received);
    BOOST_TEST(statistics.left_to_right.received == hosts.in().counters().rx_packets);
    BOOST_TEST(statistics.left_to_right.forwarded == hosts.there().counters().rx_packets);
    BOOST_TEST(statistics.right_to_left.forwarded == hosts.here().counters().rx_packets);
}

BOOST_AUTO_TEST_CASE(tagged_ping, *lab::real_root()) {
    std::vector<lab::tag> const one{{0x8100, 3 << 13 | 5}};
    std::vector<lab::tag> const two{{0x8100, 7}, {0x88a8, 9}};
    for (auto const& tags : {one, two}) {
        between const hosts;
        lab::tagging const here{hosts.here(), tags};
        lab::tagging const there{hosts.there(), tags};
        running_bridge bridge{hosts};
        BOOST_TEST(answered(hosts.here(), {}) == 20);
    }
}

namespace {

std::string tell(nr::bridge_direction_statistics const& direction) {
    std::ostringstream text;
    text << direction.forwarded << " of " << direction.received << " frames forwarded, too long " << direction.too_long
         << ", lost " << direction.lost << ", rejected " << direction.rejected;
    return text.str();
}

} // namespace

namespace {

nr::bridge_statistics tcp_goes_through(between const& hosts, std::uint64_t bytes, std::size_t download_megabytes,
                                       char const* how) {
    running_bridge bridge{hosts};
    auto const megabits = transfer(hosts, std::to_string(bytes));
    BOOST_TEST(download_is_equal(hosts, download_megabytes));
    bridge.stop();
    auto const statistics = bridge.statistics();
    BOOST_TEST_MESSAGE("figure: " << how << ": " << bytes << " bytes by iperf3 at " << megabits << " Mbit/s, "
                                  << download_megabytes << " MiB over HTTP with equal checksum; there "
                                  << tell(statistics.left_to_right) << "; back " << tell(statistics.right_to_left));
    // Frames of up to 64 KiB went through whole.
    BOOST_TEST(statistics.left_to_right.forwarded < bytes / 1448 / 4);
    BOOST_TEST(statistics.left_to_right.too_long == 0U);
    BOOST_TEST(statistics.left_to_right.unsupported_offload == 0U);
    return statistics;
}

void tcp_at_all_mtus(std::uint64_t bytes, std::size_t download_megabytes) {
    tcp_goes_through(between{}, bytes, download_megabytes, "offloads of veth");
    tcp_goes_through(between{9000, 1400}, bytes / 4, download_megabytes, "MTU 9000 and 1400");
    tcp_goes_through(between{1280, 1500}, bytes / 4, download_megabytes, "MTU 1280 and 1500");
}

void tagged_tcp(std::uint64_t bytes, std::size_t download_megabytes) {
    std::vector<lab::tag> const one{{0x8100, 3 << 13 | 5}};
    std::vector<lab::tag> const two{{0x8100, 7}, {0x88a8, 9}};
    for (auto const& [tags, how] : {std::pair{one, "802.1Q tag"}, std::pair{two, "802.1ad and 802.1Q tags"}}) {
        // A tag of 802.1Q may go beyond the MTU, a second one not.
        between const hosts{1500, 1400};
        if (tags.size() == 2) {
            hosts.here().run({"ip", "route", "replace", "10.77.0.0/24", "dev", "here0", "mtu", "1492"});
            hosts.there().run({"ip", "route", "replace", "10.77.0.0/24", "dev", "there0", "mtu", "1392"});
        }
        lab::tagging const here{hosts.here(), tags};
        lab::tagging const there{hosts.there(), tags};
        tcp_goes_through(hosts, bytes, download_megabytes, how);
    }
}

} // namespace

BOOST_AUTO_TEST_CASE(tcp) { tcp_at_all_mtus(50'000'000, 8); }
BOOST_AUTO_TEST_CASE(tcp_with_tags, *lab::real_root()) { tagged_tcp(20'000'000, 8); }
BOOST_AUTO_TEST_CASE(a_gigabyte_of_tcp, *boost::unit_test::disabled()) { tcp_at_all_mtus(1'000'000'000, 256); }
BOOST_AUTO_TEST_CASE(a_gigabyte_of_tcp_with_tags, *boost::unit_test::disabled() * lab::real_root()) {
    tagged_tcp(1'000'000'000, 256);
}

BOOST_AUTO_TEST_CASE(pings_too_long_for_the_other_side_are_dropped_and_counted) {
    between const hosts{1500, 1400};
    running_bridge bridge{hosts};
    BOOST_TEST(answered(hosts.here(), {"-s", "1372", "-M", "do"}) == 20);
    BOOST_TEST(answered(hosts.here(), {"-s", "1373", "-M", "do"}) == 0);
    bridge.stop();
    BOOST_TEST(bridge.statistics().left_to_right.too_long == 20U);
}

namespace {

/// A tunnel between the two hosts: 10.78.0.1 and 10.78.0.2.
void add_vxlan(between const& hosts, std::string const& how) {
    auto const add = [&](lab::side const& at, std::string const& own, std::string const& other) {
        at.run({"sh", "-c",
                "ip link add t0 type vxlan id 1 remote 10.77.0." + other + " dev " + at.name() + " " + how +
                    " && ip addr add 10.78.0." + own + "/24 dev t0 && ip link set t0 up"});
    };
    add(hosts.here(), "1", "2");
    add(hosts.there(), "2", "1");
}

} // namespace

BOOST_AUTO_TEST_CASE(tcp_in_tunnels) {
    for (std::string const how : {"dstport 4789 udpcsum", "dstport 8472 noudpcsum"}) {
        between const hosts;
        add_vxlan(hosts, how);
        running_bridge bridge{hosts};
        auto const megabits = transfer(hosts, "10000000", {"-c", "10.78.0.2"});
        bridge.stop();
        auto const statistics = bridge.statistics().left_to_right;
        BOOST_TEST_MESSAGE("figure: VXLAN, " << how << ": 10000000 bytes by iperf3 at " << megabits << " Mbit/s, "
                                             << statistics.segmented << " of " << statistics.forwarded
                                             << " frames cut into segments by the bridge");
        BOOST_TEST(statistics.segmented > 100U);
        BOOST_TEST(statistics.forwarded == statistics.received);
    }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_cut_is_refused_and_told) {
    between const hosts;
    add_vxlan(hosts, "dstport 5000"); // nobody would take it for VXLAN
    std::uint64_t told = 0;
    auto options = between::options();
    options.on_drop([&](nr::bridge_side from, nr::packet_view const& packet, nr::error_code why) {
        told += from == nr::bridge_side::left && packet.offload.type == nr::gso_type::tcp_ipv4 &&
                why == nr::error::invalid_offload;
    });
    running_bridge bridge{hosts, options};
    auto server = hosts.there().start({"iperf3", "-s", "-1", "--forceflush"});
    BOOST_REQUIRE(server.wait_for_output("Server listening", 10s));
    hosts.here().run({"sh", "-c", "timeout 1 iperf3 -c 10.78.0.2 || true"});
    bridge.stop();
    BOOST_TEST(told != 0U);
    BOOST_TEST(bridge.statistics().left_to_right.unsupported_offload == told);
}

BOOST_AUTO_TEST_SUITE_END()
