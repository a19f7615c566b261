#include "traffic.hpp"
#include <netring_asio/flow/detail/history_log.hpp>
#include <netring_asio/flow/event_batch.hpp>
#include <netring_asio/flow/tracker.hpp>

#include <boost/test/unit_test.hpp>

#include <map>
#include <random>
#include <sstream>
#include <tuple>

namespace nr = netring_asio;
namespace flow = netring_asio::flow;
using flow::end_reason;
using flow::event_kind;
using namespace std::chrono_literals;
using namespace test;

namespace {

using told = std::vector<std::string>;

told short_form(std::vector<flow::event> const& events) {
    told result;
    for (auto const& e : events) {
        std::ostringstream out;
        out << e.kind;
        if (e.reason != end_reason::none)
            out << ' ' << e.reason;
        result.push_back(out.str());
    }
    return result;
}

struct run {
    explicit run(traffic const& t, flow::tracker_options const& options = flow::tracker_options{})
        : tracker{flow::five_tuple{}, options} {
        tracker.track(t.views, events);
    }
    told kinds() const { return short_form(events); }
    flow::tracker<flow::five_tuple> tracker;
    std::vector<flow::event> events;
};

void check(told const& got, told const& expected) { BOOST_TEST(got == expected, boost::test_tools::per_element()); }

} // namespace

BOOST_AUTO_TEST_CASE(a_connection_from_syn_to_fin) {
    traffic t;
    t.handshake(0s);
    t.tcp(10ms, true, ack, 101, 501, 30);
    t.tcp(20ms, false, ack, 501, 131, 700);
    t.tcp(30ms, true, fin | ack, 131, 1201);
    t.tcp(40ms, false, fin | ack, 1201, 132);
    t.tcp(50ms, true, ack, 132, 1202);
    run r{t};
    check(r.kinds(), {"started", "established", "ended fin"});
    auto const& e = r.events.back();
    BOOST_TEST(e.initiator().port == 40000);
    BOOST_TEST(e.responder().port == 80);
    BOOST_TEST(e.stats.forward.packets == 5u);
    BOOST_TEST(e.stats.reverse.packets == 3u);
    BOOST_TEST(e.stats.forward.payload_bytes == 30u);
    BOOST_TEST(e.stats.reverse.payload_bytes == 700u);
    BOOST_TEST(e.stats.forward.ip_bytes == 5u * 40 + 30);
    BOOST_TEST(e.stats.forward.wire_bytes == 5u * 54 + 30);
    BOOST_TEST(e.stats.forward.tcp_flags == (syn | fin | ack));
    BOOST_TEST((e.stats.first_time == epoch));
    BOOST_TEST((e.stats.last_time == epoch + 50ms));
    BOOST_TEST(r.events[0].flow_id == e.flow_id);
    std::ostringstream line;
    line << e;
    BOOST_TEST(line.str() == "2023-11-14 22:13:20.050000 ended (fin) tcp 10.0.0.9:40000 > 10.0.0.2:80"
                             "  -> 5 packets 300 bytes <- 3 packets 862 bytes  0.050 s  SF ShADdFf");
}

BOOST_AUTO_TEST_CASE(stragglers_make_no_new_flow) {
    traffic t;
    t.handshake(0s);
    t.tcp(10ms, false, rst, 501);
    t.tcp(20ms, true, ack, 101, 501, 5);
    t.tcp(30ms, true, ack, 106, 501, 5);
    t.tcp(20s, true, ack, 111, 501, 5); // long after: a flow of its own, picked up in mid-stream
    run r{t};
    check(r.kinds(), {"started", "established", "ended rst", "late", "started"});
    BOOST_TEST(r.events[3].stats.forward.packets == 2u);
    BOOST_TEST(r.events[3].flow_id == r.events[0].flow_id);
    BOOST_TEST(r.tracker.statistics().flows == 1u);
}

