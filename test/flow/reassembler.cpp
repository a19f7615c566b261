#include "decode/craft.hpp"
#include <netring_asio/decode/decoder.hpp>
#include <netring_asio/flow/stream_pair.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <lab/allocations.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <malloc.h>

namespace nr = netring_asio;
namespace flow = netring_asio::flow;
using namespace std::chrono_literals;

namespace {

constexpr nr::timestamp epoch{};

/// Writes the stream down, a gap as dots.
struct transcript final : flow::byte_consumer {
    void data(std::uint64_t offset, std::span<std::byte const> bytes) override {
        BOOST_TEST(offset == text.size());
        text.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    }
    void gap(std::uint64_t offset, std::uint64_t length) override {
        BOOST_TEST(offset == text.size());
        text.append(length, '.');
    }
    std::string text;
};

struct stream {
    explicit stream(flow::reassembler_options const& options = flow::reassembler_options{},
                    flow::reassembly_memory* memory = nullptr)
        : reassembler{options, memory} {}
    void open(std::uint32_t initial) { reassembler.open(initial, out); }
    void add(std::uint32_t sequence, std::string_view bytes, std::size_t missing = 0,
             std::chrono::nanoseconds at = 0s) {
        reassembler.segment(sequence, std::as_bytes(std::span{bytes}), missing, epoch + at, out);
    }
    void acknowledge(std::uint32_t number, std::chrono::nanoseconds at = 0s) {
        reassembler.acknowledge(number, epoch + at, out);
    }
    std::string const& finish() {
        reassembler.finish(out);
        return out.text;
    }
    flow::reassembler reassembler;
    transcript out;
};

} // namespace

