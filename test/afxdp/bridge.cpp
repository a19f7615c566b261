#include "../bridge/traffic.hpp"
#include <netring_asio/xdp_bridge.hpp>

#include <boost/asio/system_executor.hpp>

#include <algorithm>
#include <functional>
#include <lab/numbered.hpp>
#include <lab/tagging.hpp>
#include <tuple>
#include <vector>

namespace {

nr::xdp_options end(std::string name) { return nr::xdp_options{std::move(name)}.take_everything(); }

nr::xdp_bridge_options cable(bool finish_checksums = false, nr::xdp_attach_mode mode = nr::xdp_attach_mode::automatic) {
    return {end("in0").finish_checksums(finish_checksums).attach_mode(mode),
            end("out0").finish_checksums(finish_checksums).attach_mode(mode)};
}

using running = running_bridge<nr::xdp_bridge>;

void no_offloads(between const& hosts, bool segments) {
    for (auto const& side : {hosts.here(), hosts.there()})
        if (segments)
            side.run({"ethtool", "-K", side.name(), "tx", "off", "tso", "off", "gso", "off"});
        else
            side.run({"ethtool", "-K", side.name(), "tx", "off"});
}

void tcp_crosses(between const& hosts, nr::xdp_bridge_options const& options, std::uint64_t bytes,
                 std::size_t megabytes, char const* how) {
    running bridge{hosts, options};
    BOOST_TEST(answered(hosts.here(), {}) == 20);
    auto const megabits = transfer(hosts, std::to_string(bytes));
    BOOST_TEST(download_is_equal(hosts, megabytes));
    bridge.stop();
    auto const [there, back] = bridge.statistics();
    BOOST_TEST_MESSAGE("figure: " << how << ": 20 pings; " << bytes << " bytes by iperf3 at " << megabits << " Mbit/s; "
                                  << megabytes << " MiB over HTTP with equal checksum; there " << there.forwarded
                                  << " of " << there.received << " frames, lost " << there.lost << "; back "
                                  << back.forwarded << " of " << back.received << ", lost " << back.lost);
    BOOST_TEST(there.forwarded == there.received);
    BOOST_TEST(there.forwarded > bytes / 1448 / 2); // iperf3 ends with what is on its way
}

void tcp_in_all_ways(std::uint64_t bytes, std::size_t megabytes, bool each) {
    constexpr auto native = nr::xdp_attach_mode::native, generic = nr::xdp_attach_mode::generic;
    std::vector ways{std::tuple{native, 4U, "native, four queues, tx off at the ends"},
                     std::tuple{generic, 1U, "generic, tx tso gso off at the ends"}};
    if (each) {
        ways.emplace_back(native, 1U, "native, tx off at the ends");
        ways.emplace_back(generic, 4U, "generic, four queues, tx tso gso off at the ends");
    }
    for (auto const& [mode, queues, how] : ways) {
        between const hosts{1500, 1500, queues};
        no_offloads(hosts, mode == generic);
        tcp_crosses(hosts, cable(false, mode), bytes, megabytes, how);
    }
    tcp_crosses(between{}, cable(true), bytes, megabytes, "native, veth's defaults at the ends, checksums finished");
}

} // namespace

BOOST_AUTO_TEST_SUITE(xdp_bridge, *lab::real_root())

