#include "tx_support.hpp"

#include <random>
#include <string>
#include <vector>

namespace {

constexpr std::uint64_t million = 1'000'000;

/// Sends a million frames of 60 to 1514 bytes, and looks at each at the other end.
void send_a_million(std::vector<std::string> const& qdisc, nr::injector_options const& options, bool disturbed) {
    lab::pair const wire;
    if (!qdisc.empty())
        wire.left.run(qdisc);
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    auto ring = open_ring(wire.left, options);
    std::minstd_rand random{11};
    for (std::uint64_t i = 0; i != million; ++i) {
        if (disturbed && random() % 4 == 0)
            reserve(ring, 60 + random() % 1455).data()[0] = std::byte{0xee}; // and dropped
        if (disturbed && random() % 64 == 0) {
            nr::error_code ec;
            BOOST_REQUIRE(!ring.try_reserve(1519 + random() % 1000, ec));
            BOOST_REQUIRE((ec == nr::error::frame_too_long));
        }
        commit(ring, pattern, i);
        if (i % 64 == 0) {
            ring.flush();
            let_catch_up(receiver, i);
        }
    }
    expect_sent(ring, million);
    expect_all(receiver, million);
}

std::vector<std::string> const one_gigabit{"tc",   "qdisc", "add",   "dev", "left",  "root", "tbf",
                                           "rate", "1gbit", "burst", "64k", "limit", "1m"};
constexpr std::size_t usual_send_buffer = 106'496; // half of what a socket has where nobody asks

} // namespace

BOOST_AUTO_TEST_SUITE(a_million_frames, *lab::available())

BOOST_AUTO_TEST_CASE(arrive) { send_a_million({}, nr::injector_options{"left"}, false); }

BOOST_AUTO_TEST_CASE(arrive_with_reservations_dropped_and_oversize_frames_attempted) {
    send_a_million({}, nr::injector_options{"left"}, true);
}

BOOST_AUTO_TEST_CASE(arrive_through_a_queueing_discipline) {
    send_a_million(one_gigabit, nr::injector_options{"left"}, true);
}

BOOST_AUTO_TEST_CASE(arrive_through_a_queueing_discipline_with_the_usual_send_buffer) {
    send_a_million(one_gigabit, nr::injector_options{"left"}.send_buffer(usual_send_buffer), false);
}

BOOST_AUTO_TEST_SUITE_END()
