// Sessions from packets: how parsers are chosen, what events tell, and what becomes of gaps and limits.

#include "../../example/line_parser.hpp"
#include "../../example/syslog_parser.hpp"
#include "session/wire.hpp"
#include <netring_asio/datagram_stream.hpp>
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/tls.hpp>
#include <netring_asio/session_stream.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>

#include <random>
#include <set>
#include <sstream>
#include <utility>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace session = netring_asio::session;
using test::ack, test::fin, test::rst, test::syn;
using test::wire;

namespace {

std::string const query{"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07"
                        "example\x00\x00\x01\x00\x01",
                        25};

/// Waits for time from a datagram "wait" on, and counts how often it is told of it.
struct waiting_parser {
    using message_type = int;
    nr::error_code datagram(session::side, std::span<std::byte const> bytes, nr::timestamp, session::output<int>&) {
        waiting = bytes.size() == 4;
        return {};
    }
    void tick(nr::timestamp, session::output<int>&) { ++ticks; }
    bool waits() const noexcept { return waiting; }

    bool waiting = false;
    static inline std::size_t ticks = 0;
};

void check(std::vector<std::string> const& found, std::vector<std::string> const& expected) {
    BOOST_TEST(found == expected, boost::test_tools::per_element());
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(session_streams, wire)

BOOST_AUTO_TEST_CASE(one_capture_feeds_streams_and_datagrams) {
    auto web = connection(40000, 80);
    web.open();
    web.send(0, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    udp(true, 5000, 53, query);
    web.send(1, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    web.close();
    auto mail = connection(40001, 25);
    mail.open();
    mail.send(1, "220 hello\r\n250");
    mail.send(1, " ok\r\n");
    mail.send(0, "", rst | ack);
    check(all(nr::session_stream{flows(), session::use{session::http1_parser{}}.ports({80}),
                                 session::use{session::dns_over_udp{}}.ports({53}),
                                 session::use{line_parser{}}.ports({25})}),
          {"http1 tcp 10.0.0.1:40000 > 10.0.0.2:80: started",
           "http1 tcp 10.0.0.1:40000 > 10.0.0.2:80: http GET / (h), 0 bytes",
           "dns udp 10.0.0.1:5000 > 10.0.0.2:53: started",
           "dns udp 10.0.0.1:5000 > 10.0.0.2:53: dns query 4660 example A",
           "http1 tcp 10.0.0.2:80 > 10.0.0.1:40000: http 200 OK, 2 bytes after 2000 us",
           "http1 tcp 10.0.0.1:40000 > 10.0.0.2:80: ended (fin), 2 messages in 27 and 40 bytes",
           "lines tcp 10.0.0.1:40001 > 10.0.0.2:25: started", "lines tcp 10.0.0.2:25 > 10.0.0.1:40001: 220 hello",
           "lines tcp 10.0.0.2:25 > 10.0.0.1:40001: 250 ok",
           "lines tcp 10.0.0.1:40001 > 10.0.0.2:25: ended (rst), 2 messages in 0 and 19 bytes",
           "dns udp 10.0.0.1:5000 > 10.0.0.2:53: dns unanswered 4660 example A",
           "dns udp 10.0.0.1:5000 > 10.0.0.2:53: ended (flushed), 2 messages in 25 and 0 bytes"});
}

BOOST_AUTO_TEST_CASE(content_and_port_choose) {
    using session::choice;
    auto const count = [&](choice by, unsigned port, std::string_view text) {
        store->batches.clear();
        auto c = connection(41000, port);
        c.open();
        c.send(0, text.substr(0, 2));
        c.send(0, text.substr(2));
        c.close();
        std::size_t messages = 0;
        for (auto const& line :
             all(nr::session_stream{flows(), session::use{session::http1_parser{}}.ports({80}).chosen(by)}))
            messages += line.find(": http GET") != line.npos ? 1 : line.find("not parsed") != line.npos ? 100 : 0;
        return messages;
    };
    std::string_view const http = "GET / HTTP/1.1\r\n\r\n", other = "SSH-2.0-x\r\n\r\n";
    BOOST_TEST(count(choice::by_port, 80, http) == 1u);
    BOOST_TEST(count(choice::by_port, 81, http) == 0u);
    BOOST_TEST(count(choice::by_port, 80, other) == 100u);
    BOOST_TEST(count(choice::by_content, 81, http) == 1u);
    BOOST_TEST(count(choice::by_content, 80, other) == 0u);
    BOOST_TEST(count(choice::by_port_and_content, 80, http) == 1u);
    BOOST_TEST(count(choice::by_port_and_content, 81, http) == 0u);
    BOOST_TEST(count(choice::by_port_and_content, 80, other) == 0u);
    BOOST_TEST(count(choice::by_port_or_content, 81, http) == 1u);
    BOOST_TEST(count(choice::by_port_or_content, 80, other) == 100u);
    BOOST_TEST(count(choice::by_port_or_content, 81, other) == 0u);
}

BOOST_AUTO_TEST_CASE(time_concerns_who_waits_alone) {
    constexpr unsigned idle = 1'000, seconds = 20;
    for (unsigned i = 0; i != idle; ++i)
        udp(true, 10'000 + i, 9, "x");
    udp(true, 5'000, 9, "wait");
    for (unsigned i = 0; i != seconds; ++i) {
        now += std::chrono::seconds{1};
        udp(true, 10'000, 9, "x");
    }
    waiting_parser::ticks = 0;
    all(nr::datagram_stream{flows(), session::use{waiting_parser{}}.ports({9})});
    auto const waited = waiting_parser::ticks - 2 * (idle + 1); // each flow has one at the end of each side
    BOOST_TEST(waited >= seconds);
    BOOST_TEST(waited <= seconds + 2);
    BOOST_TEST_MESSAGE("figure: " << seconds << " seconds of 1001 flows, of which one waits: " << waited << " ticks");
}

BOOST_AUTO_TEST_CASE(a_parser_of_datagrams_has_state_and_ticks) {
    udp(true, 5'000, 514, "<34>1 - - su: failed");
    udp(true, 5'000, 514, "<38>1 - - cron: done");
    now += std::chrono::seconds{2};
    udp(true, 5'001, 514, "no priority");
    check(all(nr::datagram_stream{flows(), session::use{syslog_parser{}}.ports({514})}),
          {"syslog udp 10.0.0.1:5000 > 10.0.0.2:514: started",
           "syslog udp 10.0.0.1:5000 > 10.0.0.2:514: 2 lines, 1 errors",
           "syslog udp 10.0.0.1:5001 > 10.0.0.2:514: started",
           "syslog udp 10.0.0.1:5001 > 10.0.0.2:514: not parsed: the flow carries something else, or a damaged "
           "message; choose parsers by content too",
           "syslog udp 10.0.0.1:5000 > 10.0.0.2:514: ended (flushed), 1 messages in 40 and 0 bytes",
           "syslog udp 10.0.0.1:5001 > 10.0.0.2:514: ended (flushed), 0 messages in 11 and 0 bytes"});
}

BOOST_AUTO_TEST_CASE(gaps_and_errors_are_told) {
    auto web = connection(40000, 80);
    web.open();
    web.send(1, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    web.next[1] += 4;
    web.send(1, "hij");
    web.close();
    auto bad = connection(40001, 80);
    bad.open();
    bad.send(0, "get lost\r\n\r\n");
    bad.close();
    auto mail = connection(40002, 25); // its parser takes no gaps
    mail.open();
    mail.send(1, "220 a\r\n");
    mail.next[1] += 4;
    mail.send(1, "250 b\r\n");
    mail.close();
    check(all(nr::session_stream{flows(), session::use{session::http1_parser{}}.ports({80}),
                                 session::use{line_parser{}}.ports({25})}),
          {"http1 tcp 10.0.0.1:40000 > 10.0.0.2:80: started",
           "http1 tcp 10.0.0.2:80 > 10.0.0.1:40000: gap of 4 bytes at 42",
           "http1 tcp 10.0.0.2:80 > 10.0.0.1:40000: http 200 OK, 10 bytes",
           "http1 tcp 10.0.0.1:40000 > 10.0.0.2:80: ended (fin), 1 messages in 0 and 45 bytes, 1 gaps of 4 bytes",
           "http1 tcp 10.0.0.1:40001 > 10.0.0.2:80: started",
           "http1 tcp 10.0.0.2:80 > 10.0.0.1:40001: not parsed: " +
               make_error_code(nr::error::malformed_message).message(),
           "http1 tcp 10.0.0.1:40001 > 10.0.0.2:80: ended (fin), 0 messages in 12 and 0 bytes",
           "lines tcp 10.0.0.1:40002 > 10.0.0.2:25: started", "lines tcp 10.0.0.2:25 > 10.0.0.1:40002: 220 a",
           "lines tcp 10.0.0.2:25 > 10.0.0.1:40002: gap of 4 bytes at 7",
           "lines tcp 10.0.0.2:25 > 10.0.0.1:40002: not parsed: " + make_error_code(nr::error::stream_gap).message(),
           "lines tcp 10.0.0.1:40002 > 10.0.0.2:25: ended (fin), 1 messages in 0 and 7 bytes, 1 gaps of 4 bytes"});
}

BOOST_AUTO_TEST_CASE(the_end_of_a_side_is_told_with_its_fin) {
    auto web = connection(40000, 80);
    web.open();
    web.send(0, "GET /1 HTTP/1.0\r\n\r\n");
    web.send(1, "HTTP/1.0 200 OK\r\n\r\nuntil the end", fin | ack);
    web.send(0, "GET /2 HTTP/1.0\r\n\r\n");
    web.send(0, "", fin | ack);
    web.send(1, "");
    auto lossy = connection(40001, 80);
    lossy.open();
    lossy.send(0, "GET /3 HTTP/1.0\r\n\r\n");
    lossy.send(1, "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nabcd");
    lossy.next[1] += 5;
    lossy.close();
    check(all(nr::session_stream{flows(), session::use{session::http1_parser{}}.ports({80})}),
          {"http1 tcp 10.0.0.1:40000 > 10.0.0.2:80: started",
           "http1 tcp 10.0.0.1:40000 > 10.0.0.2:80: http GET /1, 0 bytes",
           "http1 tcp 10.0.0.2:80 > 10.0.0.1:40000: http 200 OK, 13 bytes after 1000 us",
           "http1 tcp 10.0.0.1:40000 > 10.0.0.2:80: http GET /2, 0 bytes",
           "http1 tcp 10.0.0.1:40000 > 10.0.0.2:80: ended (fin), 3 messages in 38 and 32 bytes",
           "http1 tcp 10.0.0.1:40001 > 10.0.0.2:80: started",
           "http1 tcp 10.0.0.1:40001 > 10.0.0.2:80: http GET /3, 0 bytes",
           "http1 tcp 10.0.0.2:80 > 10.0.0.1:40001: gap of 5 bytes at 42",
           "http1 tcp 10.0.0.2:80 > 10.0.0.1:40001: http 200 OK, 9 bytes after 1000 us",
           "http1 tcp 10.0.0.1:40001 > 10.0.0.2:80: ended (fin), 2 messages in 19 and 42 bytes, 1 gaps of 5 bytes"});
}

BOOST_AUTO_TEST_CASE(what_parsers_hold_is_bounded_over_all_flows) {
    constexpr std::size_t bound = 50'000, flow_count = 40;
    std::string const part(5'000, 'x');
    std::vector<tcp> open;
    for (unsigned i = 0; i != flow_count; ++i) {
        auto& web = open.emplace_back(connection(40000 + i, 80));
        web.open();
        web.send(0, "GET / HTTP/1.1\r\nX: " + part);
    }
    for (auto& web : open) {
        web.send(0, "\r\n\r\n");
        web.close();
    }
    auto const batches = store->batches;
    for (auto const policy : {session::held_policy::give_up_slowest, session::held_policy::give_up_newcomer}) {
        store->batches = batches;
        nr::session_stream sessions{flows(), session::session_options{}.max_held(bound).when_full(policy),
                                    session::use{session::http1_parser{}}.ports({80})};
        decltype(sessions)::event_batch events;
        std::set<unsigned> whole, failed;
        std::size_t most = 0;
        for (nr::error_code result; !result;) {
            sessions.async_receive(events, [&](nr::error_code error, std::size_t) { result = error; });
            context.restart();
            context.run();
            most = std::max(most, sessions.held());
            for (auto const& e : events) {
                if (e.message())
                    whole.insert(e.key.a.port == 80 ? e.key.b.port : e.key.a.port);
                if (e.failure()) {
                    failed.insert(e.key.a.port == 80 ? e.key.b.port : e.key.a.port);
                    BOOST_TEST((e.failure()->error == boost::system::errc::no_buffer_space));
                }
            }
        }
        BOOST_TEST(most <= bound);
        BOOST_TEST(most > bound - 6'000);
        BOOST_TEST(sessions.held() == 0u);
        BOOST_TEST(sessions.given_up() == failed.size());
        BOOST_TEST(whole.size() == bound / part.size() - 1);
        BOOST_TEST(whole.size() + failed.size() == flow_count);
        BOOST_TEST(whole.contains(policy == session::held_policy::give_up_slowest ? 40039 : 40000));
        BOOST_TEST_MESSAGE("figure: " << flow_count << " heads of 5 KB that stay open, bound " << bound << ": at most "
                                      << most << " held, " << failed.size() << " flows given up and told");
    }
}

BOOST_AUTO_TEST_CASE(a_stream_of_one_parser_has_its_messages) {
    udp(true, 5000, 53, query);
    nr::datagram_stream stream{flows(), session::use{session::dns_over_udp{}}.ports({53})};
    static_assert(std::is_same_v<decltype(stream)::message_type, session::dns_over_udp::message_type>);
    check(all(std::move(stream)),
          {"dns udp 10.0.0.1:5000 > 10.0.0.2:53: started",
           "dns udp 10.0.0.1:5000 > 10.0.0.2:53: dns query 4660 example A",
           "dns udp 10.0.0.1:5000 > 10.0.0.2:53: dns unanswered 4660 example A",
           "dns udp 10.0.0.1:5000 > 10.0.0.2:53: ended (flushed), 2 messages in 25 and 0 bytes"});
}

BOOST_AUTO_TEST_CASE(what_is_lost_is_told_and_what_is_whole_is_parsed) {
    std::mt19937 random{11};
    std::size_t lost = 0, whole = 0;
    std::set<std::string> expected;
    bool ends_whole[2] = {true, true}; // what each side sent last: else nobody can tell where the next message begins
    auto web = connection(40000, 80);
    web.open();
    auto const send = [&](int side, std::string const& message, std::string const& name) {
        auto complete = std::exchange(ends_whole[side], true);
        for (std::size_t at = 0; at < message.size(); at += 50) {
            auto const piece = message.substr(at, 50);
            web.send(side, piece);
            if (random() % 20 == 0) {
                store->batches.pop_back();
                lost += piece.size();
                complete = false;
                ends_whole[side] = at + 50 < message.size();
            } else if (auto const count = store->batches.size(); random() % 5 == 0 && count > 8) {
                std::swap(store->batches[count - 1].front(), store->batches[count - 2].front());
                std::swap(store->batches[count - 1].front().time, store->batches[count - 2].front().time);
            }
        }
        if (complete)
            expected.insert(name), ++whole;
    };
    constexpr int exchanges = 500;
    for (int i = 0; i != exchanges; ++i) {
        auto const number = std::to_string(i);
        send(0,
             "GET /" + number + " HTTP/1.1\r\nHost: h\r\nX: " + std::string(static_cast<std::size_t>(i % 70), 'x') +
                 "\r\n\r\n",
             "GET /" + number + " (h), 0 bytes");
        auto const body = std::string(static_cast<std::size_t>(i % 90), 'y') + '\n';
        send(1, "HTTP/1.1 200 N" + number + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
             "200 N" + number + ", " + std::to_string(body.size()) + " bytes");
    }
    web.close();
    std::uint64_t told = 0;
    std::size_t found = 0;
    nr::session_stream sessions{flows(), session::use{session::http1_parser{}}.ports({80})};
    decltype(sessions)::event_batch events;
    nr::error_code result;
    while (!result) {
        sessions.async_receive(events, [&](nr::error_code error, std::size_t) { result = error; });
        context.restart();
        context.run();
        for (auto const& e : events) {
            BOOST_TEST(!e.failure());
            told += e.gap() != nullptr ? e.gap()->length : 0;
            if (e.message() != nullptr) {
                std::ostringstream out;
                std::visit([&](auto const& m) { out << m; }, *e.message());
                auto text = out.str().substr(5); // behind "http "
                text = text.substr(0, text.find(" after"));
                found += expected.erase(text);
            }
        }
    }
    BOOST_TEST(told == lost);
    BOOST_TEST(found == whole, found << " of " << whole << ", for instance not " << *expected.begin());
    BOOST_TEST_MESSAGE("figure: " << lost << " bytes lost, " << told << " told as missing; all " << found
                                  << " messages of " << 2 * exchanges << " that were whole were found");
}

BOOST_AUTO_TEST_CASE(memory_is_bounded_by_the_budget) {
    for (unsigned i = 0; i != 200; ++i) {
        auto c = connection(20000 + i, 80);
        c.open();
        c.next[0] += 10; // never comes
        for (int n = 0; n != 4; ++n)
            c.send(0, std::string(1400, 'x'));
    }
    nr::session_stream sessions{flows(), session::session_options{}.max_buffered(100'000),
                                session::use{session::http1_parser{}}.ports({80})};
    decltype(sessions)::event_batch events;
    std::size_t most = 0;
    while (sessions.try_receive(events))
        most = std::max(most, sessions.buffered());
    BOOST_TEST(most <= 100'000u);
    BOOST_TEST(sessions.sessions() == 200u);
}

BOOST_AUTO_TEST_SUITE_END()
