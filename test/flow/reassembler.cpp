#include <netring_asio/flow/reassembler.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

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
    explicit stream(flow::reassembler_options const& options = flow::reassembler_options{})
        : reassembler{options} {}
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
    for (auto const policy : {flow::overlap_policy::first, flow::overlap_policy::last}) {
        stream s{flow::reassembler_options{}.overlap(policy)};
        s.open(99);
        s.add(102, "CDE");
        s.add(101, "bcdefg");
        s.add(100, "a");
        BOOST_TEST(s.out.text == (policy == flow::overlap_policy::first ? "abCDEfg" : "abcdefg"));
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

BOOST_AUTO_TEST_CASE(too_much_waiting_gives_the_missing_up) {
    stream s{flow::reassembler_options{}.max_buffered(10)};
    s.open(99);
    s.add(101, std::string(6, 'x'));
    s.add(107, std::string(6, 'y'));
    BOOST_TEST(s.out.text == ".xxxxxxyyyyyy");
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
