// What becomes of the frames, connections and messages that subscriptions ask for.

#include "subscription/wire.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <fstream>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <thread>

namespace {

using namespace test;
using numbers = std::vector<std::size_t>;

struct fixture : wire {
    template <class Options>
    auto want(std::string_view text) {
        return engine.subscribe(Options{sub::expression{text}});
    }
    auto packets(std::string_view text) { return want<sub::packets>(text); }
    auto connections(std::string_view text) { return want<sub::connections>(text); }
    auto sessions(std::string_view text) { return want<sub::sessions>(text); }

    void run(std::size_t batch = 1000) {
        track(engine, std::span{views}.subspan(done), memory, batch);
        done = views.size();
    }
    numbers taken(sub::outlet<sub::packets>& from) {
        std::vector<sub::packet> items;
        from.take(items);
        numbers result;
        for (auto const& p : items)
            result.push_back(number_of(*p.frame));
        return result;
    }
    static numbers range(std::size_t first, std::size_t count) {
        numbers result(count);
        std::iota(result.begin(), result.end(), first);
        return result;
    }
    template <class Outlet>
    static std::size_t count(Outlet& from) {
        std::vector<typename Outlet::item_type> items;
        from.take(items);
        return items.size();
    }

    ledger memory;
    sub::engine engine;
    std::size_t done = 0;
};

std::string request(std::string_view host) { return "GET / HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n"; }
constexpr std::string_view response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

} // namespace

BOOST_FIXTURE_TEST_SUITE(subscription_engine, fixture)

BOOST_AUTO_TEST_CASE(frames_are_kept_until_the_decision_and_then_delivered_in_order) {
    auto const wanted = packets("http.host = 'a'");
    auto c = connection(40000, 80);
    c.open();
    run();
    BOOST_TEST(taken(*wanted).empty());
    BOOST_TEST(engine.statistics().frames == 3u);
    c.send(0, request("a"));
    run();
    BOOST_TEST(taken(*wanted) == range(0, 4), boost::test_tools::per_element()); // with the SYN
    BOOST_TEST(engine.statistics().frames == 0u);
    c.send(1, response).close();
    c.send(1, "", ack); // a straggler behind the end
    run();
    BOOST_TEST(taken(*wanted) == range(4, 5), boost::test_tools::per_element());
    BOOST_TEST(wanted->statistics().matched == 9u);
    BOOST_TEST(wanted->statistics().cached == 3u);
}

