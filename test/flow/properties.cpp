// What must not change a result does not, over generated traffic.

#include "traffic.hpp"
#include <netring_asio/flow/tracker.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

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

namespace {

/// A connection that keeps a record of itself, by which to judge what is told of it.
class conversation {
public:
    conversation(unsigned seed, unsigned port)
        : random_{std::mt19937{seed}}
        , port_{port}
        , next_{random_() | 0xffff0000U, random_()} { // one wraps soon
    }

    /// Adds the next packet, if there is one.
    void step(traffic& t, std::chrono::nanoseconds at) {
        bool const client = random_() % 2 == 0;
        switch (steps_++) {
        case 0:
            return send(t, at, true, syn, 'S');
        case 1:
            return send(t, at, false, syn | ack, 'H');
        case 2:
            return send(t, at, true, ack, 'A');
        default:
            break;
        }
        if (ended_)
            return;
        auto const kind = random_() % 64;
        if (kind == 0)
            return close(t, at, client);
        if (kind == 1) {
            send(t, at, client, rst, 'R');
            ended_ = true;
        } else if (kind < 5 && sent_[client]) {
            ++retransmitted_[client];
            note_scaled(client, 'T', retransmitted_[client]);
            auto const length = *sent_[client];
            next_[client] -= static_cast<std::uint32_t>(length);
            send(t, at, client, ack, 'D', length);
        } else if (kind < 7 && sent_[client]) { // a keep-alive
            --next_[client];
            send(t, at, client, ack, 'A');
            ++next_[client];
        } else if (kind < 9) {
            window_ = 0;
            ++zero_windows_[client];
            note_scaled(client, 'W', zero_windows_[client]);
            send(t, at, client, ack, 'A');
            window_ = 0xff;
        } else if (kind < 40) {
            sent_[client] = 2 + random_() % 1400;
            send(t, at, client, ack | (kind % 2 == 0 ? 8U : 0U), 'D', *sent_[client]);
        } else {
            send(t, at, client, ack, 'A');
        }
    }

    /// As `line` has it of an event.
    std::string expected() const {
        std::ostringstream out;
        out << port_ << ' '
            << (history_.find_first_of("Rr") != history_.npos ? "rst"
                : ended_                                      ? "fin"
                                                              : "flushed")
            << ' ' << history_;
        for (bool const client : {true, false})
            out << " | " << packets_[client] << ' ' << wire_bytes_[client] << ' ' << payload_bytes_[client] << ' '
                << retransmitted_[client] << ' ' << zero_windows_[client] << ' ' << flags_[client];
        return out.str();
    }
    static std::string line(flow::event const& e) {
        std::ostringstream out;
        out << e.initiator().port << ' ' << e.reason << ' ' << e.stats.history;
        for (auto const* d : {&e.stats.forward, &e.stats.reverse})
            out << " | " << d->packets << ' ' << d->wire_bytes << ' ' << d->payload_bytes << ' ' << d->retransmitted
                << ' ' << d->zero_windows << ' ' << unsigned{d->tcp_flags};
        return out.str();
    }

private:
    void close(traffic& t, std::chrono::nanoseconds at, bool client) {
        send(t, at, client, fin | ack, 'F');
        send(t, at, !client, fin | ack, 'F');
        send(t, at, client, ack, 'A');
        ended_ = true;
    }
    void note(bool client, char letter) { history_ += client ? letter : static_cast<char>(letter - 'A' + 'a'); }
    void note_scaled(bool client, char letter, unsigned count) {
        if (count == 1 || count == 10 || count == 100)
            pending_ = client ? letter : static_cast<char>(letter - 'A' + 'a');
    }
    void send(traffic& t, std::chrono::nanoseconds at, bool client, unsigned flags, char letter,
              std::size_t payload = 0) {
        if (auto const written = client ? letter : static_cast<char>(letter - 'A' + 'a');
            history_.find(written) == history_.npos)
            note(client, letter);
        if (pending_ != 0)
            history_ += std::exchange(pending_, '\0');
        t.tcp(at, client, flags, next_[client], (flags & ack) != 0 ? next_[!client] : 0, payload, port_);
        auto& bytes = t.frames.back().bytes();
        bytes[14 + 20 + 14] = bytes[14 + 20 + 15] = static_cast<std::uint8_t>(window_);
        next_[client] += static_cast<std::uint32_t>(payload) + ((flags & (syn | fin)) != 0 ? 1U : 0U);
        ++packets_[client];
        wire_bytes_[client] += bytes.size();
        payload_bytes_[client] += payload;
        flags_[client] |= flags;
    }

