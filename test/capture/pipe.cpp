#include "../afpacket/support.hpp"
#include <netring_asio/capture.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <functional>
#include <optional>
#include <thread>

namespace net = boost::asio;
using namespace std::chrono_literals;
using boost::test_tools::per_element;

namespace {

using batch_channel = net::experimental::channel<void(nr::error_code, nr::packet_batch)>;
using owned_channel = net::experimental::channel<void(nr::error_code, std::vector<nr::owned_packet>)>;
using channels = std::tuple<batch_channel, owned_channel>;
using concurrent_batch_channel = net::experimental::concurrent_channel<void(nr::error_code, nr::packet_batch)>;

nr::capture open_capture(net::io_context& context, lab::side const& side) {
    nr::capture capture{context};
    side.enter([&] { capture.open(roomy()); });
    return capture;
}

void append_numbers(std::vector<std::uint64_t>& numbers, std::vector<nr::owned_packet> const& packets) {
    for (nr::packet_view const& packet : packets)
        numbers.push_back(*lab::frame_number(packet.data));
}

} // namespace

BOOST_AUTO_TEST_SUITE(piping, *lab::available())

BOOST_AUTO_TEST_CASE_TEMPLATE(a_slow_consumer_gets_every_packet_in_order, channel_type, channels) {
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right);
    channel_type channel{context, 2};
    std::optional<nr::error_code> piped;
    capture.async_pipe(channel, [&](nr::error_code error) { piped = error; });
    nr::packet_batch batch;
    std::optional<nr::error_code> refused;
    capture.async_receive(batch, [&](nr::error_code error, std::size_t) { refused = error; });
    auto sender = lab::start_sender(wire.left, wire.right, {.count = 5'000, .rate = 50'000});
    std::vector<std::uint64_t> numbers;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            net::steady_timer timer{context};
            while (numbers.size() < 5'000) {
                auto [error, message] = co_await channel.async_receive(net::as_tuple(net::use_awaitable));
                BOOST_TEST(!error);
                append_numbers(numbers, message);
                timer.expires_after(2ms);
                co_await timer.async_wait(net::use_awaitable);
            }
            capture.cancel();
        },
        net::detached);
    context.run_for(20s);
    BOOST_TEST((piped == net::error::operation_aborted));
    BOOST_TEST((refused == nr::error::operation_in_progress));
    BOOST_TEST(capture.statistics().dropped == 0U);
    BOOST_TEST(numbers == numbers_up_to(5'000), per_element());
}

BOOST_AUTO_TEST_CASE(another_thread_gets_every_packet_over_a_concurrent_channel) {
    lab::pair const wire;
    net::io_context capturing, consuming;
    auto capture = open_capture(capturing, wire.right);
    concurrent_batch_channel channel{consuming, 4};
    std::vector<std::uint64_t> numbers;
    std::thread consumer;
    net::cancellation_signal stop;
    std::optional<nr::error_code> piped;
    capture.async_pipe(channel, net::bind_cancellation_slot(stop.slot(), [&](nr::error_code error) { piped = error; }));
    net::co_spawn(
        consuming,
        [&]() -> net::awaitable<void> {
            while (numbers.size() < 5'000) {
                auto [error, batch] = co_await channel.async_receive(net::as_tuple(net::use_awaitable));
                append_numbers(numbers, batch);
            }
            net::post(capturing, [&] { stop.emit(net::cancellation_type::terminal); });
        },
        net::detached);
    auto sender = lab::start_sender(wire.left, wire.right, {.count = 5'000, .rate = 50'000});
    consumer = std::thread{[&] { consuming.run_for(20s); }};
    capturing.run_for(20s);
    consumer.join();
    BOOST_TEST((piped == net::error::operation_aborted));
    BOOST_TEST(numbers == numbers_up_to(5'000), per_element());
}

BOOST_AUTO_TEST_CASE(a_pipe_with_a_future_keeps_its_context_and_stays_on_it) {
    lab::pair const wire;
    net::io_context capturing, consuming;
    auto capture = open_capture(capturing, wire.right);
    concurrent_batch_channel channel{consuming, 1};
    auto piped = capture.async_pipe(channel, net::use_future);
    std::vector<std::uint64_t> numbers;
    net::co_spawn(
        consuming,
        [&]() -> net::awaitable<void> {
            while (numbers.size() < 1'000) {
                auto [error, batch] = co_await channel.async_receive(net::as_tuple(net::use_awaitable));
                append_numbers(numbers, batch);
            }
            net::post(capturing, [&] { capture.cancel(); });
        },
        net::detached);
    auto sender = lab::start_sender(wire.left, wire.right, {.count = 1'000, .rate = 20'000});
    std::thread consumer{[&] { consuming.run_for(20s); }};
    capturing.run();
    consumer.join();
    BOOST_CHECK_EXCEPTION(piped.get(), nr::system_error,
                          [](auto const& thrown) { return thrown.code() == net::error::operation_aborted; });
    BOOST_TEST(numbers == numbers_up_to(1'000), per_element());
}

BOOST_AUTO_TEST_CASE(every_packet_is_received_or_counted_when_pipes_and_receivers_are_cancelled) {
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right);
    batch_channel channel{context, 1};
    auto sender = lab::start_sender(wire.left, wire.right, {.count = 20'000, .rate = 50'000});
    std::vector<std::uint64_t> numbers;
    int pipes = 0;
    net::steady_timer timer{context};
    net::cancellation_signal stop_pipe, stop_receive;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            for (int round = 0; round != 200; ++round) {
                bool piping = true;
                capture.async_pipe(channel, net::bind_cancellation_slot(stop_pipe.slot(), [&](nr::error_code) {
                                       piping = false;
                                       ++pipes;
                                   }));
                for (int i = 0; i != round % 4; ++i) {
                    timer.expires_after(std::chrono::microseconds{300 * (i + 1)});
                    timer.async_wait([&](nr::error_code) { stop_receive.emit(net::cancellation_type::all); });
                    auto [error, batch] = co_await channel.async_receive(
                        net::bind_cancellation_slot(stop_receive.slot(), net::as_tuple(net::use_awaitable)));
                    if (!error)
                        append_numbers(numbers, batch);
                    timer.cancel();
                }
                timer.expires_after(std::chrono::microseconds{round % 5 * 700});
                co_await timer.async_wait(net::use_awaitable);
                stop_pipe.emit(net::cancellation_type::total);
                while (piping) {
                    timer.expires_after(100us);
                    co_await timer.async_wait(net::use_awaitable);
                }
            }
            // What a cancelled pipe left in the channel and in the capture.
            timer.expires_after(500ms);
            co_await timer.async_wait(net::use_awaitable);
            channel.try_receive([&](nr::error_code, nr::packet_batch batch) { append_numbers(numbers, batch); });
            nr::packet_batch batch;
            nr::error_code ec;
            while (capture.receive(batch, 100ms, ec) != 0)
                append_numbers(numbers, batch);
        },
        net::detached);
    context.run_for(30s);
    sender.wait();
    auto const statistics = capture.statistics();
    BOOST_TEST(pipes == 200);
    BOOST_TEST(std::ranges::is_sorted(numbers, std::less_equal{}));
    BOOST_TEST(statistics.discarded > 0U);
    BOOST_TEST(numbers.size() + statistics.discarded + statistics.dropped == 20'000U);
}

BOOST_AUTO_TEST_CASE(closing_the_capture_ends_a_pipe_that_waits_for_a_full_channel) {
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right);
    batch_channel channel{context, 0};
    std::optional<nr::error_code> piped;
    capture.async_pipe(channel, [&](nr::error_code error) { piped = error; });
    lab::send_numbered(wire.left, wire.right, {.count = 10});
    context.run_for(50ms);
    BOOST_TEST(!piped);
    capture.close();
    context.run_for(1s);
    BOOST_TEST((piped == net::error::operation_aborted));
    BOOST_TEST(capture.statistics().discarded > 0U);
}

BOOST_AUTO_TEST_SUITE_END()
