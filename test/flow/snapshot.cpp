#include "decode/craft.hpp"
#include <netring_asio/flow/tracker.hpp>

#include <boost/test/unit_test.hpp>

#include <deque>
#include <map>
#include <set>

namespace nr = netring_asio;
namespace flow = netring_asio::flow;
using namespace std::chrono_literals;

namespace {

constexpr nr::timestamp epoch{std::chrono::seconds{1'700'000'000}};

void track(flow::tracker<flow::five_tuple>& tracker, unsigned port, std::size_t payload,
           std::chrono::nanoseconds at = 0s, bool back = false) {
    test::craft frame{payload};
    if (back)
        frame.udp(53, port).ipv4("10.0.0.2", "10.0.0.1", 17).ethernet(0x0800);
    else
        frame.udp(port, 53).ipv4("10.0.0.1", "10.0.0.2", 17).ethernet(0x0800);
    auto view = frame.view();
    view.time = epoch + at;
    std::vector<flow::event> events;
    tracker.track(std::span{&view, 1}, events);
}

std::multiset<unsigned> ports(std::vector<flow::event> const& flows) {
    std::multiset<unsigned> result;
    for (auto const& f : flows)
        result.insert(f.initiator().port);
    return result;
}

} // namespace

BOOST_AUTO_TEST_CASE(a_snapshot_tells_every_flow_as_it_stands) {
    flow::tracker tracker{flow::five_tuple{}};
    for (unsigned i = 0; i != 1000; ++i)
        track(tracker, 1000 + i, 10);
    track(tracker, 1500, 90, 1s, true);
    std::vector<flow::event> flows;
    flow::snapshot_cursor cursor;
    unsigned calls = 1;
    while (tracker.snapshot(cursor, flows, 100))
        ++calls;
    BOOST_TEST(calls == 10u);
    BOOST_REQUIRE(flows.size() == 1000u);
    BOOST_TEST(ports(flows).count(1999) == 1u);
    for (auto const& f : flows) {
        bool const answered = f.initiator().port == 1500;
        BOOST_TEST((f.kind == (answered ? flow::event_kind::established : flow::event_kind::started)));
        BOOST_TEST(f.stats.forward.payload_bytes == 10u);
        BOOST_TEST(f.stats.reverse.payload_bytes == (answered ? 90u : 0u));
    }
    BOOST_TEST(tracker.statistics().flows == 1000u);
}

// Packets go on being tracked between the parts.
BOOST_AUTO_TEST_CASE(what_is_there_all_the_while_is_told_once) {
    flow::tracker tracker{flow::five_tuple{}, flow::tracker_options{}.udp_timeout(10s)};
    for (unsigned i = 0; i != 2000; ++i)
        track(tracker, 1000 + i, 10);
    std::vector<flow::event> flows;
    flow::snapshot_cursor cursor;
    unsigned n = 0;
    for (bool more = true; more; ++n) {
        more = tracker.snapshot(cursor, flows, 50);
        // The first thousand are used and stay, new ones come, and the rest expires in the middle of it.
        for (unsigned i = 0; i != 1000; ++i)
            track(tracker, 1000 + i, 10, std::chrono::seconds{n / 2});
        track(tracker, 10'000 + n, 10, std::chrono::seconds{n / 2});
    }
    auto const seen = ports(flows);
    for (unsigned i = 0; i != 1000; ++i)
        BOOST_TEST(seen.count(1000 + i) == 1u);
    for (auto const port : seen)
        BOOST_TEST(seen.count(port) == 1u);
    BOOST_TEST(tracker.statistics().ended >= 1000u);
    BOOST_TEST(flows.size() < 2000u);
}

BOOST_AUTO_TEST_CASE(the_greatest_flows) {
    flow::tracker tracker{flow::five_tuple{}};
    for (unsigned i = 0; i != 500; ++i)
        track(tracker, 1000 + i * 7 % 500, i * 7 % 500);
    auto const top = tracker.top(5, [](flow::event const& f) { return f.stats.forward.payload_bytes; });
    BOOST_REQUIRE(top.size() == 5u);
    for (unsigned i = 0; i != 5; ++i)
        BOOST_TEST(top[i].initiator().port == 1499 - i);
    auto const by_bytes = [](flow::event const& f) { return f.stats.wire_bytes(); };
    BOOST_TEST(tracker.top(0, by_bytes).empty());
    BOOST_TEST(tracker.top(9999, by_bytes).size() == 500u);
}

BOOST_AUTO_TEST_CASE(what_the_table_holds) {
    flow::tracker tracker{flow::five_tuple{}, flow::tracker_options{}.max_flows(1234)};
    BOOST_TEST(tracker.table().flows == 0u);
    for (unsigned i = 0; i != 100; ++i)
        track(tracker, 1000 + i, 10);
    auto const fragment = test::craft{64}.ipv4("10.0.0.1", "10.0.0.2", 17, 0x2008, 7).ethernet(0x0800);
    auto view = fragment.view();
    view.time = epoch;
    std::vector<flow::event> events;
    tracker.track(std::span{&view, 1}, events);
    auto const table = tracker.table();
    BOOST_TEST(table.flows == 100u);
    BOOST_TEST(table.capacity == 1234u);
    BOOST_TEST(table.datagrams == 1u);
    BOOST_TEST(table.fragment_bytes >= 64u);
    BOOST_TEST(table.record_bytes >= 100u * sizeof(flow::five_tuple_key));
    BOOST_TEST(table.index_bytes > 0u);
}