    random_numbers random_;
    unsigned port_;
    unsigned steps_ = 0;
    unsigned window_ = 0xff;
    bool ended_ = false;
    char pending_ = 0;
    std::string history_;
    // Of the server, and of the client.
    std::array<std::uint32_t, 2> next_;
    std::array<std::optional<std::size_t>, 2> sent_;
    std::array<unsigned, 2> packets_{};
    std::array<std::size_t, 2> wire_bytes_{};
    std::array<std::size_t, 2> payload_bytes_{};
    std::array<unsigned, 2> retransmitted_{};
    std::array<unsigned, 2> zero_windows_{};
    std::array<unsigned, 2> flags_{};
};

} // namespace

// Connections that are mostly data in order, with now and then something else between.
BOOST_AUTO_TEST_CASE(conversations_are_told_as_they_went) {
    std::size_t count = 0;
    std::size_t packets = 0;
    for (unsigned seed = 0; seed != 200; ++seed) {
        traffic t;
        std::vector<conversation> all;
        for (unsigned i = 0; i != 6; ++i)
            all.emplace_back(seed * 100 + i, 40000 + i);
        random_numbers random{std::mt19937{seed}};
        for (int i = 0; i != 250; ++i)
            all[random() % all.size()].step(t, std::chrono::milliseconds{i});
        flow::tracker tracker{flow::five_tuple{}};
        std::vector<flow::event> events;
        tracker.track(t.views, events);
        while (tracker.flush(events)) {
        }
        std::multiset<std::string> expected;
        std::multiset<std::string> got;
        for (auto const& c : all)
            expected.insert(c.expected());
        for (auto const& e : events)
            if (e.kind == flow::event_kind::ended)
                got.insert(conversation::line(e));
        BOOST_TEST_CONTEXT("seed " << seed) {
            BOOST_REQUIRE_EQUAL_COLLECTIONS(got.begin(), got.end(), expected.begin(), expected.end());
        }
        count += all.size();
        packets += t.views.size();
    }
    BOOST_TEST_MESSAGE("figure: " << count << " generated connections of " << packets << " packets, told as they went");
}