BOOST_AUTO_TEST_CASE(in_order_across_the_wrap) {
    stream s;
    s.open(0xffff'fffd);
    s.add(0xffff'fffe, "abcd");
    s.add(2, "ef");
    BOOST_TEST(s.out.text == "abcdef");
    BOOST_TEST(s.reassembler.offset() == 6u);
}

BOOST_AUTO_TEST_CASE(order_repetition_and_keep_alive) {
    stream s;
    s.open(99);
    s.add(103, "de");
    BOOST_TEST(s.out.text.empty());
    s.add(100, "abc");
    BOOST_TEST(s.out.text == "abcde");
    s.add(102, "cdef");
    s.add(105, "x"); // a keep-alive's byte
    BOOST_TEST(s.out.text == "abcdef");
    BOOST_TEST(s.reassembler.repeated_bytes() == 4u);
    BOOST_TEST(s.reassembler.buffered() == 0u);
}

BOOST_AUTO_TEST_CASE(overlap_by_policy) {
    auto const result = [](flow::overlap_policy policy) {
        stream s{flow::reassembler_options{}.overlap(policy)};
        s.open(99);
        s.add(102, "CDE");
        s.add(107, "HIJKL");
        s.add(101, "bcdefg"); // begins before
        s.add(108, "ijk");    // within
        s.add(107, "123456"); // begins with it, and is longer
        s.add(100, "a");
        BOOST_TEST(s.reassembler.buffered() == 0u);
        return s.finish();
    };
    BOOST_TEST(result(flow::overlap_policy::first) == "abCDEfgHIJKL6");
    BOOST_TEST(result(flow::overlap_policy::last) == "abcdefg123456");
    BOOST_TEST(result(flow::overlap_policy::as_linux) == "abcdefg123456");

    stream within{flow::reassembler_options{}.overlap(flow::overlap_policy::as_linux)};
    within.open(99);
    within.add(102, "CDEF");
    within.add(103, "defg");
    within.add(100, "ab");
    BOOST_TEST(within.finish() == "abCDEFg");
}

// What was handed over stays, whatever comes later.
BOOST_AUTO_TEST_CASE(no_policy_takes_back) {
    for (auto const policy :
         {flow::overlap_policy::first, flow::overlap_policy::last, flow::overlap_policy::as_linux}) {
        stream s{flow::reassembler_options{}.overlap(policy)};
        s.open(99);
        s.add(100, "abcd");
        s.add(100, "123456");
        BOOST_TEST(s.out.text == "abcd56");
    }
}

BOOST_AUTO_TEST_CASE(what_the_receiver_has_is_given_up_after_a_while) {
    stream s{flow::reassembler_options{}.acknowledged_grace(1s).reordering(2)};
    s.open(99);
    s.add(100, "ab");
    s.add(104, "ef");
    s.acknowledge(106, 1ms);
    s.add(106, "g", 0, 100ms);
    BOOST_TEST(s.out.text == "ab");
    s.add(107, "h", 0, 1100ms);
    BOOST_TEST(s.out.text == "ab..efgh");
    BOOST_TEST(s.reassembler.gap_bytes() == 2u);
    s.add(102, "cd", 0, 1200ms); // too late
    BOOST_TEST(s.finish() == "ab..efgh");
}

BOOST_AUTO_TEST_CASE(a_pause_alone_gives_nothing_up) {
    stream s;
    s.open(99);
    s.add(102, "c");
    s.acknowledge(103);
    s.add(103, "d", 0, 60s);
    s.add(100, "ab", 0, 60s);
    BOOST_TEST(s.out.text == "abcd");
}

BOOST_AUTO_TEST_CASE(what_nobody_acknowledges_is_given_up_after_longer) {
    stream s{flow::reassembler_options{}.max_wait(30s)};
    s.open(99);
    s.add(100, "ab", 0, 1s);
    s.add(104, "ef", 0, 2s);
    s.reassembler.advance(epoch + 31s, s.out);
    BOOST_TEST(s.out.text == "ab");
    s.reassembler.advance(epoch + 32s, s.out);
    BOOST_TEST(s.out.text == "ab..ef");
    s.add(108, "ij", 0, 33s); // waits for its own time
    s.reassembler.advance(epoch + 62s, s.out);
    BOOST_TEST(s.out.text == "ab..ef");
    s.reassembler.advance(epoch + 63s, s.out);
    BOOST_TEST(s.out.text == "ab..ef..ij");
}

BOOST_AUTO_TEST_CASE(too_much_waiting_gives_the_missing_up) {
    stream s{flow::reassembler_options{}.max_buffered(600)};
    s.open(99);
    s.add(101, std::string(200, 'x'));
    BOOST_TEST(s.out.text.empty());
    s.add(301, std::string(200, 'y'));
    BOOST_TEST(s.out.text == "." + std::string(200, 'x') + std::string(200, 'y'));
}

BOOST_AUTO_TEST_CASE(over_the_budget_the_newest_is_dropped) {
    stream s{flow::reassembler_options{}.max_buffered(600).over_budget(flow::budget_policy::drop)};
    s.open(99);
    s.add(101, std::string(200, 'x'));
    s.add(301, std::string(200, 'y'));
    BOOST_TEST(s.reassembler.ignored_bytes() == 200u);
    s.add(100, "a"); // what had been missing
    BOOST_TEST(s.out.text == "a" + std::string(200, 'x'));
    s.add(301, std::string(200, 'z')); // again
    BOOST_TEST(s.finish() == "a" + std::string(200, 'x') + std::string(200, 'z'));
}

BOOST_AUTO_TEST_CASE(over_the_budget_the_direction_is_given_up) {
    stream s{flow::reassembler_options{}.max_buffered(600).over_budget(flow::budget_policy::stop)};
    s.open(99);
    s.add(100, "ab");
    s.add(103, std::string(200, 'x'));
    s.add(303, std::string(200, 'y'));
    BOOST_TEST(s.reassembler.stopped());
    BOOST_TEST(s.reassembler.buffered() == 0u);
    s.add(503, "more");
    BOOST_TEST(s.out.text == "ab");
    BOOST_TEST(s.reassembler.offset() == 2u);
    BOOST_TEST(s.finish() == "ab" + std::string(405, '.'));
}

BOOST_AUTO_TEST_CASE(a_budget_for_all) {
    flow::reassembly_memory memory{1000};
    {
        stream one{flow::reassembler_options{}, &memory};
        stream two{flow::reassembler_options{}, &memory};
        one.open(99);
        two.open(99);
        one.add(101, std::string(500, 'x'));
        BOOST_TEST(memory.used() == 628u);
        two.add(101, std::string(300, 'y')); // who asks for more has to do without
        BOOST_TEST(two.out.text == "." + std::string(300, 'y'));
        BOOST_TEST(one.out.text.empty());
        one.add(100, "a");
        BOOST_TEST(one.out.text == "a" + std::string(500, 'x'));
        BOOST_TEST(memory.used() == 0u);
        two.add(402, "z");
    }
    BOOST_TEST(memory.used() == 0u); // also where nobody finished
}

// A place that had room for much is not lent as one for little.
BOOST_AUTO_TEST_CASE(memory_counts_what_it_takes) {
    auto const used = [] {
        return static_cast<std::ptrdiff_t>(::mallinfo2().uordblks);
    }; // 0 where a sanitizer has the heap
    auto const before = used();
    flow::reassembly_memory memory{1'000'000};
    stream s{flow::reassembler_options{}, &memory};
    s.open(99);
    for (std::uint32_t i = 0; i != 15; ++i)
        s.add(101 + i * 60'000, std::string(60'000, 'x'));
    s.add(100, "a");
    BOOST_TEST(s.out.text.size() == 900'001u);
    BOOST_TEST(memory.used() == 0u);
    for (std::uint32_t i = 0; i != 1000; ++i)
        s.add(1'000'000 + i * 2, "y");
    for (std::uint32_t i = 0; i != 14; ++i)
        s.add(2'000'000 + i * 60'000, std::string(60'000, 'z'));
    BOOST_TEST(s.reassembler.buffered() > 950'000u);
    auto const text = static_cast<std::ptrdiff_t>(s.out.text.capacity());
    BOOST_TEST(used() - before < 1'500'000 + text);
}

// Who sends what its peer does not take would else blind who looks on: it drives out what is missing, or outlasts it.
BOOST_AUTO_TEST_CASE(what_lies_beyond_the_window_has_nothing_given_up) {
    for (auto const policy : {flow::budget_policy::skip, flow::budget_policy::drop, flow::budget_policy::stop}) {
        stream s{flow::reassembler_options{}.max_buffered(2000).over_budget(policy).max_wait(30s)};
        s.open(99);
        s.reassembler.window(100 + 5000, epoch);
        s.add(100, "ab");
        for (std::uint32_t i = 0; i != 20; ++i) {
            s.add(1'000'000 + i * 200, std::string(200, 'x'), 0, 1ms);
            s.reassembler.window(102 + 5000, epoch + 1ms);
        }
        s.add(103, "de", 0, 2ms);
        s.add(102, "c", 0, 3ms);
        BOOST_TEST(s.out.text == "abcde");
        s.add(1'000'000, "x", 0, 1s);
        s.reassembler.window(105 + 5000, epoch + 1s);
        s.reassembler.advance(epoch + 40s, s.out);
        s.add(105, "f", 0, 41s);
        BOOST_TEST(s.out.text == "abcdef");
        BOOST_TEST(s.reassembler.gap_bytes() == 0u);
        BOOST_TEST(s.reassembler.buffered() == 0u);
    }
}

// Of a receiver that is not seen any more its last window says nothing.
BOOST_AUTO_TEST_CASE(a_window_of_long_ago_bounds_nothing) {
    stream s{flow::reassembler_options{}.max_buffered(2000)};
    s.open(99);
    s.reassembler.window(110, epoch);
    s.add(100, "ab");
    for (std::uint32_t i = 0; i != 20; ++i)
        s.add(1000 + i * 200, std::string(200, 'x'), 0, 1s);
    BOOST_TEST(s.out.text.size() == 900u + 20 * 200);
}

BOOST_AUTO_TEST_CASE(many_tiny_segments_stay_within_the_budget) {
    stream s{flow::reassembler_options{}.max_buffered(std::size_t{1} << 20)};
    s.open(99);
    std::size_t most = 0;
    for (std::uint32_t i = 200'000; i != 0; --i) { // backwards, with holes
        s.add(100 + 2 * i, "x");
        most = std::max(most, s.reassembler.buffered());
    }
    BOOST_TEST(most <= (std::size_t{1} << 20) + 129);
    BOOST_TEST(s.out.text.size() > 1u);
}

BOOST_AUTO_TEST_CASE(in_order_bytes_are_those_of_the_packet) {
    struct : flow::byte_consumer {
        void data(std::uint64_t, std::span<std::byte const> bytes) override { at = bytes.data(); }
        void gap(std::uint64_t, std::uint64_t) override {}
        std::byte const* at = nullptr;
    } out;
    flow::reassembler r;
    r.open(99, out);
    std::vector<std::byte> const packet(100);
    r.segment(100, packet, 0, epoch, out);
    BOOST_TEST(out.at == packet.data());
    r.segment(150, packet, 0, epoch, out); // half of it again
    BOOST_TEST(out.at == packet.data() + 50);
}

BOOST_AUTO_TEST_CASE(out_of_order_allocates_nothing_once_it_has) {
    flow::reassembly_memory memory;
    struct : flow::byte_consumer {
        void data(std::uint64_t, std::span<std::byte const> bytes) override { total += bytes.size(); }
        void gap(std::uint64_t, std::uint64_t) override {}
        std::uint64_t total = 0;
    } out;
    flow::reassembler r{flow::reassembler_options{}, &memory};
    r.open(99, out);
    std::vector<std::byte> const packet(1460);
    std::uint32_t next = 100;
    auto const round = [&] {
        for (std::uint32_t const i : {3U, 1U, 2U, 0U})
            r.segment(next + i * 1460, packet, 0, epoch, out);
        next += 4 * 1460;
    };
    round();
    auto const allocations = lab::allocation_counter::of([&] {
        for (int i = 0; i != 1000; ++i)
            round();
    });
    BOOST_TEST(allocations == 0u);
    BOOST_TEST(out.total == 1001u * 4 * 1460);
}

BOOST_AUTO_TEST_CASE(cut_segments) {
    stream s;
    s.open(99);
    s.add(100, "ab", 3);
    s.add(105, "fg");
    s.add(102, "cde"); // whole this time
    BOOST_TEST(s.out.text == "abcdefg");
    s.add(107, "h", 2);
    BOOST_TEST(s.finish() == "abcdefgh..");
}

BOOST_AUTO_TEST_CASE(mid_stream_begins_at_the_lowest_before_the_acknowledgment) {
    stream s;
    s.add(500, "cd");
    s.add(498, "ab");
    BOOST_TEST(s.out.text.empty());
    s.acknowledge(502);
    BOOST_TEST(s.out.text == "abcd");
    s.add(502, "e");
    BOOST_TEST(s.out.text == "abcde");
}

BOOST_AUTO_TEST_CASE(a_syn_that_comes_late_tells_the_beginning) {
    stream s;
    s.add(104, "efg");
    s.open(99);
    s.add(100, "abcd");
    BOOST_TEST(s.out.text == "abcdefg");
}

BOOST_AUTO_TEST_CASE(a_handshake_tried_again) {
    stream s;
    s.open(99);
    s.open(7'000);
    s.add(7'001, "ab");
    BOOST_TEST(s.out.text == "ab");
}

BOOST_AUTO_TEST_CASE(strays_are_ignored) {
    stream s{flow::reassembler_options{}.max_ahead(1000)};
    s.open(99);
    s.add(100'000, "zz");
    s.add(100, "ab");
    BOOST_TEST(s.finish() == "ab");
    BOOST_TEST(s.reassembler.ignored_bytes() == 2u);
}

// However a stream is cut, shuffled, repeated and lost, what comes out is the stream with its gaps told.
BOOST_AUTO_TEST_CASE(any_cut_and_order) {
    std::mt19937 engine{7};
    auto const random = [&engine](std::uint32_t below) { return static_cast<std::uint32_t>(engine()) % below; };
    std::string content;
    for (int i = 0; i != 2000; ++i)
        content += static_cast<char>('a' + i % 26);
    for (int round = 0; round != 3000; ++round) {
        stream s;
        std::uint32_t const initial = round % 3 == 0 ? 0xffff'ff00 + random(256) : static_cast<std::uint32_t>(engine());
        std::string seen(content.size(), '.');
        struct part {
            std::uint32_t begin, length, missing;
        };
        std::vector<part> parts;
        for (std::uint32_t at = 0; at < content.size();) {
            auto const length =
                std::min<std::uint32_t>(1 + random(200), static_cast<std::uint32_t>(content.size()) - at);
            auto const cut = random(12) == 0 ? random(length) : 0;
            if (random(10) != 0)
                parts.push_back({at, length - cut, cut});
            if (random(6) == 0) {
                auto const from = random(at + 1);
                parts.push_back(
                    {from, std::min<std::uint32_t>(1 + random(300), static_cast<std::uint32_t>(content.size()) - from),
                     0});
            }
            at += length;
        }
        for (std::size_t i = 0; i + 1 < parts.size(); ++i)
            std::swap(parts[i],
                      parts[i + random(static_cast<std::uint32_t>(std::min<std::size_t>(8, parts.size() - i)))]);
        std::size_t end = 0;
        s.open(initial);
        for (auto const& p : parts) {
            seen.replace(p.begin, p.length, content, p.begin, p.length);
            end = std::max<std::size_t>(end, p.begin + p.length + p.missing);
            s.add(initial + 1 + p.begin, std::string_view{content}.substr(p.begin, p.length), p.missing);
        }
        seen.resize(end);
        BOOST_REQUIRE(s.finish() == seen);
        BOOST_REQUIRE(s.reassembler.buffered() == 0u);
    }
}

// Data on a SYN, a FIN and a RST; each side's acknowledgments are about the other's bytes.
BOOST_AUTO_TEST_CASE(both_directions_of_a_connection) {
    transcript client;
    transcript server;
    flow::stream_pair pair{flow::reassembler_options{}.acknowledged_grace(0s).reordering(0)};
    auto const send = [&](bool from_client, unsigned flags, std::uint32_t sequence, std::uint32_t acknowledgment,
                          std::string_view payload) {
        test::craft frame{payload};
        frame.tcp(1, 2, flags, sequence, acknowledgment).ipv4("10.0.0.1", "10.0.0.2", 6).ethernet(0x0800);
        nr::decode::headers h;
        BOOST_REQUIRE(nr::decode::decoder{}(frame.view(), h));
        pair.packet(h, from_client ? flow::orientation::a_to_b : flow::orientation::b_to_a, epoch, client, server);
    };
    constexpr unsigned fin = 1, syn = 2, rst = 4, ack = 16;
    send(true, syn, 99, 0, "early");
    send(false, syn | ack, 499, 105, "");
    send(true, ack, 105, 500, " data");
    send(true, ack, 109, 500, "!"); // a keep-alive's byte
    send(false, ack, 503, 110, "lo");
    BOOST_TEST(server.text.empty());
    send(true, ack, 110, 505, ""); // the client has what we have not seen
    BOOST_TEST(server.text == "...lo");
    send(false, fin | ack, 505, 110, "last");
    send(true, 0, 110, 0, "nobody takes this");
    send(true, rst | ack, 110, 510, "reason");
    pair.finish(client, server);
    BOOST_TEST(client.text == "early datareason");
    BOOST_TEST(server.text == "...lolast");
}
