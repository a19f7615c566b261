// Streams and subscriptions over AF_XDP, with and without what they push down into the program.

#include "../filter/frames.hpp"
#include "subscription/live.hpp"
#include "support.hpp"
#include <netring_asio/capture.hpp>
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/pcap/writer.hpp>
#include <netring_asio/pcap_source.hpp>

#include <filesystem>
#include <thread>

namespace sub = netring_asio::subscription;

BOOST_AUTO_TEST_SUITE(xdp_subscriptions, *lab::real_root())

BOOST_FIXTURE_TEST_CASE(wherever_frames_come_from_the_deliveries_are_the_same, test::interest_in_traffic) {
    auto const expected = from_memory(all, 1000);
    auto const file = std::filesystem::temp_directory_path() / ("netring_asio." + std::to_string(::getpid()));
    {
        nr::pcap::writer to{nr::pcap::writer_options{file.string()}};
        for (auto const& view : views)
            to.write(view);
    }
    net::io_context context;
    check(expected, of(context, nr::pcap_source{context, nr::pcap_source_options{file.string()}}, all), "file");
    std::filesystem::remove(file);

    lab::pair const hosts;
    auto const over_xdp = [&](nr::xdp_options const& options, std::vector<std::string> const& wanted, bool pushed) {
        context.restart();
        return live(context, open_at(hosts.right, context, options), hosts.left, wanted, pushed);
    };
    check(expected, over_xdp(everything(), all, false), "AF_XDP");
    auto const seen_by_all = seen;
    check(expected, over_xdp(everything().batch_size(3), all, true), "AF_XDP, pushed down");
    auto const seen_pushed = seen;
    check(expected, over_xdp(everything().bypass(100), all, true), "AF_XDP, pushed down, with a bypass");
    BOOST_TEST(seen_pushed < seen_by_all);
    BOOST_TEST(seen < seen_pushed);
    BOOST_TEST(passed_over > 0U);
    BOOST_TEST_MESSAGE(
        "figure: " << all.size() << " subscriptions deliver the same frames and connections from memory, "
                   << "from a file, and over AF_XDP; of " << seen_by_all << " frames a pushed-down filter "
                   << "left " << seen_pushed << ", of which the bypass took " << passed_over);
    for (auto const& text : {all[0], all[4]}) {
        auto const alone = over_xdp(everything().bypass(100), {text}, true);
        BOOST_TEST((alone.at(text) == expected.at(text)), text << ": " << alone.at(text).size());
    }
}

BOOST_AUTO_TEST_CASE(a_connection_passed_over_comes_back_with_a_subscription_and_is_partial) {
    test::wire traffic;
    lab::pair const wire;
    net::io_context context;
    nr::subscriptions interest{open_at(wire.right, context, everything().bypass(10))};
    auto const never = interest.subscribe(sub::packets{sub::expression{"tcp.port = 8080 and tls"}});
    interest.push_down(true);
    interest.async_run([](nr::error_code) {});
    std::size_t sent = 0;
    auto const send = [&] {
        std::vector<std::vector<std::uint8_t>> some;
        for (; sent != traffic.views.size(); ++sent) {
            auto const* const data = reinterpret_cast<std::uint8_t const*>(traffic.views[sent].data.data());
            some.emplace_back(data, data + traffic.views[sent].data.size());
        }
        wire.left.send_each(some);
    };
    auto const until = [&](auto condition) {
        auto const patience = std::chrono::steady_clock::now() + 60s;
        while (!condition() && std::chrono::steady_clock::now() < patience) {
            context.restart();
            context.run_for(5ms);
        }
        BOOST_TEST_REQUIRE(condition());
    };
    auto c = traffic.connection(40000, 8080);
    c.open();
    for (int i = 0; i != 20; ++i)
        c.send(0, "no handshake");
    send();
    until([&] { return interest.statistics().bypassed == 1; });
    auto const before = interest.tracking().packets;
    BOOST_TEST(before == 23U);
    for (int i = 0; i != 30; ++i)
        c.send(i % 2, "not seen");
    send();
    until([&] { return interest.source().statistics().passed_bypassed == 30; });
    BOOST_TEST(interest.tracking().packets == before);
    std::vector<sub::connection> told;
    std::size_t counted = 0, frames = 0;
    auto const all = interest.subscribe(sub::connections{sub::expression{"tcp"}},
                                        [&](sub::connection const& t) { told.push_back(t); });
    auto const by_counter = interest.subscribe(sub::connections{sub::expression{"conn.packets < 1000"}},
                                               [&](sub::connection const&) { ++counted; });
    auto const tail =
        interest.subscribe(sub::packets{sub::expression{"tcp.port = 8080"}}, [&](sub::packet const&) { ++frames; });
    for (int i = 0; i != 5; ++i)
        c.send(0, "seen again");
    c.close();
    send();
    until([&] { return told.size() == 1; });
    BOOST_TEST(told.front().partial);
    BOOST_TEST(told.front().flow.stats.packets() < traffic.views.size());
    until([&] { return frames == 8; }); // the last acknowledgment too
    BOOST_TEST(counted == 0U);
    check_balance(interest.source());
}

BOOST_AUTO_TEST_CASE(frames_held_for_ever_stop_nothing_and_come_back_when_all_else_is_gone) {
    constexpr unsigned count = 2000;
    lab::pair const wire;
    std::vector<sub::packet> kept;
    nr::afxdp::umem memory;
    {
        net::io_context context;
        nr::subscriptions interest{open_at(wire.right, context, everything().ring_sizes(256, 64).pin_budget(20))};
        memory = interest.source().memory();
        auto wanted = interest.subscribe(sub::packets{sub::expression{"ethernet.type = 0x88b5"}});
        interest.async_run([](nr::error_code) {});
        decltype(wanted)::batch batch;
        auto const patience = std::chrono::steady_clock::now() + 60s;
        for (unsigned sent = 0; sent != count;) {
            lab::send_numbered(wire.left, wire.right, {.count = 100});
            sent += 100;
            while (kept.size() < sent && std::chrono::steady_clock::now() < patience) {
                context.restart();
                context.run_for(1ms);
                if (wanted.try_receive(batch))
                    kept.insert(kept.end(), batch.begin(), batch.end());
            }
        }
        BOOST_TEST(kept.size() == count);
        BOOST_TEST(wanted.statistics().pinned == 20U);
        BOOST_TEST(wanted.statistics().promoted == count - 20);
        BOOST_TEST_MESSAGE("figure: " << count << " frames held, " << wanted.statistics().pinned
                                      << " of them pinned and " << wanted.statistics().promoted
                                      << " copied; none was lost");
    }
    BOOST_TEST(memory.ledger().held == 20U);
    std::thread{[&] { kept.clear(); }}.join();
    auto const left = memory.ledger();
    BOOST_TEST(left.free == left.total());
}

BOOST_AUTO_TEST_CASE(a_flow_stream_takes_it_as_it_takes_a_capture) {
    lab::pair const wire;
    net::io_context context{1};
    auto socket = open_at(wire.right, context, nr::xdp_options{"right"}.filter("udp"));
    nr::flow_stream flows{std::move(socket), nr::flow::five_tuple{}};
    nr::flow::event_batch events;
    std::size_t started = 0;
    flows.async_receive(events, [&](nr::error_code ec, std::size_t count) { started = ec ? 0 : count; });
    wire.left.send(frames::ethernet(0x800, frames::ip4(17, frames::udp(1000, 53))));
    context.run_for(1s);
    BOOST_TEST(started == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