// Where checksums are verified, a packet with a wrong one changes nothing but counters, whatever else it says.
BOOST_AUTO_TEST_CASE(a_wrong_checksum_changes_nothing) {
    std::size_t corrupt = 0;
    for (unsigned seed = 0; seed != 200; ++seed) {
        random_numbers random{std::mt19937{seed + 30'000}};
        auto const clean = random_traffic(seed, 300);
        traffic t;
        std::uint64_t wrong = 0;
        for (std::size_t i = 0; i != clean.views.size(); ++i) {
            auto frame = clean.frames[i];
            t.add(clean.views[i].time - epoch, frame.sign());
            if (random() % 4 != 0)
                continue;
            if (random() % 5 == 0)
                frame.bytes()[14 + 8] ^= 1; // of the IPv4 header: nobody's
            else
                frame.bytes()[14 + 20 + 4 + random() % (frame.size() - 14 - 20 - 4)] ^=
                    static_cast<std::uint8_t>(1U << random() % 8);
            t.add(clean.views[i].time - epoch, frame);
            ++wrong;
        }
        auto const ends = [](traffic const& of, flow::tracker<flow::five_tuple>& tracker) {
            std::vector<flow::event> events;
            tracker.track(of.views, events);
            while (tracker.flush(events)) {
            }
            std::multiset<std::string> result;
            for (auto const& e : events) {
                if (e.kind != flow::event_kind::ended)
                    continue;
                auto history = e.stats.history.str();
                std::erase_if(history, [](char letter) { return letter == 'C' || letter == 'c'; });
                std::ostringstream out;
                print(out, e.key, e.orientation);
                out << ' ' << e.reason << ' ' << e.flow_id << ' ' << e.stats.state << ' ' << history;
                for (auto const* d : {&e.stats.forward, &e.stats.reverse})
                    out << ' ' << d->packets - d->bad_checksums << ' ' << d->retransmitted << ' ' << d->missed_bytes
                        << ' ' << unsigned{d->tcp_flags};
                result.insert(out.str());
            }
            return result;
        };
        auto const options = flow::tracker_options{}.active_timeout(seed % 3 == 0 ? 20s : 0s);
        flow::tracker undisturbed{flow::five_tuple{}, options};
        flow::tracker disturbed{flow::five_tuple{}, flow::tracker_options{options}.verifying_checksums(true)};
        BOOST_TEST_CONTEXT("seed " << seed) { BOOST_REQUIRE((ends(clean, undisturbed) == ends(t, disturbed))); }
        BOOST_REQUIRE(disturbed.statistics().bad_checksums == wrong);
        corrupt += wrong;
    }
    BOOST_TEST_MESSAGE("figure: " << corrupt << " packets with a wrong checksum: no flow is told otherwise");
}

BOOST_AUTO_TEST_CASE(a_wrong_checksum_is_a_letter) {
    traffic t;
    auto const tcp = [&t](bool from_client, unsigned flags, std::uint32_t sequence, std::uint32_t acknowledgment,
                          std::size_t payload, bool right) {
        t.tcp(0s, from_client, flags, sequence, acknowledgment, payload);
        t.frames.back().sign().bytes().back() ^= right ? 0 : 1;
    };
    tcp(true, syn, 100, 0, 0, true);
    tcp(false, syn | ack, 500, 101, 0, true);
    tcp(true, ack, 101, 501, 0, true);
    for (int i = 0; i != 10; ++i)
        tcp(true, ack, 101, 501, 10, false);
    tcp(true, ack, 101, 501, 10, true);
    tcp(false, rst, 501, 0, 3, false);
    auto const end_of = [&t](bool verifying, nr::checksum_state state) {
        for (auto& view : t.views)
            view.checksum = state;
        flow::tracker tracker{flow::five_tuple{}, flow::tracker_options{}.verifying_checksums(verifying)};
        std::vector<flow::event> events;
        tracker.track(t.views, events);
        tracker.flush(events);
        return events.back();
    };
    auto const told = end_of(true, nr::checksum_state::unknown);
    BOOST_TEST(told.stats.history.str() == "ShACCDc");
    BOOST_TEST(told.stats.forward.bad_checksums == 10u);
    BOOST_TEST(told.stats.reverse.bad_checksums == 1u);
    BOOST_TEST(told.stats.forward.packets == 13u);
    BOOST_TEST(told.stats.forward.retransmitted == 0u);
    BOOST_TEST((told.reason == flow::end_reason::flushed));
    // A device that verified them, or has yet to compute them, is believed.
    for (auto const state : {nr::checksum_state::valid, nr::checksum_state::partial}) {
        auto const believed = end_of(true, state);
        BOOST_TEST(believed.stats.history.str() == "ShADTTr");
        BOOST_TEST(believed.stats.forward.bad_checksums == 0u);
    }
    BOOST_TEST(end_of(false, nr::checksum_state::unknown).stats.history.str() == "ShADTTr");
}

// A flood of attempts passes through a full table and leaves the connections that are there alone.
BOOST_AUTO_TEST_CASE(a_wrong_checksum_of_fragments_is_a_letter) {
    for (bool const right : {true, false}) {
        std::string payload(1'000, 'x');
        auto datagram = test::craft{payload}.udp(1000, 2000).ipv4("10.0.0.1", "10.0.0.2", 17).ethernet(0x0800);
        datagram.sign().bytes().back() ^= right ? 0 : 1;
        std::string const carried(datagram.bytes().begin() + 34, datagram.bytes().end());
        std::array const fragments{
            test::craft{carried.substr(400)}.ipv4("10.0.0.1", "10.0.0.2", 17, 400 / 8).ethernet(0x0800),
            test::craft{carried.substr(0, 400)}.ipv4("10.0.0.1", "10.0.0.2", 17, 0x2000).ethernet(0x0800)};
        for (bool const verifying : {true, false}) {
            flow::tracker tracker{flow::five_tuple{}, flow::tracker_options{}.verifying_checksums(verifying)};
            std::vector<flow::event> events;
            for (auto fragment : fragments) {
                fragment.sign_header();
                auto view = fragment.view();
                view.time = nr::timestamp{std::chrono::seconds{1'000}};
                tracker.track(std::span{&view, 1}, events);
            }
            tracker.flush(events);
            auto const& stats = events.back().stats;
            BOOST_TEST_CONTEXT("right " << right << ", verifying " << verifying) {
                BOOST_TEST(stats.history.str() == (right || !verifying ? "D" : "DC"));
                BOOST_TEST(stats.forward.packets == 2u);
                BOOST_TEST(stats.forward.bad_checksums == (right || !verifying ? 0u : 1u));
                BOOST_TEST(tracker.statistics().bad_checksums == (right || !verifying ? 0u : 1u));
            }
        }
    }
}

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
