#include "craft.hpp"
#include <netring_asio/decode/decoder.hpp>
#include <netring_asio/decode/defragmenter.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include <malloc.h>

namespace nr = netring_asio;
namespace decode = netring_asio::decode;
using namespace std::chrono_literals;

namespace {

constexpr nr::timestamp epoch{};

std::vector<std::uint8_t> const datagram = [] {
    std::vector<std::uint8_t> bytes(1000);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    bytes[0] = 0x10; // UDP ports 4096 and 53
    bytes[1] = 0;
    bytes[2] = 0;
    bytes[3] = 53;
    bytes[4] = 1000 >> 8;
    bytes[5] = 1000 & 255;
    return bytes;
}();

struct piece {
    unsigned begin;
    unsigned end;
    bool flipped = false; // other bytes than the datagram's
};

/// The frame of a fragment of `datagram`, decoded.
struct fragment {
    fragment(int version, piece p, unsigned id = 7) {
        std::string bytes(datagram.begin() + p.begin, datagram.begin() + p.end);
        if (p.flipped)
            for (auto& byte : bytes)
                byte = static_cast<char>(~byte);
        auto const more = p.end < datagram.size();
        frame = test::craft{bytes};
        if (version == 4)
            frame.ipv4("10.0.0.1", "10.0.0.2", 17, p.begin / 8 | (more ? 0x2000U : 0U), id);
        else
            frame.put({17, 0, p.begin >> 8, (p.begin & 0xf8) | (more ? 1U : 0U), 0, 0, id >> 8, id & 255})
                .ipv6("fe80::1", "fe80::2", 44);
        frame.ethernet(version == 4 ? 0x0800 : 0x86dd);
        decode::decoder{}(frame.view(), headers);
    }
    test::craft frame;
    decode::headers headers;
};

std::vector<std::uint8_t> payload_of(std::span<std::byte const> whole, int version) {
    auto const body = whole.subspan(version == 4 ? 20 : 40);
    std::vector<std::uint8_t> result;
    for (auto byte : body)
        result.push_back(static_cast<std::uint8_t>(byte));
    return result;
}

std::vector<piece> cut(std::mt19937& random) {
    std::vector<piece> pieces;
    for (unsigned at = 0; at < datagram.size();) {
        auto const length = 8 * static_cast<unsigned>(1 + random() % 40);
        auto const end = std::min<unsigned>(at + length, static_cast<unsigned>(datagram.size()));
        pieces.push_back({at, end});
        at = end;
    }
    return pieces;
}

} // namespace

BOOST_AUTO_TEST_CASE(any_order_and_repetition) {
    std::mt19937 random{11};
    decode::defragmenter defragmenter;
    for (unsigned round = 0; round != 500; ++round) {
        auto pieces = cut(random);
        if (pieces.size() == 1)
            continue;
        auto const version = round % 2 == 0 ? 4 : 6;
        std::shuffle(pieces.begin(), pieces.end(), random);
        // Before it is complete: the first fragment once more would begin another datagram.
        pieces.insert(pieces.begin(), pieces.front());
        std::size_t complete = 0;
        std::uint64_t attributed = 0;
        std::uint64_t waited = 0;
        for (auto const& p : pieces) {
            fragment const f{version, p, round};
            auto const result = defragmenter.add(f.headers, epoch);
            waited += result.waiting.packets;
            if (result.attributed) {
                ++attributed;
                BOOST_TEST(result.destination_port == 53);
            }
            if (!result.datagram.empty()) {
                ++complete;
                BOOST_REQUIRE(payload_of(result.datagram, version) == datagram);
                auto whole = f.headers;
                BOOST_REQUIRE(decode::decoder{}.datagram(result.datagram, whole));
                BOOST_TEST(whole.source_port == 4096);
                BOOST_TEST(whole.payload_length == 992u);
                BOOST_TEST(!whole.is_fragment);
            }
        }
        BOOST_TEST(complete == 1u);
        BOOST_TEST(attributed + waited == pieces.size());
    }
    BOOST_TEST(defragmenter.bytes() == 0u);
    BOOST_TEST(defragmenter.dropped() == 0u);
}

BOOST_AUTO_TEST_CASE(overlap_keeps_the_first_bytes_in_ipv4_and_drops_in_ipv6) {
    for (int version : {4, 6}) {
        decode::defragmenter defragmenter;
        std::vector<std::uint8_t> got;
        for (auto const& p : {piece{0, 400}, piece{800, 1000}, piece{200, 904, true}, piece{400, 800}}) {
            fragment const f{version, p};
            auto const result = defragmenter.add(f.headers, epoch);
            if (!result.datagram.empty())
                got = payload_of(result.datagram, version);
        }
        if (version == 4) {
            auto expected = datagram;
            for (std::size_t i = 400; i != 800; ++i)
                expected[i] = static_cast<std::uint8_t>(~expected[i]);
            BOOST_TEST((got == expected));
        } else {
            BOOST_TEST(got.empty());
            BOOST_TEST(defragmenter.dropped() == 1u);
        }
    }
}

