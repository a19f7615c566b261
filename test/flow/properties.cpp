// What must not change a result does not, over generated traffic.

#include "traffic.hpp"
#include <netring_asio/flow/tracker.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <set>
#include <sstream>

namespace nr = netring_asio;
namespace flow = netring_asio::flow;
using namespace test;

namespace {

/// Many short connections and exchanges over the same few ports, with pauses that let some of them expire.
traffic random_traffic(unsigned seed, int count, std::size_t still = ~std::size_t{0}) {
    random_numbers random{std::mt19937{seed}};
    traffic t;
    std::chrono::nanoseconds at{};
    for (int i = 0; i != count; ++i) {
        auto const pause = std::chrono::milliseconds{random() % 8 == 0   ? random() % 20'000
                                                     : random() % 2 == 0 ? random() % 100
                                                                         : 0};
        // Nothing can tell how long a pause was whose end has a wrong stamp.
        if (t.views.size() != still && t.views.size() != still + 1)
            at += pause;
        auto const port = static_cast<unsigned>(1000 + random() % 40);
        static constexpr unsigned flags[] = {syn, syn | ack, ack, ack, ack, fin | ack, rst};
        if (random() % 3 == 0)
            t.udp(at, random() % 2 == 0, port);
        else
            t.tcp(at, random() % 2 == 0, flags[random() % 7], random() % 3, random() % 3, random() % 2, port);
    }
    return t;
}

/// What is told of flows, but for times.
std::multiset<std::string> results(flow::tracker<flow::five_tuple>& tracker, std::vector<flow::event>& events) {
    while (tracker.flush(events)) {
    }
    std::multiset<std::string> result;
    for (auto const& e : events) {
        if (e.kind != flow::event_kind::ended && e.kind != flow::event_kind::late)
            continue;
        std::ostringstream out;
        print(out, e.key, e.orientation);
        out << ' ' << e.kind << ' ' << e.reason << ' ' << e.flow_id << ' ' << e.stats.state << ' ' << e.stats.history;
        for (auto const* d : {&e.stats.forward, &e.stats.reverse})
            out << ' ' << d->packets << ' ' << d->wire_bytes << ' ' << d->retransmitted << ' ' << d->missed_bytes;
        result.insert(out.str());
    }
    return result;
}

std::multiset<std::string> results(traffic const& t, flow::tracker_options const& options) {
    flow::tracker tracker{flow::five_tuple{}, options};
    std::vector<flow::event> events;
    tracker.track(t.views, events);
    return results(tracker, events);
}

flow::tracker_options options_of(unsigned seed) {
    return flow::tracker_options{}
        .max_flows(seed % 2 == 0 ? 1000 : 12)
        .active_timeout(seed % 3 == 0 ? 20s : 0s)
        .expected_flows(seed % 5 == 0 ? 1000 : 0);
}

} // namespace

// The same packets in batches of all sizes, in tables of all sizes, give the same events.
BOOST_AUTO_TEST_CASE(cutting_changes_nothing) {
    for (unsigned seed = 0; seed != 300; ++seed) {
        auto const t = random_traffic(seed, 400);
        auto const options = options_of(seed);
        auto const result = [&](std::size_t largest) {
            flow::tracker tracker{flow::five_tuple{}, options};
            std::vector<flow::event> events;
            random_numbers cut{std::mt19937{seed + 1}};
            for (std::size_t i = 0; i != t.views.size();) {
                auto const n = std::min(t.views.size() - i, 1 + cut() % largest);
                tracker.track(std::span{t.views}.subspan(i, n), events);
                i += n;
            }
            while (tracker.flush(events, largest)) {
            }
            std::vector<std::string> lines;
            for (auto const& e : events) {
                std::ostringstream out;
                out << e << ' ' << e.flow_id;
                lines.push_back(out.str());
            }
            return lines;
        };
        auto const one_by_one = result(1);
        BOOST_REQUIRE(result(7) == one_by_one);
        BOOST_REQUIRE(result(400) == one_by_one);
    }
}

