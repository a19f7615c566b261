#include "../afpacket/support.hpp"
#include <netring_asio/capture.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <lab/allocations.hpp>
#include <thread>

namespace net = boost::asio;

namespace {

constexpr std::uint64_t warm_up = 100'000;
constexpr std::uint64_t total = 1'100'000;

/// Runs a context until it is out of work, but not for ever. Unlike `run_for`, which starts anew for each handler, this
/// keeps Asio's store of memory.
void run(net::io_context& context) {
    net::steady_timer watchdog{context, std::chrono::seconds{60}};
    watchdog.async_wait([&](nr::error_code error) {
        if (!error)
            context.stop();
    });
    context.run();
}

void tell(std::uint64_t received, std::uint64_t allocations) {
    BOOST_TEST_MESSAGE("figure: " << received - warm_up << " packets in the steady state, " << allocations
                                  << " allocations");
}

/// Receives a million frames through a coroutine and says how many allocations that took.
template <class Container, class Token>
std::uint64_t allocations_of_a_million(Token token, std::chrono::microseconds spin = {}) {
    lab::pair const wire;
    net::io_context context{1};
    nr::capture capture{context};
    wire.right.enter([&] {
        capture.open(nr::capture_options{"right"}.profile(nr::capture_profile::throughput).block_count(128).spin(spin));
    });
    std::uint64_t received = 0, allocations = 0;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            Container packets;
            while (received < warm_up) {
                received += co_await capture.async_receive(packets, token);
                if (received < warm_up / 2) // so that receives that are ready at once take part
                    std::this_thread::sleep_for(std::chrono::milliseconds{20});
            }
            lab::allocation_counter const counter;
            while (received < total)
                received += co_await capture.async_receive(packets, token);
            allocations = counter.here();
            context.stop();
        },
        net::detached);
    auto sender = lab::start_sender(wire.left, wire.right, {.count = total, .rate = 200'000});
    run(context);
    BOOST_TEST(received >= total);
    BOOST_TEST(capture.statistics().dropped == 0U);
    tell(received, allocations);
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

BOOST_AUTO_TEST_CASE(nor_where_the_ring_is_polled_before_sleeping) {
    // Whether it slept, and had to ask for its turn, before the count began depends on the machine. Asio's store grows
    // when it first does each: once, not with every packet or batch.
    BOOST_TEST(allocations_of_a_million<nr::packet_batch>(net::use_awaitable, std::chrono::microseconds{200}) <= 4U);
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
    wire.right.enter(
        [&] { capture.open(nr::capture_options{"right"}.profile(nr::capture_profile::throughput).block_count(128)); });
    std::uint64_t received = 0, allocations = 0;
    nr::packet_batch batch;
    lab::allocation_counter counter;
    struct loop {
        void operator()(nr::error_code, std::size_t count) {
            if (received < warm_up && received + count >= warm_up)
                counter = {};
            received += count;
            if (received < warm_up / 2)
                std::this_thread::sleep_for(std::chrono::milliseconds{20});
            if (received < total)
                return capture.async_receive(batch, loop{*this});
            allocations = counter.here();
            context.stop();
        }
        net::io_context& context;
        nr::capture& capture;
        nr::packet_batch& batch;
        lab::allocation_counter& counter;
        std::uint64_t& received;
        std::uint64_t& allocations;
    };
    capture.async_receive(batch, loop{context, capture, batch, counter, received, allocations});
    auto sender = lab::start_sender(wire.left, wire.right, {.count = total, .rate = 200'000});
    run(context);
    BOOST_TEST(received >= total);
    BOOST_TEST(allocations == 0U);
    tell(received, allocations);
}

BOOST_AUTO_TEST_SUITE_END()
