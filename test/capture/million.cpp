#include "../afpacket/support.hpp"
#include <netring_asio/capture.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

namespace net = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t million = 1'000'000;

struct outcome {
    std::uint64_t received = 0, out_of_order = 0, gaps = 0, foreign = 0;
    nr::capture_statistics statistics;
};

/// Receives numbered frames on the right side until the sender has ended and nothing comes any more.
outcome receive_all(lab::pair const& wire, nr::capture_options const& options, lab::numbered const& frames,
                    std::chrono::milliseconds sleep_for_each_batch) {
    outcome result;
    net::io_context context{1};
    nr::capture capture{context};
    wire.right.enter([&] { capture.open(options); });
    auto sender = lab::start_sender(wire.left, wire.right, frames);
    auto const index = static_cast<int>(wire.right.index());
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            nr::packet_batch batch;
            net::steady_timer timer{context};
            std::uint64_t next = 0;
            while (result.received + capture.statistics().dropped < frames.count) {
                co_await capture.async_receive(batch, net::use_awaitable);
                for (auto const packet : batch) {
                    auto const number = lab::frame_number(packet.data);
                    if (!number || packet.interface_index != index) {
                        ++result.foreign;
                        continue;
                    }
                    ++result.received;
                    result.out_of_order += *number < next;
                    result.gaps += *number > next;
                    next = *number + 1;
                }
                batch.reset();
                if (sleep_for_each_batch != 0ms) {
                    timer.expires_after(sleep_for_each_batch);
                    co_await timer.async_wait(net::use_awaitable);
                }
            }
        },
        net::detached);
    context.run_for(60s);
    sender.wait();
    result.statistics = capture.statistics();
    BOOST_TEST_MESSAGE("figure: " << frames.count << " frames sent, " << wire.right.counters().rx_packets
                                  << " counted by the peer's device, " << result.received << " received, "
                                  << result.statistics.dropped << " dropped, " << result.gaps << " gaps, "
                                  << result.out_of_order << " out of order, " << result.foreign << " foreign");
    return result;
}

nr::capture_options large() { return nr::capture_options{"right"}.profile(nr::capture_profile::throughput); }

} // namespace

BOOST_AUTO_TEST_SUITE(million_frames, *lab::available())

BOOST_AUTO_TEST_CASE(at_200_000_a_second_each_arrives_exactly_once_in_order) {
    lab::pair const wire;
    auto const result = receive_all(wire, large(), {.count = million, .rate = 200'000}, 0ms);
    BOOST_TEST(result.received == million);
    BOOST_TEST(result.gaps == 0U);
    BOOST_TEST(result.out_of_order == 0U);
    BOOST_TEST(result.statistics.dropped == 0U);
    BOOST_TEST(wire.right.counters().rx_packets == million);
}

BOOST_AUTO_TEST_CASE(unpaced_against_a_consumer_that_sleeps_each_is_received_or_counted) {
    lab::pair const wire;
    auto const result = receive_all(wire, small(), {.count = million}, 3ms);
    BOOST_TEST(result.statistics.dropped > 0U);
    BOOST_TEST(result.out_of_order == 0U);
    BOOST_TEST(result.received + result.statistics.dropped == wire.right.counters().rx_packets);
    BOOST_TEST(wire.right.counters().rx_packets == million);
}

BOOST_AUTO_TEST_CASE(nothing_of_another_interface_that_floods_is_captured) {
    lab::pair const wire;
    lab::pair const flooding{wire.left, wire.right, lab::pair_options{}.names("left2", "right2")};
    auto flood = lab::start_sender(flooding.left, flooding.right, {.count = 100'000'000});
    auto const result = receive_all(wire, large(), {.count = 100'000, .rate = 50'000}, 0ms);
    flood.stop();
    BOOST_TEST(result.foreign == 0U);
    BOOST_TEST(result.received == 100'000U);
    BOOST_TEST(flooding.right.counters().rx_packets > 100'000U);
}

BOOST_AUTO_TEST_SUITE_END()