namespace {

/// A packet of a connection: who sends it, what it carries.
struct step {
    bool from_client;
    unsigned flags;
    std::uint32_t sequence;
    std::uint32_t acknowledgment = 0;
    std::size_t payload = 0;
};

struct course {
    char const* name;
    std::vector<step> steps;
    flow::connection_state state;
    char const* history;
    end_reason reason = end_reason::flushed;
};

} // namespace

BOOST_AUTO_TEST_CASE(how_connections_go_in_zeeks_words) {
    using enum flow::connection_state;
    step const s{true, syn, 100};
    step const h{false, syn | ack, 500, 101};
    step const a{true, ack, 101, 501};
    std::vector<course> const courses{
        {"unanswered", {s, s}, s0, "S"},
        {"established", {s, h, a}, s1, "ShA"},
        {"refused", {s, {false, rst | ack, 0, 101}}, rej, "Sr", end_reason::rst},
        {"reset that refuses another attempt", {s, {false, rst | ack, 0, 90}}, s0, "Sr"},
        {"given up", {s, {true, rst, 101}}, rstos0, "SR", end_reason::rst},
        {"closed by both",
         {s,
          h,
          a,
          {true, ack, 101, 501, 9},
          {false, ack, 501, 110},
          {false, ack, 501, 110, 9},
          {true, ack, 110, 510},
          {true, fin | ack, 110, 510},
          {false, fin | ack, 510, 111},
          {true, ack, 111, 511}},
         sf,
         "ShADadFf",
         end_reason::fin},
        {"half closed by the client", {s, h, a, {true, fin | ack, 101, 501}, {false, ack, 501, 102, 9}}, s2, "ShAFd"},
        {"half closed by the server", {s, h, a, {false, fin | ack, 501, 101}, {true, ack, 101, 502, 9}}, s3, "ShAfD"},
        {"reset by the client", {s, h, a, {true, rst, 101}}, rsto, "ShAR", end_reason::rst},
        {"reset by the server", {s, h, a, {false, rst, 501}}, rstr, "ShAr", end_reason::rst},
        {"reset by the server behind its FIN",
         {s, h, a, {false, fin | ack, 501, 101}, {false, rst, 502}},
         rstr,
         "ShAfr",
         end_reason::rst},
        {"stealthy", {s, {true, fin, 101}}, sh, "SF"},
        {"an answer alone", {h}, oth, "^h"},
        {"an answer and its end", {h, {false, fin | ack, 501, 101}}, shr, "^hf"},
        {"an answer that is reset", {h, {false, rst, 501}}, rstrh, "^hr", end_reason::rst},
        {"picked up", {{true, ack, 150, 550, 5}, {false, ack, 550, 155, 5}, {false, ack, 555, 155}}, oth, "Dda"},
        {"picked up at the end",
         {{true, fin | ack, 150, 550}, {false, fin | ack, 550, 151}, {true, ack, 151, 551}},
         sf,
         "FfA",
         end_reason::fin},
        {"simultaneous open",
         {s, {false, syn, 500}, {true, syn | ack, 100, 501}, {false, syn | ack, 500, 101}},
         s1,
         "SsHh"},
        {"answer before the attempt", {h, s, a}, s1, "^hSA"},
        {"data before the attempt", {{false, ack, 501, 101, 5}, s, h, a}, s1, "D^ShA"},
        {"data before the answer", {{false, ack, 501, 101, 5}, h, a}, s1, "D^hA"},
        {"a flag too many", {{true, syn | fin, 100}, {true, fin | rst, 101}}, oth, "QI", end_reason::rst},
    };
    for (auto const& c : courses) {
        BOOST_TEST_CONTEXT(c.name) {
            traffic t;
            std::chrono::nanoseconds at{};
            for (auto const& p : c.steps)
                t.tcp(at += 1ms, p.from_client, p.flags, p.sequence, p.acknowledgment, p.payload);
            run r{t};
            while (r.tracker.flush(r.events)) {
            }
            BOOST_REQUIRE(!r.events.empty());
            auto const& e = r.events.back();
            BOOST_TEST(e.stats.state == c.state);
            BOOST_TEST(e.stats.history.str() == c.history);
            BOOST_TEST(e.reason == c.reason);
            BOOST_TEST(e.initiator().port == 40000);
            BOOST_TEST(e.stats.packets() == c.steps.size());
        }
    }
}

