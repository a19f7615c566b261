#include "support.hpp"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <lab/allocations.hpp>
#include <lab/eventually.hpp>
#include <lab/numbered.hpp>
#include <numeric>
#include <vector>

namespace {

/// The numbers of frames.
std::vector<std::uint64_t> numbers(std::uint64_t count) {
    std::vector<std::uint64_t> result(count);
    std::iota(result.begin(), result.end(), 0U);
    return result;
}

std::uint64_t dropped(nr::bridge_direction_statistics const& d) {
    return d.filtered + d.too_long + d.unsupported_offload + d.link_down + d.abandoned;
}

} // namespace

BOOST_AUTO_TEST_SUITE(running, *lab::available())

BOOST_AUTO_TEST_CASE(frames_go_through_once_in_order_and_none_comes_back) {
    between const hosts;
    lab::numbered_receiver there{hosts.there()}, here{hosts.here()};
    running_bridge bridge{hosts};
    lab::send_numbered(hosts.here(), hosts.there(), {.count = 20'000, .size = 1514, .rate = 40'000});
    lab::send_numbered(hosts.there(), hosts.here(), {.count = 1'000});
    BOOST_TEST((there.receive(20'001, 300ms) == numbers(20'000)));
    BOOST_TEST((here.receive(1'001, 300ms) == numbers(1'000)));
    bridge.stop();
    auto const [right, left] = bridge.statistics();
    BOOST_TEST(right.received == 20'000U);
    BOOST_TEST(right.forwarded == 20'000U);
    BOOST_TEST(left.received == 1'000U);
    BOOST_TEST(left.forwarded == 1'000U);
    BOOST_TEST(dropped(right) + right.lost + right.rejected == 0U);
}

BOOST_AUTO_TEST_CASE(a_filter_drops_and_changes) {
    between const hosts;
    lab::numbered_receiver receiver{hosts.there()};
    auto options = between::options();
    // Of ten frames one is dropped, one gets a new number and a longer end, one is cut, one gets a tag.
    options.filter([](nr::bridge_packet& packet) {
        auto const number = lab::frame_number(packet->data);
        if (packet.from() != nr::bridge_side::left || !number)
            return nr::bridge_verdict::drop;
        switch (*number % 10) {
        case 3:
            return nr::bridge_verdict::drop;
        case 5: {
            packet.resize(1000);
            auto const bytes = packet.modify();
            bytes[14] = std::byte{1};
            break;
        }
        case 7:
            packet.resize(60);
            break;
        case 9:
            packet.set_vlan({0x8100, 5});
            break;
        default:
            break;
        }
        return nr::bridge_verdict::forward;
    });
    running_bridge bridge{hosts, options};
    auto const before = hosts.there().counters().rx_bytes;
    lab::send_numbered(hosts.here(), hosts.there(), {.count = 1'000, .size = 100});
    lab::send_numbered(hosts.there(), hosts.here(), {.count = 10, .size = 22});
    auto const arrived = receiver.receive(1'001, 300ms);
    bridge.stop();
    BOOST_TEST(std::ranges::count_if(arrived, [](auto n) { return n % 10 == 3; }) == 0);
    auto const changed = std::uint64_t{1} << 56;
    BOOST_TEST(std::ranges::count_if(arrived, [&](auto n) { return n > changed && (n - changed) % 10 == 5; }) == 100);
    auto const [right, left] = bridge.statistics();
    BOOST_TEST(right.filtered == 100U);
    BOOST_TEST(right.forwarded == 900U);
    BOOST_TEST(left.received == left.filtered);
    // The tag is counted by the peer's device, and in the metadata there.
    BOOST_TEST(hosts.there().counters().rx_bytes - before == 600U * 100 + 100U * 1000 + 100U * 60 + 100U * 104);
}

BOOST_AUTO_TEST_CASE(frames_beyond_the_mtu_of_the_other_side_are_counted_and_told) {
    between const hosts{1500, 1000};
    lab::numbered_receiver receiver{hosts.there()};
    std::vector<nr::error_code> told;
    auto options = between::options();
    options.on_drop([&](nr::bridge_side from, nr::packet_view const& packet, nr::error_code why) {
        if (from == nr::bridge_side::left && packet.data.size() == 1015)
            told.push_back(why);
    });
    running_bridge bridge{hosts, options};
    lab::send_numbered(hosts.here(), hosts.there(), {.count = 10, .size = 1015});
    lab::send_numbered(hosts.here(), hosts.there(), {.count = 10, .size = 1014});
    BOOST_TEST((receiver.receive(11, 300ms) == numbers(10)));
    bridge.stop();
    BOOST_TEST(bridge.statistics().left_to_right.too_long == 10U);
    BOOST_TEST(bridge.statistics().left_to_right.forwarded == 10U);
    BOOST_TEST(told.size() == 10U);
    BOOST_TEST(std::ranges::count(told, nr::error_code{nr::error::frame_too_long}) == 10);
}

BOOST_AUTO_TEST_CASE(what_came_before_a_cancellation_is_delivered) {
    between const hosts;
    for (int round = 0; round != 5; ++round) {
        lab::numbered_receiver receiver{hosts.there()};
        running_bridge bridge{hosts, between::options().block_timeout(20ms)}; // so that the last block is open
        auto const count = static_cast<std::uint64_t>(1 + round * 5'000);
        lab::send_numbered(hosts.here(), hosts.there(), {.count = count, .size = 200});
        BOOST_TEST((bridge.stop() == net::error::operation_aborted));
        BOOST_TEST(bridge.statistics().left_to_right.forwarded == count);
        BOOST_TEST((receiver.receive(count, 300ms) == numbers(count)));
    }
}

BOOST_AUTO_TEST_CASE(a_run_can_be_cancelled_in_a_stream_and_begun_anew) {
    between const hosts;
    lab::numbered_receiver receiver{hosts.there()};
    net::io_context context;
    auto bridge = hosts.open(context.get_executor());
    auto sender = lab::start_sender(hosts.here(), hosts.there(), {.count = 40'000, .rate = 50'000});
    net::steady_timer timer{context};
    int runs = 0;
    bool sent = false;
    std::function<void(nr::error_code)> again = [&](nr::error_code error) {
        BOOST_TEST((error == net::error::operation_aborted));
        ++runs;
        if (sent)
            return;
        bridge.async_run(again);
        timer.expires_after(std::chrono::milliseconds{7 * runs});
        timer.async_wait([&](nr::error_code) {
            sent = sender.wait_for(0ms);
            bridge.cancel();
        });
    };
    again(net::error::operation_aborted);
    context.run();
    auto const statistics = bridge.statistics().left_to_right;
    auto const arrived = receiver.receive(statistics.forwarded, 300ms);
    BOOST_TEST_MESSAGE("figure: " << runs << " cancelled runs in a stream of 40000 frames: " << statistics.forwarded
                                  << " forwarded, " << arrived.size() << " arrived");
    BOOST_TEST(runs > 5);
    BOOST_TEST(statistics.forwarded == statistics.received);
    BOOST_TEST(arrived.size() == statistics.forwarded);
    BOOST_TEST(std::ranges::is_sorted(arrived, std::less_equal<>{})); // none twice
    BOOST_TEST(statistics.forwarded > 10'000U);
    BOOST_TEST(statistics.forwarded < 40'000U); // nothing is received between two runs
}

BOOST_AUTO_TEST_CASE(a_slow_side_holds_up_the_ring_of_the_other) {
    between const hosts;
    hosts.out().run(
        {"tc", "qdisc", "add", "dev", "out0", "root", "tbf", "rate", "100mbit", "burst", "20k", "limit", "50k"});
    lab::numbered_receiver receiver{hosts.there()};
    auto const options = between::options().block_count(4).frame_count(16).stop_limit(100ms);
    running_bridge bridge{hosts, options};
    constexpr std::uint64_t count = 20'000;
    lab::send_numbered(hosts.here(), hosts.there(), {.count = count, .size = 1000});
    // A megabyte of ring takes 80 ms at that rate, and so is held when the other has drained.
    BOOST_TEST(lab::eventually([&] { return bridge.statistics().left_to_right.lost != 0; }));
    BOOST_TEST((bridge.stop() == net::error::operation_aborted));
    auto const statistics = bridge.statistics().left_to_right;
    auto const arrived = receiver.receive(statistics.forwarded, 300ms);
    BOOST_TEST(arrived.size() == statistics.forwarded);
    BOOST_TEST(std::ranges::is_sorted(arrived, std::less_equal<>{}));
    BOOST_TEST(statistics.received == statistics.forwarded + statistics.abandoned);
    BOOST_TEST(statistics.received + statistics.lost == count);
    BOOST_TEST(statistics.forwarded > 100U);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_sent_in_time_is_abandoned) {
    between const hosts;
    hosts.out().run(
        {"tc", "qdisc", "add", "dev", "out0", "root", "tbf", "rate", "1mbit", "burst", "10k", "limit", "10m"});
    running_bridge bridge{hosts, between::options().frame_count(16).stop_limit(50ms)};
    lab::send_numbered(hosts.here(), hosts.there(), {.count = 1'000, .size = 1000});
    auto const begin = std::chrono::steady_clock::now();
    BOOST_TEST((bridge.stop() == net::error::operation_aborted));
    BOOST_TEST((std::chrono::steady_clock::now() - begin < 1s));
    auto const statistics = bridge.statistics().left_to_right;
    BOOST_TEST(statistics.received == 1'000U);
    BOOST_TEST(statistics.abandoned > 900U);
    BOOST_TEST(statistics.forwarded + statistics.abandoned == 1'000U);
}

BOOST_AUTO_TEST_CASE(a_side_may_go_down_and_up) {
    between const hosts;
    lab::numbered_receiver receiver{hosts.there()};
    running_bridge bridge{hosts, between::options().frame_count(16)};
    auto const send = [&](std::uint64_t first) {
        lab::send_numbered(hosts.here(), hosts.there(), {.count = 100, .first = first});
    };
    send(0);
    BOOST_TEST(lab::eventually([&] { return bridge.statistics().left_to_right.forwarded == 100; }));
    hosts.out().set_down();
    send(100);
    BOOST_TEST(lab::eventually([&] { return bridge.statistics().left_to_right.received == 200; }));
    hosts.out().set_up();
    BOOST_TEST(lab::eventually(
        [&] { return hosts.out().run({"ip", "link", "show", "out0"}).find("LOWER_UP") != std::string::npos; }));
    send(200);
    BOOST_TEST(lab::eventually([&] { return bridge.statistics().left_to_right.received == 300; }));
    hosts.in().set_down();
    hosts.in().set_up();
    BOOST_TEST(lab::eventually(
        [&] { return hosts.here().run({"ip", "link", "show", "here0"}).find("LOWER_UP") != std::string::npos; }));
    send(300);
    BOOST_TEST(lab::eventually([&] { return bridge.statistics().left_to_right.received == 400; }));
    BOOST_TEST((bridge.stop() == net::error::operation_aborted));
    auto const statistics = bridge.statistics().left_to_right;
    auto const arrived = receiver.receive(400, 300ms);
    BOOST_TEST_MESSAGE("down for 100 of 400 frames: " << arrived.size() << " arrived, " << statistics.link_down
                                                      << " dropped");
    BOOST_TEST(std::ranges::is_sorted(arrived, std::less_equal<>{}));
    BOOST_TEST(statistics.link_down > 50U); // what the ring holds, 30 frames, is sent when it is up
    BOOST_TEST(statistics.link_down <= 100U);
    BOOST_TEST(arrived.size() + statistics.link_down == 400U);
}

BOOST_AUTO_TEST_CASE(a_run_ends_with_its_interfaces_where_that_is_the_policy) {
    between const hosts;
    {
        running_bridge bridge{hosts, between::options().on_link_down(nr::link_down_policy::fail)};
        hosts.in().set_down();
        BOOST_TEST((bridge.wait() == nr::error::interface_down));
        hosts.in().set_up();
    }
    running_bridge bridge{hosts};
    hosts.out().remove();
    BOOST_TEST((bridge.wait() == nr::error::interface_removed));
}

BOOST_AUTO_TEST_CASE(wrong_options_are_told) {
    between const hosts;
    net::io_context context;
    nr::bridge bridge{context};
    nr::error_code ec;
    hosts.middle().enter([&] {
        bridge.open({"in0", "nobody"}, ec);
        BOOST_TEST((ec == nr::error::no_such_interface));
        BOOST_TEST(!bridge.is_open());
        bridge.open(between::options().stop_limit(0ms), ec);
        BOOST_TEST((ec == nr::error::invalid_option));
        bridge.open(between::options().block_size(1000), ec);
        BOOST_TEST((ec == nr::error::invalid_ring_geometry));
        bridge.open(between::options(), ec);
        BOOST_TEST(!ec);
        bridge.open(between::options(), ec);
        BOOST_TEST((ec == nr::error::already_open));
    });
    BOOST_TEST(bridge.is_open());
    bridge.close();
    bridge.async_run([&](nr::error_code error) { ec = error; });
    context.run();
    BOOST_TEST((ec == nr::error::not_open));
    // Sides in different namespaces.
    bridge.open(nr::bridge_options{"here0", "there0"}.network_namespaces(hosts.here().path(), hosts.there().path()),
                ec);
    BOOST_TEST(!ec);
}

BOOST_AUTO_TEST_CASE(nothing_is_allocated_in_the_steady_state) {
    between const hosts;
    net::io_context context{1};
    // A type-erased executor allocates for itself what is posted through it, if rarely.
    std::optional<nr::basic_bridge<net::io_context::executor_type>> bridge;
    lab::allocation_counter counter;
    std::uint64_t made = 0, seen = 0, back = 0;
    auto options = between::options();
    options.filter([&](nr::bridge_packet& packet) {
        packet.modify();
        if (packet.from() == nr::bridge_side::right) {
            ++back;
            return nr::bridge_verdict::forward;
        }
        if (++seen == 10'000)
            counter = {};
        if (seen == 40'000) {
            made = counter.here();
            bridge->cancel();
        }
        return nr::bridge_verdict::forward;
    });
    hosts.middle().enter([&] { bridge.emplace(context, options); });
    net::steady_timer watchdog{context, 20s}; // frames may be lost where the machine is too busy
    watchdog.async_wait([&](nr::error_code error) {
        if (!error)
            bridge->cancel();
    });
    bridge->async_run([&](nr::error_code) { watchdog.cancel(); });
    auto sender = lab::start_sender(hosts.here(), hosts.there(), {.count = 50'000, .size = 500, .rate = 25'000});
    auto other = lab::start_sender(hosts.there(), hosts.here(), {.count = 50'000, .rate = 25'000});
    context.run();
    BOOST_TEST_MESSAGE("figure: of " << seen << " frames there and " << back << " back, the last three quarters with "
                                     << made << " heap allocations");
    BOOST_TEST(seen >= 40'000U);
    BOOST_TEST(back > 10'000U);
    BOOST_TEST(made == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