BOOST_AUTO_TEST_CASE(one_wild_stamp_changes_nothing) {
    std::size_t cases = 0;
    for (unsigned seed = 0; seed != 1500; ++seed) {
        random_numbers random{std::mt19937{seed + 10'000}};
        constexpr int count = 120;
        // The very first ones as often as all the others.
        auto const at = std::size_t{random() % 2 == 0 ? random() % 3 : random() % count};
        auto t = random_traffic(seed, count, at);
        auto const expected = results(t, options_of(seed));
        auto const wild = std::chrono::seconds{random() % 5 == 0 ? random() % 1'000'000'000 : random() % 1'000'000};
        t.views[at].time += random() % 2 == 0 ? 1h + 1s + wild : -(11s + wild);
        BOOST_TEST_CONTEXT("seed " << seed << ", packet " << at << ", by " << (t.views[at].time - epoch).count()) {
            BOOST_REQUIRE((results(t, options_of(seed)) == expected));
        }
        ++cases;
    }
    BOOST_TEST_MESSAGE("figure: a wild stamp, " << cases << " times: no flow is told otherwise");
}

// A live clock that is set, forward and back, again and again, while a steady one goes on.
BOOST_AUTO_TEST_CASE(a_stepping_clock_changes_nothing) {
    std::size_t steps = 0;
    for (unsigned seed = 0; seed != 1000; ++seed) {
        random_numbers random{std::mt19937{seed + 20'000}};
        auto t = random_traffic(seed, 200);
        for (auto& view : t.views)
            view.clock = nr::clock_source::software;
        auto const real = t.views;
        auto const run = [&](bool stepping) {
            flow::tracker tracker{flow::five_tuple{}, options_of(seed)};
            std::vector<flow::event> events;
            auto last = real.front().time;
            std::chrono::nanoseconds set_by{};
            std::size_t stepped = 0;
            for (std::size_t i = 0; i != real.size(); ++i) {
                // Two agree before the first step.
                if (stepping && i > stepped + 2 && random() % 30 == 0 && real[i].time == real[i - 1].time &&
                    i + 1 < real.size() && real[i].time == real[i + 1].time) {
                    auto const step = std::chrono::seconds{21 + random() % 40'000};
                    set_by += random() % 2 == 0 ? step : -step;
                    stepped = i;
                    ++steps;
                }
                tracker.pass(real[i].time - last);
                last = real[i].time;
                auto view = real[i];
                view.time += set_by;
                tracker.track(std::span{&view, 1}, events);
            }
            return results(tracker, events);
        };
        auto const expected = run(false);
        BOOST_TEST_CONTEXT("seed " << seed) { BOOST_REQUIRE((run(true) == expected)); }
    }
    BOOST_TEST_MESSAGE("figure: " << steps << " steps of the clock: no flow is told otherwise");
}

// A flood of attempts passes through a full table and leaves the connections that are there alone.
BOOST_AUTO_TEST_CASE(a_flood_evicts_no_connection) {
    constexpr std::size_t table = 4096;
    constexpr unsigned established = 500;
    flow::tracker tracker{flow::five_tuple{}, flow::tracker_options{}.max_flows(table)};
    std::vector<flow::event> events;
    traffic calm;
    for (unsigned i = 0; i != established; ++i)
        calm.handshake(std::chrono::microseconds{i}, 1000 + i);
    tracker.track(calm.views, events);
    auto attempt = craft{}.tcp(1, 80, syn, 1).ipv4("11.0.0.0", "10.0.0.2", 6).ethernet(0x0800);
    std::uint64_t evicted = 0;
    std::uint64_t lost = 0;
    std::chrono::nanoseconds at = 1s;
    constexpr std::uint32_t flood = 200'000; // 20 s of it
    for (std::uint32_t n = 0; n != flood; ++n) {
        at += 100us;
        for (unsigned byte = 0; byte != 3; ++byte)
            attempt.bytes()[14 + 13 + byte] = static_cast<std::uint8_t>(n >> (8 * byte));
        auto view = attempt.view();
        view.time = epoch + at;
        if (n % 200 == 0) {
            auto known = calm.views[n / 200 % established * 3 + 2];
            known.time = view.time;
            tracker.track(std::span{&known, 1}, events);
        }
        tracker.track(std::span{&view, 1}, events);
        for (auto const& e : events) {
            evicted += e.reason == flow::end_reason::evicted;
            lost += e.reason != flow::end_reason::none && e.stats.reverse.packets != 0;
        }
        events.clear();
        BOOST_REQUIRE(tracker.statistics().flows <= table);
    }
    BOOST_TEST(lost == 0u);
    BOOST_TEST(evicted == tracker.statistics().evicted);
    BOOST_TEST(evicted == flood + established - table);
}
