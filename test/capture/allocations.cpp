#include "../afpacket/support.hpp"
#include <netring_asio/capture.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <lab/allocations.hpp>

namespace net = boost::asio;

namespace {

constexpr std::uint64_t warm_up = 100'000;
constexpr std::uint64_t total = 1'100'000;

/// Receives a million frames through a coroutine and says how many allocations that took.
template <class Container, class Token>
std::uint64_t allocations_of_a_million(Token token) {
    lab::pair const wire;
    net::io_context context{1};
    nr::capture capture{context};
    wire.right.enter([&] { capture.open(nr::capture_options{"right"}.profile(nr::capture_profile::throughput)); });
    std::uint64_t received = 0, allocations = 0;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            Container packets;
            while (received < warm_up)
                received += co_await capture.async_receive(packets, token);
            lab::allocation_counter const counter;
            while (received < total)
                received += co_await capture.async_receive(packets, token);
            allocations = counter.here();
        },
        net::detached);
    auto sender = lab::start_sender(wire.left, wire.right, {.count = total, .rate = 400'000});
    context.run_for(std::chrono::seconds{60});
    BOOST_TEST(received >= total);
    BOOST_TEST(capture.statistics().dropped == 0U);
    return allocations;
}

} // namespace

BOOST_AUTO_TEST_SUITE(allocations, *lab::available())

BOOST_AUTO_TEST_CASE(a_million_packets_in_batches_take_none) {
    BOOST_TEST(allocations_of_a_million<nr::packet_batch>(net::use_awaitable) == 0U);
}

BOOST_AUTO_TEST_CASE(nor_with_deferred_operations) {
    BOOST_TEST(allocations_of_a_million<nr::packet_batch>(net::deferred) == 0U);
}

BOOST_AUTO_TEST_CASE(nor_do_owned_packets_in_a_vector_that_serves_again) {
    // The vector and each packet in it grow to the largest batch, which may come late: few, not one per packet or
    // batch.
    BOOST_TEST(allocations_of_a_million<std::vector<nr::owned_packet>>(net::use_awaitable) < 20'000U);
}

BOOST_AUTO_TEST_CASE(callbacks_take_none) {
    lab::pair const wire;
    net::io_context context{1};
    nr::capture capture{context};
    wire.right.enter([&] { capture.open(roomy()); });
    struct loop {
        nr::capture& capture;
        nr::packet_batch& batch;
        std::uint64_t& received;
        void operator()(nr::error_code error, std::size_t count) {
            received += count;
            if (!error)
                capture.async_receive(batch, loop{*this});
        }
    };
    nr::packet_batch batch;
    std::uint64_t received = 0;
    loop{capture, batch, received}({}, 0);
    auto sender = lab::start_sender(wire.left, wire.right, {.count = 200'000, .rate = 200'000});
    while (received < 10'000)
        context.run_one();
    lab::allocation_counter const counter;
    while (received < 200'000 && context.run_one_for(std::chrono::seconds{2}) != 0)
        ;
    BOOST_TEST(counter.here() == 0U);
    BOOST_TEST(received + capture.statistics().dropped == 200'000U);
}

BOOST_AUTO_TEST_SUITE_END()