BOOST_AUTO_TEST_CASE(a_history_has_room_for_what_comes_last) {
    flow::detail::history_marks marks;
    flow::history written;
    flow::detail::history_log log{marks, written};
    for (std::uint32_t i = 1; i != 2'000'000; ++i)
        for (char const letter : {'T', 'W', 'G'})
            log.note_scaled(i % 2, letter, i);
    log.flip();
    for (unsigned bit = 1; bit != 256; bit *= 2) {
        log.note(0, static_cast<std::uint8_t>(bit));
        log.note(1, static_cast<std::uint8_t>(bit));
    }
    auto const text = written.str();
    BOOST_TEST(text.size() == flow::history::capacity);
    BOOST_TEST(text.ends_with("^SsHhAaDdFfRrIiQq"));
}

BOOST_AUTO_TEST_CASE(facts_of_a_handshake) {
    auto const with_options = [](bool from_client, unsigned flags, std::uint32_t sequence, std::uint32_t acknowledgment,
                                 std::initializer_list<unsigned> options) {
        auto frame = test::craft{}.put(options);
        if (from_client)
            frame.tcp(40000, 80, flags, sequence, acknowledgment);
        else
            frame.tcp(80, 40000, flags, sequence, acknowledgment);
        frame.bytes()[12] = static_cast<std::uint8_t>((20 + options.size()) / 4 << 4);
        if (from_client)
            frame.ipv4("10.0.0.9", "10.0.0.2", 6);
        else
            frame.ipv4("10.0.0.2", "10.0.0.9", 6);
        return frame.ethernet(0x0800);
    };
    traffic t;
    t.add(0s, with_options(true, syn, 100, 0, {2, 4, 5, 180, 1, 3, 3, 7}));
    t.add(20ms, with_options(false, syn | ack, 500, 101, {1, 1, 3, 3, 20, 0, 9, 9}));
    t.tcp(23ms, true, ack, 101, 501);
    run r{t};
    BOOST_REQUIRE(r.events.size() == 2u);
    auto const& stats = r.events[1].stats;
    BOOST_TEST(stats.forward.initial_sequence.value() == 100u);
    BOOST_TEST(stats.reverse.initial_sequence.value() == 500u);
    BOOST_TEST(stats.forward.maximum_segment_size.value() == 1460u);
    BOOST_TEST(!stats.reverse.maximum_segment_size.has_value());
    BOOST_TEST(int{stats.forward.window_scale.value()} == 7);
    BOOST_TEST(int{stats.reverse.window_scale.value()} == 14); // RFC 7323, 2.3
    BOOST_TEST((stats.responder_round_trip.value() == 20ms));
    BOOST_TEST((stats.initiator_round_trip.value() == 3ms));
    BOOST_TEST((stats.round_trip().value() == 23ms));
}

BOOST_AUTO_TEST_CASE(a_repeated_attempt_has_no_round_trip) {
    traffic t;
    t.tcp(0s, true, syn, 100);
    t.tcp(1s, true, syn, 100);
    t.tcp(1001ms, false, syn | ack, 500, 101);
    t.tcp(1002ms, true, ack, 101, 501);
    run r{t};
    BOOST_TEST(!r.events.back().stats.round_trip().has_value());
    BOOST_TEST(r.events.back().stats.forward.retransmitted == 1u);
}