BOOST_AUTO_TEST_CASE(frames_keep_the_order_of_arrival_where_segments_do_not) {
    auto const wanted = packets("http.host = 'a'");
    auto c = connection(40000, 80);
    c.open();
    auto const text = request("a");
    auto first = c.make(0, text.substr(0, 10));
    auto second = c.make(0, text.substr(10));
    packet(std::move(second));
    packet(std::move(first));
    run(1);
    BOOST_TEST(taken(*wanted) == range(0, 5), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_does_not_match_is_dropped_at_once) {
    auto const wanted = packets("http.host = 'a' and http.host = 'never' or tls.sni = 'a'");
    auto const other = packets("tls");
    auto c = connection(40000, 80);
    c.open();
    run();
    BOOST_TEST(engine.statistics().frames == 3u);
    c.send(0, "SSH-2.0-x\r\n");
    run();
    BOOST_TEST(taken(*wanted).empty());
    BOOST_TEST(engine.statistics().frames == 0u);
    BOOST_TEST(engine.statistics().connections == 0u);
    BOOST_TEST(engine.statistics().sessions == 0u);
    auto const evaluated = wanted->statistics().evaluated;
    for (int i = 0; i != 10; ++i)
        c.send(0, "more");
    run();
    BOOST_TEST(wanted->statistics().evaluated == evaluated);
    BOOST_TEST(taken(*other).empty());
    BOOST_TEST(memory.held == 3u);
}

BOOST_AUTO_TEST_CASE(not_delivers_the_complement) {
    auto const yes = connections("http.host = 'a'");
    auto const no = connections("not http.host = 'a'");
    auto const all = connections("");
    auto const frames_yes = packets("http.host = 'a'");
    auto const frames_no = packets("not http.host = 'a'");
    for (unsigned i = 0; i != 20; ++i) {
        auto c = connection(40000 + i, 80);
        c.open();
        if (i % 4 != 3)
            c.send(0, i % 2 == 0 ? request("a") : request("b")).send(1, response);
        c.close();
    }
    udp(true, 5000, 6000, "x");
    run();
    flush(engine);
    BOOST_TEST(count(*yes) == 10u);
    BOOST_TEST(count(*no) == 11u);
    BOOST_TEST(count(*all) == 21u);
    auto both = taken(*frames_yes);
    auto const others = taken(*frames_no);
    BOOST_TEST(both.size() == 10u * 8);
    both.insert(both.end(), others.begin(), others.end());
    std::ranges::sort(both);
    BOOST_TEST(both == range(0, views.size()), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(fields_of_frames_and_of_their_connection_go_together) {
    auto const wanted = packets("tcp.syn and http.host = 'a'");
    auto const either = packets("tcp.syn or http.host = 'a'");
    auto c = connection(40000, 80);
    c.open();
    run();
    BOOST_TEST(taken(*wanted).empty());
    BOOST_TEST(taken(*either) == (numbers{0, 1}), boost::test_tools::per_element());
    c.send(0, request("a")).send(1, response);
    auto d = connection(40001, 80);
    d.open().send(0, request("b")).send(1, response).close();
    run();
    flush(engine);
    BOOST_TEST(taken(*wanted) == (numbers{0, 1}), boost::test_tools::per_element());
    BOOST_TEST(taken(*either) == (numbers{2, 3, 4, 5, 6}), boost::test_tools::per_element());
    BOOST_TEST(engine.statistics().frames == 0u);
}

BOOST_AUTO_TEST_CASE(connections_at_their_end_or_at_the_match) {
    auto const at_end = connections("http");
    auto const at_match = engine.subscribe(sub::connections{sub::expression{"http.host = 'a'"}}.at_match(true));
    auto const large = engine.subscribe(sub::connections{sub::expression{"conn.packets >= 5"}}.at_match(true));
    auto c = connection(40000, 80);
    c.open().send(0, request("a"));
    views[0].interface_index = 7;
    run();
    std::vector<sub::connection> items;
    at_match->take(items);
    BOOST_TEST_REQUIRE(items.size() == 1u);
    BOOST_TEST(items[0].service == "http");
    BOOST_TEST(items[0].flow.stats.packets() == 4u);
    BOOST_TEST(items[0].flow.initiator().port == 40000u);
    BOOST_TEST((items[0].flow.stats.state == nr::flow::connection_state::s1));
    BOOST_TEST(items[0].flow.stats.history.str() == "ShA");
    BOOST_TEST(items[0].interface_index == 7);
    BOOST_TEST(large->empty());
    c.send(1, response);
    run();
    BOOST_TEST(large->size() == 1u);
    BOOST_TEST(at_end->empty());
    c.close();
    run();
    at_end->take(items);
    BOOST_TEST_REQUIRE(items.size() == 1u);
    BOOST_TEST(items[0].flow.stats.packets() == 8u);
    BOOST_TEST((items[0].flow.reason == nr::flow::end_reason::fin));
    BOOST_TEST(at_match->empty());
}

BOOST_AUTO_TEST_CASE(messages_are_judged_one_by_one) {
    auto const wanted = sessions("http.host = 'a' and http.status_code = 200");
    auto c = connection(40000, 80);
    c.open().send(0, request("a")).send(0, request("b")).send(0, request("a"));
    c.send(1, response).send(1, response).send(1, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    c.send(0, request("a")).close();
    auto const unanswered = sessions("http and not http.status_code > 0");
    views[0].interface_index = 7;
    run();
    std::vector<sub::session> items;
    wanted->take(items);
    BOOST_TEST_REQUIRE(items.size() == 1u);
    auto const& exchange = std::get<sub::http_exchange>(items[0].message);
    BOOST_TEST(exchange.request.fields["host"] == "a");
    BOOST_TEST(exchange.response->body == "ok");
    BOOST_TEST(items[0].initiator().port == 40000u);
    BOOST_TEST(items[0].interface_index == 7);
    BOOST_TEST(count(*unanswered) == 1u);
}

BOOST_AUTO_TEST_CASE(what_is_undecided_is_bounded) {
    auto const lost = [&](sub::engine_options const& options, unsigned more) {
        engine = sub::engine{options};
        views.clear();
        frames.clear();
        done = 0;
        auto const wanted = packets("http.host = 'a'");
        auto c = connection(40000, 80);
        auto const text = request("a");
        c.open();
        for (auto const byte : text.substr(0, text.size() - 1))
            c.send(0, std::string{byte});
        now += std::chrono::seconds{more};
        c.send(0, text.substr(text.size() - 1)).send(1, response);
        run(1);
        flush(engine);
        BOOST_TEST(engine.statistics().frames == 0u);
        BOOST_TEST(engine.statistics().bytes == 0u);
        BOOST_TEST(wanted->statistics().given_up == (taken(*wanted).empty() ? 1u : 0u));
        return views.size() - wanted->statistics().delivered;
    };
    using sub::when_undecided;
    auto const all = 3 + request("a").size() + 1;
    BOOST_TEST(lost(sub::engine_options{}, 0) == 0u);
    BOOST_TEST(lost(sub::engine_options{}.max_frames(10), 0) == all);
    BOOST_TEST(lost(sub::engine_options{}.max_bytes(600), 0) == all);
    BOOST_TEST(lost(sub::engine_options{}.max_total_frames(10), 0) == all);
    BOOST_TEST(lost(sub::engine_options{}.max_total_bytes(600), 0) == all);
    BOOST_TEST(lost(sub::engine_options{}, 31) == all);
    BOOST_TEST(lost(sub::engine_options{}.max_frames(10).at_bound(when_undecided::keep_first), 0) == all - 12);
    BOOST_TEST(lost(sub::engine_options{}.max_frames(10).at_bound(when_undecided::keep_last), 0) == all - 12);
}

BOOST_AUTO_TEST_CASE(only_what_was_parsed_if_asked) {
    auto const wanted = engine.subscribe(sub::packets{sub::expression{"tls or http.host = 'a'"}}.only_parsed(true));
    auto c = connection(40000, 80);
    c.open().send(0, request("a")).send(0, "").send(1, response).close();
    run();
    flush(engine);
    BOOST_TEST(taken(*wanted) == (numbers{3, 5}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_full_outlet_drops_by_its_policy) {
    auto const first =
        engine.subscribe(sub::packets{sub::expression{"udp"}}.max_waiting(3).when_full(sub::overflow::drop_newest));
    auto const last =
        engine.subscribe(sub::packets{sub::expression{"udp"}}.max_waiting(3).when_full(sub::overflow::drop_oldest));
    auto const paused = engine.subscribe(sub::packets{sub::expression{"udp"}}.max_waiting(3));
    for (int i = 0; i != 10; ++i)
        udp(true, 5000, 6000, "x");
    run();
    BOOST_TEST(paused->wants_pause());
    BOOST_TEST(!first->wants_pause());
    BOOST_TEST(first->statistics().dropped == 7u);
    BOOST_TEST(last->statistics().dropped == 7u);
    BOOST_TEST(last->statistics().delivered == 3u);
    BOOST_TEST(taken(*first) == range(0, 3), boost::test_tools::per_element());
    BOOST_TEST(taken(*last) == range(7, 3), boost::test_tools::per_element());
    BOOST_TEST(taken(*paused) == range(0, 10), boost::test_tools::per_element());
    BOOST_TEST(!paused->wants_pause());
}

BOOST_AUTO_TEST_CASE(subscriptions_come_and_go_while_running) {
    auto const early = packets("tcp.port = 80");
    auto c = connection(40000, 80);
    c.open();
    auto d = connection(40001, 443);
    d.open();
    run();
    auto const late = packets("tcp.port in {80, 443}");
    c.send(0, "x");
    d.send(0, "x");
    run();
    BOOST_TEST(taken(*early) == (numbers{0, 1, 2, 6}), boost::test_tools::per_element());
    BOOST_TEST(taken(*late) == (numbers{6, 7}), boost::test_tools::per_element());
    engine.unsubscribe(*early);
    c.send(0, "y");
    d.send(0, "y");
    run();
    BOOST_TEST(taken(*early).empty());
    BOOST_TEST(taken(*late) == (numbers{8, 9}), boost::test_tools::per_element());
    engine.unsubscribe(*late);
    engine.unsubscribe(*late);
    BOOST_TEST(engine.statistics().subscriptions == 0u);
    BOOST_TEST(engine.statistics().predicates == 0u);
    c.send(0, "z");
    run();
    auto const again = packets("not tcp.port = 80");
    c.send(0, "z");
    d.send(0, "z");
    run();
    BOOST_TEST(taken(*again) == (numbers{12}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(fragments_are_frames_of_their_connection) {
    auto const wanted = packets("udp.port = 6000");
    auto const other = packets("udp.port = 7000");
    auto const pieces = packets("ip.fragment");
    auto const fragment = [&](unsigned offset, bool more, unsigned id) {
        craft whole = craft{"0123456789012345678901234567890123456789"}.udp(5000, 6000);
        std::string const bytes{whole.bytes().begin(), whole.bytes().end()};
        packet(craft{std::string_view{bytes}.substr(offset, more ? 24 : 24)}
                   .ipv4("10.0.0.1", "10.0.0.2", 17, (more ? 0x2000 : 0) | offset / 8, id)
                   .ethernet(0x0800));
    };
    fragment(24, false, 1);
    packet(craft{"x"}.ethernet(0x0806));
    fragment(0, true, 1);
    udp(true, 5000, 6000, "x");
    fragment(0, true, 2); // never complete
    for (std::size_t const batch : {1U, 2U, 1000U}) {
        engine = sub::engine{};
        done = 0;
        auto const w = packets("udp.port = 6000");
        auto const o = packets("udp.port = 7000");
        auto const p = packets("ip.fragment");
        run(batch);
        BOOST_TEST(taken(*w) == (numbers{0, 2, 3}), boost::test_tools::per_element());
        BOOST_TEST(taken(*p) == (numbers{0, 2}), boost::test_tools::per_element());
        flush(engine);
        BOOST_TEST(taken(*w) == (numbers{4}), boost::test_tools::per_element()); // by its own header
        BOOST_TEST(taken(*p) == (numbers{4}), boost::test_tools::per_element());
        BOOST_TEST(taken(*o).empty());
    }
}

BOOST_AUTO_TEST_CASE(cuts_and_company_change_nothing) {
    std::vector<std::string_view> const all{"tcp",
                                            "http.host = 'a'",
                                            "not http.host = 'a'",
                                            "tcp.syn or http",
                                            "http.status_code = 200 and tcp.length > 0",
                                            "udp or tcp.port = 81",
                                            "conn.packets > 7",
                                            "tcp.rst"};
    std::mt19937 random{7};
    for (unsigned i = 0; i != 60; ++i) {
        auto c = connection(40000 + i, 80 + random() % 2);
        c.open();
        for (auto n = random() % 3; n != 0; --n)
            c.send(0, request(random() % 2 == 0 ? "a" : "b")).send(1, response);
        if (random() % 4 == 0)
            udp(random() % 2 == 0, 5000 + i, 53, "no dns");
        if (random() % 3 != 0)
            c.close();
        else
            c.send(0, "", rst);
    }
    auto const deliver = [&](std::vector<std::string_view> const& wanted, std::size_t batch) {
        engine = sub::engine{};
        done = 0;
        std::vector<std::shared_ptr<sub::outlet<sub::packets>>> frames_of;
        std::vector<std::shared_ptr<sub::outlet<sub::connections>>> connections_of;
        for (auto const text : wanted) {
            frames_of.push_back(packets(text));
            connections_of.push_back(connections(text));
        }
        run(batch);
        flush(engine);
        std::vector<std::pair<numbers, std::size_t>> result;
        for (std::size_t i = 0; i != wanted.size(); ++i)
            result.emplace_back(taken(*frames_of[i]), count(*connections_of[i]));
        return result;
    };
    auto const together = deliver(all, 1000);
    for (std::size_t const batch : {1U, 7U, 33U})
        BOOST_TEST((deliver(all, batch) == together), "batches of " << batch);
    for (std::size_t i = 0; i != all.size(); ++i) {
        auto const alone = deliver({all[i]}, 1000);
        BOOST_TEST((alone.front() == together[i]), all[i]);
        auto const& frames_of = together[i].first;
        BOOST_TEST(!frames_of.empty(), all[i]);
        BOOST_TEST((std::set(frames_of.begin(), frames_of.end()).size() == frames_of.size()), all[i]);
    }
}

BOOST_AUTO_TEST_CASE(held_frames_pin_within_the_budget_and_all_come_back) {
    memory.budget = 5;
    auto wanted = packets("http.host = 'a'");
    auto c = connection(40000, 80);
    c.open().send(0, request("a")).send(1, response).close();
    run(2);
    std::vector<sub::packet> items;
    wanted->take(items);
    BOOST_TEST(items.size() == 8u);
    BOOST_TEST(wanted->statistics().pinned == 5u);
    BOOST_TEST(wanted->statistics().promoted == 3u);
    auto const before = memory.recycled;
    engine = sub::engine{};
    wanted.reset();
    BOOST_TEST(memory.recycled == before);
    std::thread{[&] { items.clear(); }}.join();
    BOOST_TEST(memory.recycled == before + 1); // this owner is of all batches
    BOOST_TEST(memory.copies.recycled == 1);
}

namespace {

/// Passes connections over as a kernel would, from packet to packet.
struct passing_over final : sub::connection_bypass {
    struct entry {
        std::chrono::nanoseconds lifetime{};
        passing state{};
    };
    bool add(nr::flow::five_tuple_key const& c, std::chrono::nanoseconds lifetime) override {
        in[c] = {lifetime, {0s, false}};
        return true;
    }
    void remove(nr::flow::five_tuple_key const& c) override { in.erase(c); }
    void stop() override {
        for (auto& [key, e] : in)
            e.state.stopped = true;
    }
    std::optional<passing> find(nr::flow::five_tuple_key const& c) override {
        auto const at = in.find(c);
        return at == in.end() ? std::nullopt : std::optional{at->second.state};
    }
    std::size_t size() const override { return in.size(); }
    std::map<nr::flow::five_tuple_key, entry> in;
};

} // namespace

BOOST_AUTO_TEST_CASE(a_connection_decided_against_is_passed_over_until_it_ends) {
    auto const passed = std::make_shared<passing_over>();
    engine.bypass(passed);
    auto const wanted = packets("http.host = 'a'");
    auto c = connection(40000, 80);
    c.open().send(0, "not http\n\n");
    for (int i = 0; i != 15; ++i)
        c.send(1, "x");
    run();
    BOOST_TEST(engine.statistics().bypassed == 0u);
    c.send(1, "x");
    run();
    BOOST_TEST(engine.statistics().bypassed == 1u);
    BOOST_TEST(passed->in.begin()->second.lifetime < 300s);
    c.next[0] += 5000; // what was passed over
    c.send(0, "", fin | ack);
    run();
    BOOST_TEST(engine.statistics().bypassed == 0u);
    c.send(1, "", fin | ack).send(0, "");
    auto again = connection(40000, 80);
    again.next[0] = 900'000;
    again.open().send(0, request("a"));
    run();
    BOOST_TEST(taken(*wanted).size() == 4u);
    // Also where the end was not seen.
    auto d = connection(40001, 80);
    d.open().send(0, "not http\n\n");
    for (int i = 0; i != 16; ++i)
        d.send(1, "x");
    run();
    BOOST_TEST(engine.statistics().bypassed == 1u);
    auto new_one = connection(40001, 80);
    new_one.next[0] = 800'000;
    new_one.open().send(0, request("a"));
    run();
    BOOST_TEST(engine.statistics().bypassed == 0u);
    BOOST_TEST(taken(*wanted).size() == 4u);
    // What may look different on the wire is never passed over.
    for (unsigned const port : {4789U, 2152U})
        for (int i = 0; i != 40; ++i)
            udp(true, 5000, port, "x");
    for (int i = 0; i != 40; ++i)
        packet(craft{"x"}.udp(5000, 6001).ipv4("10.0.0.1", "10.0.0.2", 17).vlan(5, 0x0800).ethernet(0x8100));
    run();
    BOOST_TEST(engine.statistics().bypassed == 0u);
}

BOOST_AUTO_TEST_CASE(what_was_passed_over_kept_a_connection_alive) {
    auto const passed = std::make_shared<passing_over>();
    engine.bypass(passed);
    auto const wanted = packets("udp and not conn.packets > 3"); // decided against with the fourth
    for (int i = 0; i != 4 + 16; ++i)
        udp(true, 5000, 6000, "x");
    run();
    BOOST_TEST_REQUIRE(passed->in.size() == 1u);
    BOOST_TEST(passed->in.begin()->second.lifetime == 15s);
    auto const after = [&](std::chrono::seconds silence, std::chrono::seconds since_last) {
        passed->in.begin()->second.state.ago = since_last;
        now += silence;
        udp(true, 5000, 6000, "x");
        run();
        return passed->in.size();
    };
    auto const flows = engine.tracking().started;
    BOOST_TEST(after(61s, 10s) == 1u); // the tracker has forgotten it
    BOOST_TEST(engine.tracking().started == flows + 1);
    BOOST_TEST(engine.statistics().connections == 0u);
    BOOST_TEST(after(61s, 60s) == 0u); // so has who passes over: a new one
    BOOST_TEST(engine.statistics().connections == 1u);
}

BOOST_AUTO_TEST_CASE(with_a_subscription_what_was_passed_over_comes_again_and_is_partial) {
    engine.bypass(std::make_shared<passing_over>());
    auto const never = packets("http.host = 'a'");
    auto c = connection(40000, 80);
    c.open().send(0, "not http\n\n");
    for (int i = 0; i != 20; ++i)
        c.send(1, "x");
    run();
    auto const told = connections("tcp");
    auto const few = connections("conn.packets < 1000");
    auto const not_few = connections("not conn.packets < 1000");
    auto const many = connections("conn.packets >= 2");
    auto const bytes = packets("tcp.port = 80");
    c.send(0, "more").close();
    run();
    flush(engine);
    std::vector<sub::connection> items;
    told->take(items);
    BOOST_TEST_REQUIRE(items.size() == 1u);
    BOOST_TEST(items[0].partial);
    BOOST_TEST(count(*many) == 1u); // it had more
    BOOST_TEST(count(*few) + count(*not_few) == 0u);
    BOOST_TEST(taken(*bytes).size() == 4u);
    // Others are whole.
    connection(40001, 80).open().close();
    run();
    flush(engine);
    told->take(items);
    BOOST_TEST_REQUIRE(items.size() == 1u);
    BOOST_TEST(!items[0].partial);
    BOOST_TEST(count(*few) == 1u);
}

BOOST_AUTO_TEST_CASE(nothing_is_kept_of_connections_that_cannot_match) {
    auto const rounds = std::getenv("NETRING_ASIO_MILLION") != nullptr ? 1'000'000U : 20'000U;
    auto const a = packets("tls.sni = 'never'");
    auto const b = connections("http.host = 'never'");
    auto const c = packets("tcp.port = 1 or udp");
    std::size_t most_connections = 0, most_frames = 0, pages_before = 0;
    auto const pages = [] {
        std::size_t size = 0, resident = 0;
        std::ifstream{"/proc/self/statm"} >> size >> resident;
        return resident;
    };
    for (unsigned i = 0; i != rounds; ++i) {
        if (i == rounds / 10)
            pages_before = pages();
        views.clear();
        frames.clear();
        done = 0;
        connection(1024 + i % 60'000, 80 + i / 60'000).open().send(0, "no\n\n").send(1, "not\n\n").close();
        run();
        most_connections = std::max(most_connections, engine.statistics().connections);
        most_frames = std::max(most_frames, engine.statistics().frames);
    }
    BOOST_TEST(most_connections == 0u);
    BOOST_TEST(most_frames == 0u);
    BOOST_TEST(engine.tracking().started == rounds);
    BOOST_TEST_MESSAGE("figure: after each of " << rounds << " connections no more than " << most_connections
                                                << " connections and " << most_frames << " frames were kept");
    auto const grown = pages() - std::min(pages(), pages_before);
    BOOST_TEST_MESSAGE("figure: of " << pages_before << " resident pages after the first tenth, " << grown
                                     << " came with the rest");
    if (std::getenv("NETRING_ASIO_MILLION") != nullptr)
        BOOST_TEST(grown < 256u);
}

BOOST_AUTO_TEST_CASE(a_predicate_that_many_ask_for_is_one) {
    auto const a = packets("http.host ~ 'a' and tcp.port = 80");
    auto const b = connections("not http.host ~ 'a' or tcp.syn");
    auto const c = sessions("tcp.port = 80");
    BOOST_TEST(engine.statistics().subscriptions == 3u);
    BOOST_TEST(engine.statistics().predicates == 3u);
    engine.unsubscribe(*b);
    BOOST_TEST(engine.statistics().predicates == 2u);
}

BOOST_AUTO_TEST_CASE(the_filter_before_it_passes_all_that_is_needed) {
    BOOST_TEST(engine.needed().find("not (tcp or udp)") == 0u);
    auto const a = packets("tcp.port in {80, 443} and tls.sni = 'a'");
    BOOST_TEST(engine.needed().find("((tcp port 80 or tcp port 443) and (tcp))") != std::string::npos, engine.needed());
    auto const b = packets("ipv4.addr = 10.0.0.0/8 and not udp");
    BOOST_TEST(engine.needed().find("((ip net 10.0.0.0/8) and (not udp))") != std::string::npos, engine.needed());
    auto const c = packets("frame.length > 100");
    BOOST_TEST(engine.needed().empty());
    engine.unsubscribe(*c);
    BOOST_TEST(!engine.needed().empty());
}

BOOST_AUTO_TEST_SUITE_END()
