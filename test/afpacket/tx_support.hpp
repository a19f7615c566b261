#pragma once

#include <netring_asio/afpacket/tx_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdint>
#include <lab/lab.hpp>
#include <lab/patterned.hpp>
#include <thread>

namespace nr = netring_asio;
using namespace std::chrono_literals;
using nr::afpacket::tx_ring;

inline tx_ring open_ring(lab::side const& side, nr::injector_options const& options = nr::injector_options{"left"}) {
    tx_ring ring;
    side.enter([&] { ring.open(options); });
    return ring;
}

/// Waits for room, as a user of the ring without Asio does.
inline nr::afpacket::tx_frame reserve(tx_ring& ring, std::size_t size) {
    for (;;) {
        nr::error_code ec;
        auto frame = ring.try_reserve(size, ec);
        if (ec)
            throw nr::system_error{ec};
        if (frame)
            return frame;
        ring.wait(1s, ec);
    }
}

inline void commit(tx_ring& ring, lab::pattern const& pattern, std::uint64_t number) {
    auto const size = pattern.size(number);
    auto frame = reserve(ring, size);
    pattern.write(number, frame.data());
    frame.commit();
}

/// So that the receiver's socket never overflows.
inline void let_catch_up(lab::pattern_receiver const& receiver, std::uint64_t sent) {
    while (sent > receiver.received() + 20'000)
        std::this_thread::sleep_for(100us);
}

inline void expect_all(lab::pattern_receiver& receiver, std::uint64_t count, std::chrono::milliseconds limit = 1s) {
    auto const found = receiver.finish(count, limit);
    BOOST_TEST(found.received == count);
    BOOST_TEST(found.damaged == 0U);
    BOOST_TEST(found.repeated == 0U);
    BOOST_TEST(found.missing == 0U);
    BOOST_TEST(found.dropped == 0U);
    BOOST_TEST_MESSAGE("figure: " << found.received << " of " << count << " frames arrived, " << found.damaged
                                  << " damaged, " << found.repeated << " twice or out of order, " << found.missing
                                  << " missing, " << found.dropped << " dropped by the receiver");
}

inline void expect_sent(tx_ring& ring, std::uint64_t count) {
    auto const result = ring.wait_drained(5s);
    BOOST_TEST(result.taken == count);
    BOOST_TEST(result.rejected == 0U);
    auto const statistics = ring.statistics();
    BOOST_TEST(statistics.committed == count);
    BOOST_TEST(statistics.taken == count);
    BOOST_TEST(statistics.rejected == 0U);
    BOOST_TEST(ring.pending() == 0U);
    BOOST_TEST(ring.available() == ring.frame_count());
}