BOOST_AUTO_TEST_CASE(what_comes_late_again_or_never) {
    traffic t;
    t.handshake(0s);
    t.tcp(1s, true, ack, 101, 501, 100);
    t.tcp(2s, true, ack, 301, 501, 100); // 100 bytes before it are missing
    t.tcp(3s, true, ack, 101, 501, 100); // again
    t.tcp(4s, true, ack, 201, 501, 100); // late
    t.tcp(5s, true, ack, 201, 501, 100); // again
    t.tcp(6s, true, ack, 400, 501, 1);   // a keep-alive
    t.tcp(7s, true, ack, 501, 501, 100); // another 100 are missing
    t.tcp(8s, false, ack, 501, 601);     // and acknowledged
    t.tcp(9s, false, ack, 501, 601);
    t.frames.back().bytes()[14 + 20 + 14] = t.frames.back().bytes()[14 + 20 + 15] = 0; // window
    run r{t};
    r.tracker.flush(r.events);
    auto const& stats = r.events.back().stats;
    BOOST_TEST(stats.forward.retransmitted == 2u);
    BOOST_TEST(stats.forward.out_of_order == 1u);
    BOOST_TEST(stats.forward.missed_bytes == 100u);
    BOOST_TEST(stats.reverse.zero_windows == 1u);
    BOOST_TEST(stats.reverse.retransmitted + stats.reverse.out_of_order + stats.reverse.missed_bytes == 0u);
    BOOST_TEST(stats.history.str() == "ShADTaGw");
}