BOOST_AUTO_TEST_CASE(frames_go_through_once_in_order_in_place) {
    constexpr std::uint64_t count = 20'000;
    between const hosts;
    lab::numbered_receiver there{hosts.there()}, here{hosts.here()};
    net::io_context context{1};
    auto bridge = hosts.open<nr::xdp_bridge>(context.get_executor(), cable());
    nr::error_code result;
    bridge.async_run([&](nr::error_code ec) { result = ec; });
    std::thread thread{[&] { context.run(); }};
    auto sender = lab::start_sender(hosts.here(), hosts.there(), {.count = count, .size = 1514, .rate = 20'000});
    lab::send_numbered(hosts.there(), hosts.here(), {.count = 1'000, .rate = 20'000});
    auto const arrived = there.receive(count);
    auto const back = here.receive(1'000);
    sender.wait();
    net::post(context, [&] { bridge.cancel(); });
    thread.join();
    BOOST_TEST((result == net::error::operation_aborted));
    BOOST_TEST(arrived.size() == count);
    BOOST_TEST(std::ranges::is_sorted(arrived, std::less_equal<>{}));
    BOOST_TEST(back.size() == 1'000U);
    auto const [right, left] = bridge.statistics();
    BOOST_TEST(right.received == count);
    BOOST_TEST(right.forwarded == count);
    BOOST_TEST(left.forwarded == 1'000U);
    BOOST_TEST(bridge.socket(nr::bridge_side::right).statistics().in_place == count);
    BOOST_TEST(bridge.socket(nr::bridge_side::left).statistics().in_place == 1'000U);
    auto const memory = bridge.socket(nr::bridge_side::left).memory();
    bridge.close();
    BOOST_TEST(memory.ledger().free == memory.ledger().total());
}

BOOST_AUTO_TEST_CASE(a_filter_drops_and_changes_and_tags) {
    between const hosts;
    lab::numbered_receiver receiver{hosts.there()};
    auto options = cable();
    options.filter([](nr::bridge_packet& packet) {
        switch (lab::frame_number(packet->data).value_or(0) % 4) {
        case 1:
            return nr::bridge_verdict::drop;
        case 2:
            packet.resize(100);
            break;
        case 3:
            packet.set_vlan({0x8100, 5});
            break;
        default:
            break;
        }
        return nr::bridge_verdict::forward;
    });
    running bridge{hosts, options};
    auto const before = hosts.there().counters().rx_bytes;
    lab::send_numbered(hosts.here(), hosts.there(), {.count = 400});
    BOOST_TEST(receiver.receive(300).size() == 300U);
    bridge.stop();
    BOOST_TEST(bridge.statistics().left_to_right.filtered == 100U);
    BOOST_TEST(bridge.statistics().left_to_right.forwarded == 300U);
    BOOST_TEST(hosts.there().counters().rx_bytes - before == 100U * (60 + 100 + 64));
    BOOST_TEST(bridge.object().socket(nr::bridge_side::right).statistics().in_place == 100U);
}

BOOST_AUTO_TEST_CASE(tags_beside_the_bytes_cross_with_metadata) {
    between const hosts;
    std::vector<lab::tag> const one{{0x8100, 3 << 13 | 5}};
    lab::tagging const here{hosts.here(), one}, there{hosts.there(), one};
    running bridge{hosts, {end("in0").metadata(true), end("out0").metadata(true)}};
    BOOST_TEST(answered(hosts.here(), {}) == 20);
}

BOOST_AUTO_TEST_CASE(what_is_forwarded_keeps_its_tag) {
    struct tagged_packet final : nr::packet_owner {
        std::array<std::byte, 60> bytes{};
        nr::packet_view view;
        void recycle() noexcept override {}
    } packet;
    packet.bytes[12] = std::byte{lab::numbered_ethertype >> 8};
    packet.bytes[13] = std::byte{lab::numbered_ethertype & 0xff};
    packet.view.data = packet.bytes;
    packet.view.wire_length = 60;
    packet.view.vlan = {0x8100, 5};
    lab::pair const wire;
    net::io_context context{1};
    nr::xdp_socket socket{context};
    wire.right.enter([&] { socket.open(nr::xdp_options{"right"}.nothing()); });
    nr::capture peer{context};
    wire.left.enter([&] { peer.open(nr::capture_options{"left"}.promiscuous(true)); });
    nr::packet_batch batch{std::span{&packet.view, 1}, nr::packet_owner_ptr{&packet}};
    BOOST_TEST(socket.forward(batch) == 1U);
    BOOST_TEST_REQUIRE(peer.receive(batch, 5s) == 1U);
    BOOST_TEST((*batch.begin()).vlan.tci == 5U);

    // Nor does what begins with another header go as if it did not.
    nr::error_code ec;
    packet.view.link = nr::link_type::raw_ip;
    BOOST_TEST(!socket.try_send_packet(packet.view, ec));
    BOOST_TEST((ec == nr::error::unsupported_link_type));
}

BOOST_AUTO_TEST_CASE(tcp) { tcp_in_all_ways(4'000'000, 1, false); }
BOOST_AUTO_TEST_CASE(a_gigabyte_of_tcp, *boost::unit_test::disabled()) { tcp_in_all_ways(1'000'000'000, 256, true); }

BOOST_AUTO_TEST_CASE(with_the_defaults_of_veth_explain_says_what_is_wrong) {
    between const hosts;
    {
        running const generic{hosts, cable(true, nr::xdp_attach_mode::generic)};
        BOOST_TEST(generic.object().explain().find("tso off gso off") != std::string::npos);
    }
    running bridge{hosts, cable()};
    BOOST_TEST(answered(hosts.here(), {}) == 20); // ICMP has no such checksum
    auto client = hosts.here().start({"sh", "-c",
                                      "python3 -c 'import socket; "
                                      "socket.create_connection((\"10.77.0.2\", 9), 1)' 2>/dev/null || true"});
    client.wait();
    auto const words = bridge.object().explain();
    bridge.stop();
    BOOST_TEST(words.find("checksums that a local stack left to the device") != std::string::npos, words);
    BOOST_TEST(words.find("finish_checksums") != std::string::npos, words);
}

BOOST_AUTO_TEST_CASE(a_side_may_go_down_and_up) {
    between const hosts;
    lab::numbered_receiver receiver{hosts.there()};
    auto const waiting = [](std::string name) {
        return end(std::move(name)).on_link_down(nr::link_down_policy::wait_until_up);
    };
    running bridge{hosts, {waiting("in0"), waiting("out0")}};
    auto const send = [&](std::uint64_t first, std::uint64_t expected) {
        lab::send_numbered(hosts.here(), hosts.there(), {.count = 100, .first = first});
        for (int i = 0; i != 500 && bridge.statistics().left_to_right.received != expected; ++i)
            std::this_thread::sleep_for(10ms);
        BOOST_TEST(bridge.statistics().left_to_right.received == expected);
    };
    send(0, 100);
    hosts.out().set_down();
    send(100, 200); // what was in the ring before it was known is sent when it is up
    send(200, 300);
    hosts.out().set_up();
    for (int i = 0; i != 500 && hosts.out().run({"ip", "link", "show", "out0"}).find("LOWER_UP") == std::string::npos;
         ++i)
        std::this_thread::sleep_for(10ms);
    send(300, 400);
    auto const arrived = receiver.receive(400, 300ms);
    BOOST_TEST((bridge.stop() == net::error::operation_aborted));
    auto const statistics = bridge.statistics().left_to_right;
    BOOST_TEST_MESSAGE("figure: down for 200 of 400 frames: " << arrived.size() << " arrived, " << statistics.link_down
                                                              << " dropped");
    BOOST_TEST(statistics.link_down + arrived.size() == 400U);
    BOOST_TEST(statistics.link_down >= 100U);
    BOOST_TEST(arrived.size() >= 200U);
    hosts.out().remove();
    nr::xdp_bridge refused{net::system_executor{}};
    nr::error_code ec;
    hosts.middle().enter([&] { refused.open(cable(), ec); });
    BOOST_TEST((ec == nr::error::no_such_interface));
    hosts.middle().enter([&] { refused.open({end("in0"), end("in0")}, ec); });
    BOOST_TEST((ec == nr::error::program_attached));
    hosts.middle().enter(
        [&] { refused.open({end("in0"), end("in0").memory_options(nr::afxdp::umem_options{}.headroom(64))}, ec); });
    BOOST_TEST((ec == nr::error::conflicting_options));
}

BOOST_AUTO_TEST_SUITE_END()