// RFC 5722: also where the overlap lies in what several fragments brought together.
BOOST_AUTO_TEST_CASE(ipv6_takes_other_bytes_for_an_overlap_and_the_same_for_a_repetition) {
    for (bool const flipped : {false, true}) {
        decode::defragmenter defragmenter;
        bool complete = false;
        for (auto const& p : {piece{0, 400}, piece{400, 800}, piece{200, 600, flipped}, piece{800, 1000}}) {
            fragment const f{6, p};
            complete |= !defragmenter.add(f.headers, epoch).datagram.empty();
        }
        BOOST_TEST(complete == !flipped);
        BOOST_TEST(defragmenter.dropped() == (flipped ? 1u : 0u));
    }
}

// RFC 5722: what comes later of such a datagram is dropped too.
BOOST_AUTO_TEST_CASE(a_spoiled_datagram_stays_spoiled) {
    decode::defragmenter defragmenter;
    for (auto const& p : {piece{0, 400}, piece{200, 600, true}, piece{0, 400}, piece{400, 800}, piece{800, 1000}}) {
        fragment const f{6, p};
        BOOST_TEST(defragmenter.add(f.headers, epoch).datagram.empty());
    }
    BOOST_TEST(defragmenter.bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(tunnels_have_datagrams_of_their_own) {
    decode::defragmenter defragmenter;
    for (auto const tunnel : {1U, 2U}) {
        fragment first{4, {0, 400}};
        first.headers.tunnel_id = tunnel;
        BOOST_TEST(defragmenter.add(first.headers, epoch).datagram.empty());
    }
    BOOST_TEST(defragmenter.datagrams() == 2u);
    fragment last{4, {400, 1000}};
    last.headers.tunnel_id = 2;
    BOOST_TEST(!defragmenter.add(last.headers, epoch).datagram.empty());
}

BOOST_AUTO_TEST_CASE(what_never_gets_its_first_fragment_is_an_orphan) {
    decode::defragmenter defragmenter{decode::defragmenter_options{}.timeout(30s)};
    fragment const f{4, {200, 400}};
    BOOST_TEST(!defragmenter.add(f.headers, epoch).attributed);
    decode::headers orphan;
    decode::defragmenter::share waiting;
    BOOST_TEST(!defragmenter.expire(epoch + 29s, orphan, waiting));
    BOOST_TEST(defragmenter.expire(epoch + 30s, orphan, waiting));
    BOOST_TEST(waiting.packets == 1u);
    BOOST_TEST(waiting.ip_bytes == 220u);
    BOOST_TEST(orphan.source.to_string() == "10.0.0.1");
    BOOST_TEST(orphan.protocol == 17);
    BOOST_TEST(defragmenter.datagrams() == 0u);
}

BOOST_AUTO_TEST_CASE(budgets_hold) {
    auto const options = decode::defragmenter_options{}.max_datagrams(10).max_bytes(3000);
    decode::defragmenter defragmenter{options};
    decode::headers orphan;
    decode::defragmenter::share waiting;
    for (unsigned id = 0; id != 250; ++id) {
        while (defragmenter.expire(epoch, orphan, waiting)) {
        }
        fragment const f{4, {0, 400}, id};
        BOOST_TEST(defragmenter.add(f.headers, epoch).attributed);
        BOOST_TEST(defragmenter.datagrams() <= 10u);
        BOOST_TEST(defragmenter.bytes() <= 3000u);
    }
}

// What the second header says is known when the datagram is whole, and completes none before.
BOOST_AUTO_TEST_CASE(a_fragment_header_in_what_is_fragmented) {
    std::string bytes{"\x11\0\0\0\0\0\0\1", 8};
    bytes.append(datagram.begin(), datagram.end());
    decode::defragmenter defragmenter;
    for (std::size_t const at : {0U, 504U}) {
        auto const more = at == 0 ? 1U : 0U;
        auto frame =
            test::craft{std::string_view{bytes}.substr(at, at == 0 ? 504 : bytes.npos)}
                .put({44, 0, static_cast<unsigned>(at >> 8), static_cast<unsigned>(at & 0xf8) | more, 0, 0, 0, 9})
                .ipv6("fe80::1", "fe80::2", 44)
                .ethernet(0x86dd);
        decode::headers h;
        BOOST_REQUIRE(decode::decoder{}(frame.view(), h));
        BOOST_TEST(h.is_fragment);
        BOOST_TEST(h.fragment_id == 9u);
        auto const result = defragmenter.add(h, epoch);
        BOOST_TEST(result.datagram.empty() == (at == 0));
        if (at == 0)
            continue;
        BOOST_REQUIRE(decode::decoder{}.datagram(result.datagram, h));
        BOOST_TEST(h.destination_port == 53);
        BOOST_TEST(h.payload_length == 992u);
        BOOST_TEST(!h.is_fragment);
    }
}

// A tail far behind costs little to send and much to keep: who sends such must not keep others out.
BOOST_AUTO_TEST_CASE(what_never_completes_gives_way_to_what_may) {
    decode::defragmenter defragmenter{decode::defragmenter_options{}.max_bytes(5000)};
    for (unsigned id = 100; id != 120; ++id)
        defragmenter.add(fragment{4, {992, 1000}, id}.headers, epoch);
    defragmenter.add(fragment{4, {0, 400}}.headers, epoch);
    BOOST_TEST(!defragmenter.add(fragment{4, {400, 1000}}.headers, epoch).datagram.empty());
    BOOST_TEST(defragmenter.bytes() <= 5000u);
    BOOST_TEST(defragmenter.dropped() >= 16u);
}

// One that comes again and again is the newest each time, whatever place its number had.
BOOST_AUTO_TEST_CASE(a_number_used_again_holds_up_nobody) {
    decode::defragmenter defragmenter{decode::defragmenter_options{}.timeout(30s)};
    decode::headers orphan;
    decode::defragmenter::share waiting;
    for (auto const time : {0s, 10s, 20s}) {
        defragmenter.add(fragment{4, {0, 400}, 1}.headers, epoch + time);
        BOOST_TEST(!defragmenter.add(fragment{4, {400, 1000}, 1}.headers, epoch + time).datagram.empty());
        if (time == 0s)
            defragmenter.add(fragment{4, {200, 400}, 2}.headers, epoch);
    }
    BOOST_TEST(defragmenter.expire(epoch + 31s, orphan, waiting));
    BOOST_TEST(waiting.packets == 1u);
    BOOST_TEST(!defragmenter.expire(epoch + 31s, orphan, waiting));
}

// Also what was spoiled or is reused for a smaller one counts for what it is.
BOOST_AUTO_TEST_CASE(memory_keeps_to_the_budget) {
    constexpr std::size_t budget = 100'000;
    auto const used = [] {
        return static_cast<std::ptrdiff_t>(::mallinfo2().uordblks);
    }; // 0 where a sanitizer has the heap
    auto const options = decode::defragmenter_options{}.max_bytes(budget).max_datagrams(1000);
    decode::defragmenter defragmenter{options};
    auto const before = used();
    for (unsigned id = 0; id != 1000; ++id) {
        defragmenter.add(fragment{4, {992, 1000}, id}.headers, epoch);
        defragmenter.add(fragment{4, {984, 992, true}, id}.headers, epoch);
        defragmenter.add(fragment{4, {0, 1000}, id}.headers, epoch); // no end where the last one ended
        defragmenter.add(fragment{4, {0, 20}, id}.headers, epoch);   // spoils
    }
    BOOST_TEST(used() - before < std::ptrdiff_t{3 * budget + 1000 * 300}); // 300 for what is noted of each datagram
}

// Lengths and offsets that lie must neither crash nor complete.
BOOST_AUTO_TEST_CASE(damaged_fragments) {
    std::mt19937 random{5};
    decode::defragmenter defragmenter{decode::defragmenter_options{}.max_datagrams(50)};
    decode::headers orphan;
    decode::defragmenter::share waiting;
    for (int round = 0; round != 100'000; ++round) {
        auto const begin = static_cast<unsigned>(random() % 120 * 8);
        auto const end = std::min<unsigned>(begin + 8 + static_cast<unsigned>(random() % 300), 1000);
        fragment f{round % 2 == 0 ? 4 : 6, {begin, end}, static_cast<unsigned>(random() % 8)};
        for (auto n = random() % 3; n != 0; --n)
            f.frame.bytes()[14 + random() % 30] = static_cast<std::uint8_t>(random());
        auto view = f.frame.view();
        if (random() % 5 == 0)
            view.data = view.data.first(random() % view.data.size());
        decode::headers h;
        if (!decode::decoder{}(view, h) || h.fragment_layer == 0 || h.ip_layers != h.fragment_layer)
            continue;
        while (defragmenter.expire(epoch, orphan, waiting)) {
        }
        auto const result = defragmenter.add(h, epoch);
        if (!result.datagram.empty()) {
            auto whole = h;
            decode::decoder{}.datagram(result.datagram, whole);
        }
    }
    BOOST_TEST(defragmenter.dropped() > 100u);
}