BOOST_AUTO_TEST_CASE(a_new_syn_ends_the_old_connection) {
    traffic t;
    t.handshake(0s);
    t.tcp(1s, true, syn, 100); // the same again: a retransmission
    t.tcp(2s, true, syn, 99'000);
    run r{t};
    check(r.kinds(), {"started", "established", "ended reused", "started"});
    BOOST_TEST(r.events[2].stats.forward.packets == 3u);
}

BOOST_AUTO_TEST_CASE(who_answers_an_unseen_syn_is_the_responder) {
    traffic t;
    t.tcp(0s, false, syn | ack, 500, 101);
    t.tcp(1ms, true, ack, 101, 501);
    run r{t};
    check(r.kinds(), {"started", "established"});
    BOOST_TEST(r.events[0].initiator().port == 40000);
    BOOST_TEST(r.events[1].stats.forward.packets == 1u);
}

BOOST_AUTO_TEST_CASE(a_reset_outside_the_window_is_ignored) {
    for (auto const& [sequence, is_accepted] : {std::pair{501 + 0x7000'0000U, false},
                                                {501 + 0x10001U, false},
                                                {501 + 0xffffU, true},
                                                {501U, true},
                                                {500U, true},
                                                {499U, false}}) {
        traffic t;
        t.handshake(0s);
        t.tcp(1s, false, rst, sequence);
        run r{t};
        BOOST_TEST(r.kinds().size() == (is_accepted ? 3u : 2u));
    }
}

BOOST_AUTO_TEST_CASE(idle_timeouts_by_protocol) {
    traffic t;
    t.handshake(0s);
    t.udp(0s, true);
    t.udp(0s, false);
    t.tcp(0s, true, syn, 1, 0, 0, 40001);
    t.add(0s, test::craft{8}.put({8, 0, 0, 0, 0, 1, 0, 1}).ipv4("10.0.0.1", "10.0.0.2", 1).ethernet(0x0800));
    run r{t};
    r.events.clear();
    auto const expired_by = [&](std::chrono::seconds at) {
        r.events.clear();
        r.tracker.advance(epoch + at + 100ms, r.events);
        std::vector<int> protocols;
        for (auto const& e : r.events) {
            BOOST_TEST((e.reason == end_reason::idle));
            protocols.push_back(e.key.protocol);
        }
        return protocols;
    };
    BOOST_TEST(expired_by(4s) == std::vector<int>{}, boost::test_tools::per_element());
    BOOST_TEST(expired_by(5s) == std::vector<int>{6}, boost::test_tools::per_element());
    BOOST_TEST(expired_by(29s) == std::vector<int>{}, boost::test_tools::per_element());
    BOOST_TEST(expired_by(30s) == std::vector<int>{1}, boost::test_tools::per_element());
    BOOST_TEST(expired_by(60s) == std::vector<int>{17}, boost::test_tools::per_element());
    BOOST_TEST(expired_by(299s) == std::vector<int>{}, boost::test_tools::per_element());
    BOOST_TEST(expired_by(300s) == std::vector<int>{6}, boost::test_tools::per_element());
    BOOST_TEST(!r.tracker.next_expiry().has_value());
}

BOOST_AUTO_TEST_CASE(use_puts_the_timeout_off) {
    traffic t;
    for (int i = 0; i != 10; ++i)
        t.udp(i * 50s, true);
    run r{t};
    check(r.kinds(), {"started"});
    t = {};
    t.udp(450s + 61s, true);
    r.tracker.track(t.views, r.events);
    check(r.kinds(), {"started", "ended idle", "started"});
    BOOST_TEST(r.events[1].stats.forward.packets == 10u);
}

BOOST_AUTO_TEST_CASE(a_long_flow_is_told_in_parts) {
    traffic t;
    for (int i = 0; i != 25; ++i)
        t.udp(i * 1s, true);
    run r{t, flow::tracker_options{}.active_timeout(10s)};
    check(r.kinds(), {"started", "ended active timeout", "started", "ended active timeout", "started"});
    r.tracker.flush(r.events);
    BOOST_TEST(r.events[1].stats.forward.packets + r.events[3].stats.forward.packets +
                   r.events[5].stats.forward.packets ==
               25u);
    BOOST_TEST(r.events[5].flow_id == r.events[0].flow_id);
}

BOOST_AUTO_TEST_CASE(a_full_table_gives_up_what_is_worth_least) {
    traffic t;
    t.handshake(0s);                      // answered
    t.udp(1s, true, 1);                   // one-sided
    t.udp(1s, true, 2);                   // one-sided, used last
    t.tcp(1s, true, syn, 1, 0, 0, 40001); // unanswered
    t.udp(2s, true, 1);                   // now it is used last
    auto const options = flow::tracker_options{}.max_flows(4);
    run r{t, options};
    auto const victim = [&](unsigned port) {
        r.events.clear();
        traffic more;
        more.tcp(3s, true, ack, 1, 1, 0, port); // one-sided
        r.tracker.track(more.views, r.events);
        BOOST_REQUIRE(r.events.size() == 2u);
        BOOST_TEST((r.events[0].reason == end_reason::evicted));
        return r.events[0].initiator().port;
    };
    BOOST_TEST(victim(50001) == 40001);
    BOOST_TEST(victim(50002) == 2);
    BOOST_TEST(victim(50003) == 1);
    BOOST_TEST(victim(50004) == 50001);
    BOOST_TEST(r.tracker.statistics().evicted == 4u);
    BOOST_TEST(r.tracker.statistics().flows == 4u);
}

BOOST_AUTO_TEST_CASE(one_wild_stamp_expires_nothing) {
    traffic t;
    t.udp(0s, true);
    t.udp(0s, true);
    t.udp(5h, true, 7);
    t.udp(1s, false);
    run r{t};
    check(r.kinds(), {"started", "started", "established"});
    BOOST_TEST(r.tracker.statistics().doubted_stamps == 1u);
    BOOST_TEST((*r.tracker.now() == epoch + 1s));

    t = {};
    t.udp(9h, true, 7);
    t.udp(9h + 1s, true, 7);
    r.tracker.track(t.views, r.events);
    BOOST_TEST(r.tracker.statistics().clock_jumps == 1u);
    BOOST_TEST((*r.tracker.now() == epoch + 9h + 1s));
}

BOOST_AUTO_TEST_CASE(time_never_goes_back) {
    traffic t;
    t.udp(100s, true);
    t.udp(100s, true);
    t.udp(0s, false);
    run r{t};
    BOOST_TEST((*r.tracker.now() == epoch + 100s));
    t = {};
    for (int i = 1; i != 101; ++i)
        t.udp(i * 1s, true, 7); // a clock that was set back goes on all the same
    r.events.clear();
    r.tracker.track(t.views, r.events);
    check(r.kinds(), {"started", "ended idle"});
    BOOST_TEST((*r.tracker.now() == epoch + 200s));
    r.tracker.flush(r.events);
    BOOST_TEST((r.events[1].stats.last_time == epoch));
}

BOOST_AUTO_TEST_CASE(counters_are_told_before_they_overflow) {
    traffic t;
    t.udp(0s, true);
    t.views[0].wire_length = 0xffff'ffff;
    std::vector<nr::packet_view> const views(40'000, t.views[0]);
    flow::tracker tracker{flow::five_tuple{}};
    std::vector<flow::event> events;
    tracker.track(views, events);
    check(short_form(events), {"started", "ended active timeout", "started"});
    tracker.flush(events);
    BOOST_TEST(events[1].stats.wire_bytes() + events[3].stats.wire_bytes() == 40'000 * std::uint64_t{0xffff'ffff});
    BOOST_TEST(events[1].stats.wire_bytes() >= std::uint64_t{1} << 47);
}

BOOST_AUTO_TEST_CASE(every_packet_is_counted_once_while_the_table_grows) {
    traffic t;
    random_numbers random{std::mt19937{3}};
    for (unsigned i = 0; i != 60'000; ++i)
        t.udp(std::chrono::microseconds{i}, random() % 2 == 0, random() % 20'000);
    std::map<std::uint16_t, std::uint64_t> expected;
    for (auto const& frame : t.frames) {
        auto bytes = frame;
        auto const a = static_cast<unsigned>(bytes.bytes()[34] << 8 | bytes.bytes()[35]);
        auto const b = static_cast<unsigned>(bytes.bytes()[36] << 8 | bytes.bytes()[37]);
        ++expected[static_cast<std::uint16_t>(a == 53 ? b : a)];
    }
    run r{t};
    while (r.tracker.flush(r.events)) {
    }
    std::map<std::uint16_t, std::uint64_t> got;
    for (auto const& e : r.events)
        if (e.kind == event_kind::ended)
            got[e.key.a.port == 53 ? e.key.b.port : e.key.a.port] += e.stats.packets();
    BOOST_TEST((got == expected));
    BOOST_TEST(r.tracker.statistics().flows == 0u);
    BOOST_TEST(r.tracker.statistics().started == r.tracker.statistics().ended);
}

namespace {

struct by_destination {
    struct key_type {
        bool private_use = false; // and padding behind it: not hashed by its bytes
        std::uint32_t last = 0;
        friend bool operator==(key_type const&, key_type const&) = default;
        friend std::size_t hash_value(key_type const& key) { return key.last; }
        friend std::ostream& operator<<(std::ostream& out, key_type const& key) { return out << ".." << key.last; }
    };
    std::optional<flow::extracted<key_type>> operator()(nr::decode::headers const& packet) const {
        if (!packet.has_ip())
            return std::nullopt;
        return flow::extracted<key_type>{{true, packet.destination.bytes[15]}, flow::orientation::a_to_b};
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(an_extractor_of_the_users_own) {
    traffic t;
    t.udp(0s, true, 1);
    t.udp(0s, true, 2);
    t.udp(0s, false, 1);
    flow::tracker tracker{by_destination{}};
    std::vector<flow::basic_event<by_destination::key_type>> events;
    tracker.track(t.views, events);
    BOOST_REQUIRE(events.size() == 2u);
    BOOST_TEST(events[1].key.last == 9u);
    std::ostringstream line;
    line << events[0];
    BOOST_TEST(line.str() == "2023-11-14 22:13:20.000000 started ..2");
}

namespace {

/// Web connections live long, others short; counts packets of each side.
struct by_service : flow::five_tuple {
    struct state_type {
        unsigned requests = 0;
        std::string last; // not trivial: it is made and destroyed
    };
    void update(state_type& state, nr::decode::headers const& packet, flow::orientation) const {
        state.requests += packet.destination_port == 53;
        state.last = "port " + std::to_string(packet.source_port) + " spoke last, which is more than fits in place";
    }
    std::optional<std::chrono::nanoseconds> idle_timeout(flow::five_tuple_key const& key) const {
        if (key.a.port == 7 || key.b.port == 7)
            return 2s;
        return std::nullopt;
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(state_of_the_users_own_and_timeouts_by_key) {
    traffic t;
    t.udp(0s, true, 7);
    t.udp(0s, true, 8);
    t.udp(1s, true, 8);
    t.udp(1s, false, 8);
    flow::tracker tracker{by_service{}};
    std::vector<flow::basic_event<flow::five_tuple_key, by_service::state_type>> events;
    tracker.track(t.views, events);
    events.clear();
    tracker.advance(epoch + 3s, events);
    BOOST_REQUIRE(events.size() == 1u);
    BOOST_TEST(events[0].initiator().port == 7);
    BOOST_TEST(events[0].state.requests == 1u);
    tracker.flush(events);
    BOOST_REQUIRE(events.size() == 2u);
    BOOST_TEST(events[1].state.requests == 2u);
    BOOST_TEST(events[1].state.last == "port 53 spoke last, which is more than fits in place");
}

namespace {

template <class Extractor>
told keys_of(traffic const& t, Extractor extract, nr::decode::decoder_options const& decoding = {}) {
    flow::tracker tracker{extract, flow::tracker_options{}.decoding(decoding)};
    std::vector<typename flow::tracker<Extractor>::event_type> events;
    tracker.track(t.views, events);
    told result;
    for (auto const& e : events)
        if (e.kind == event_kind::started) {
            std::ostringstream out;
            print(out, e.key, e.orientation);
            result.push_back(out.str());
        } else if (e.kind == event_kind::ended) {
            result.push_back("ended");
        }
    return result;
}

} // namespace

BOOST_AUTO_TEST_CASE(keys_of_hosts_stations_networks_and_tunnels) {
    traffic t;
    t.handshake(0s);
    t.tcp(1s, true, rst, 101);
    t.tcp(2s, true, syn, 900'000);
    t.udp(3s, false);
    check(keys_of(t, flow::ip_pair{}), {"10.0.0.9 > 10.0.0.2"});
    check(keys_of(t, flow::mac_pair{}), {"02:00:00:00:00:01 > 02:00:00:00:00:02"});

    t = {};
    auto const inner = [] { return test::craft{4}.udp(5000, 53).ipv4("10.0.0.9", "10.0.0.2", 17); };
    t.add(0s, inner().ethernet(0x0800));
    t.add(0s, inner().vlan(10, 0x0800).ethernet(0x8100));
    t.add(0s, inner().vlan(20, 0x0800).vlan(10, 0x8100).ethernet(0x88a8));
    for (unsigned const vni : {7U, 8U})
        t.add(0s, inner()
                      .ethernet(0x0800)
                      .put({8, 0, 0, 0, 0, 0, vni, 0})
                      .udp(9999, 4789)
                      .ipv4("1.1.1.1", "1.1.1.2", 17)
                      .ethernet(0x0800));
    check(keys_of(t, flow::five_tuple{}), {"udp 10.0.0.9:5000 > 10.0.0.2:53"});
    check(keys_of(t, flow::with_vlan<flow::five_tuple>{}),
          {"udp 10.0.0.9:5000 > 10.0.0.2:53", "udp 10.0.0.9:5000 > 10.0.0.2:53 vlan 10",
           "udp 10.0.0.9:5000 > 10.0.0.2:53 vlan 10.20"});
    check(keys_of(t, flow::with_tunnel<flow::ip_pair>{}),
          {"10.0.0.9 > 10.0.0.2", "10.0.0.9 > 10.0.0.2 in vxlan 7", "10.0.0.9 > 10.0.0.2 in vxlan 8"});
    check(
        keys_of(t, flow::with_tunnel<flow::with_vlan<flow::mac_pair>>{}, nr::decode::decoder_options{}.max_tunnels(0)),
        {"02:00:00:00:00:01 > 02:00:00:00:00:02", "02:00:00:00:00:01 > 02:00:00:00:00:02 vlan 10",
         "02:00:00:00:00:01 > 02:00:00:00:00:02 vlan 10.20"});
}
