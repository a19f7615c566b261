#include <netring_asio/injector.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <exception>
#include <lab/allocations.hpp>
#include <lab/lab.hpp>
#include <lab/patterned.hpp>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

namespace {

constexpr auto tuple = net::as_tuple(net::use_awaitable);

nr::injector open_injector(net::io_context& context, lab::side const& side,
                           nr::injector_options const& options = nr::injector_options{"left"}) {
    nr::injector injector{context};
    side.enter([&] { injector.open(options); });
    return injector;
}

/// A queueing discipline that lets frames through at a rate, and refuses them beyond `limit` bytes.
void slow_down(lab::side const& side, std::string rate, std::string limit) {
    side.run(
        {"tc", "qdisc", "replace", "dev", side.name(), "root", "tbf", "rate", rate, "burst", "20k", "limit", limit});
}

/// The frames from `first` on, in memory of their own.
class frame_list {
public:
    frame_list(lab::pattern const& pattern, std::uint64_t first, std::size_t count) {
        for (auto number = first; number != first + count; ++number) {
            auto& bytes = bytes_.emplace_back(pattern.size(number));
            pattern.write(number, bytes);
            buffers.push_back(net::buffer(bytes));
        }
    }
    std::vector<net::const_buffer> buffers;

private:
    std::vector<std::vector<std::byte>> bytes_;
};

/// Runs a coroutine to its end, or for 20 seconds. Unlike `run_for`, which starts anew for each handler, this keeps
/// Asio's store of memory.
template <class Body>
void run(net::io_context& context, Body body) {
    bool done = false;
    net::steady_timer watchdog{context, 20s};
    watchdog.async_wait([&](nr::error_code error) {
        if (!error)
            context.stop();
    });
    net::co_spawn(context, std::move(body), [&](std::exception_ptr failure) {
        done = true;
        watchdog.cancel();
        if (failure)
            std::rethrow_exception(failure);
    });
    context.run();
    BOOST_TEST(done);
}

void expect_all(lab::pattern_receiver& receiver, std::uint64_t count) {
    auto const found = receiver.finish(count, 2s);
    BOOST_TEST(found.received == count);
    BOOST_TEST(found.damaged == 0U);
    BOOST_TEST(found.repeated == 0U);
    BOOST_TEST(found.missing == 0U);
    BOOST_TEST(found.dropped == 0U);
    BOOST_TEST_MESSAGE("figure: " << found.received << " of " << count << " frames arrived, " << found.damaged
                                  << " damaged, " << found.repeated << " twice or out of order, " << found.missing
                                  << " missing");
}

} // namespace

BOOST_AUTO_TEST_SUITE(sending, *lab::available())

BOOST_AUTO_TEST_CASE(gathered_frames_arrive_once_in_order_and_whole) {
    for (auto const* const limit : {"", "20k", "10m"}) {
        lab::pair const wire;
        if (*limit != 0)
            slow_down(wire.left, "100mbit", limit);
        lab::pattern const pattern{wire.right.address()};
        lab::pattern_receiver receiver{wire.right, pattern};
        net::io_context context;
        auto injector = open_injector(context, wire.left, nr::injector_options{"left"}.frame_count(64));
        constexpr std::uint64_t count = 5'000;
        run(context, [&]() -> net::awaitable<void> {
            std::array<std::byte, 1514> bytes;
            for (std::uint64_t i = 0; i != count; ++i) {
                pattern.write(i, bytes);
                auto const size = pattern.size(i);
                std::array<net::const_buffer, 2> const parts{net::buffer(bytes.data(), 14),
                                                             net::buffer(bytes.data() + 14, size - 14)};
                auto [error, sent] = co_await injector.async_send(parts, tuple);
                BOOST_TEST(!error);
                BOOST_TEST(sent == size);
            }
            auto [error, result] = co_await injector.async_drain(tuple);
            BOOST_TEST(!error);
            BOOST_TEST(result.taken == count);
            BOOST_TEST(result.rejected == 0U);
        });
        BOOST_TEST(injector.pending() == 0U);
        BOOST_TEST(injector.statistics().committed == count);
        expect_all(receiver, count);
    }
}

BOOST_AUTO_TEST_CASE(many_frames_go_at_once_and_a_bad_one_ends_the_send_behind_its_predecessors) {
    lab::pair const wire;
    slow_down(wire.left, "400mbit", "100k");
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    net::io_context context;
    auto injector = open_injector(context, wire.left, nr::injector_options{"left"}.frame_count(32));
    std::uint64_t number = 0;
    run(context, [&]() -> net::awaitable<void> {
        std::array<std::byte, 2000> const junk{};
        for (std::size_t round = 0; round != 40; ++round) {
            frame_list list{pattern, number, 1 + round * 5};
            auto [error, sent] = co_await injector.async_send_frames(list.buffers, tuple);
            BOOST_TEST(!error);
            BOOST_TEST(sent == list.buffers.size());
            number += sent;
            frame_list part{pattern, number, 5};
            part.buffers.insert(part.buffers.begin() + 2, net::buffer(junk.data(), round % 2 == 0 ? 1515 : 13));
            std::tie(error, sent) = co_await injector.async_send_frames(part.buffers, tuple);
            BOOST_TEST((error == (round % 2 == 0 ? nr::error::frame_too_long : nr::error::frame_too_short)));
            BOOST_TEST(sent == 2U);
            number += sent;
        }
        auto [error, result] = co_await injector.async_drain(tuple);
        BOOST_TEST(result.taken == number);
    });
    expect_all(receiver, number);
}

BOOST_AUTO_TEST_CASE(reserved_frames_are_filled_in_place) {
    lab::pair const wire;
    slow_down(wire.left, "100mbit", "1m");
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    net::io_context context;
    auto injector = open_injector(context, wire.left, nr::injector_options{"left"}.frame_count(16));
    constexpr std::uint64_t count = 2'000;
    run(context, [&]() -> net::awaitable<void> {
        nr::tx_frame frame;
        for (std::uint64_t i = 0; i != count; ++i) {
            auto [error] = co_await injector.async_reserve(frame, 1514, tuple);
            BOOST_TEST(!error);
            if (i % 3 == 0) // what is held is dropped by the next
                co_await injector.async_reserve(frame, 100, tuple);
            co_await injector.async_reserve(frame, 1514, tuple);
            pattern.write(i, frame.data());
            frame.commit(pattern.size(i));
        }
        auto const room = injector.available() != 0;
        frame = injector.try_reserve(60);
        BOOST_TEST((frame || !room));
        frame.reset();
        co_await injector.async_drain(tuple);
    });
    expect_all(receiver, count);
}

BOOST_AUTO_TEST_CASE(a_send_that_fails_for_the_interface_is_not_sent_later) {
    lab::pair const wire;
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    net::io_context context;
    auto injector = open_injector(context, wire.left);
    run(context, [&]() -> net::awaitable<void> {
        frame_list good{pattern, 0, 4};
        frame_list bad{pattern, 100, 3};
        auto [error, sent] = co_await injector.async_send_frames(std::span{good.buffers}.first(2), tuple);
        BOOST_TEST(sent == 2U);
        wire.left.set_down();
        auto frame = injector.try_reserve(1514);
        pattern.write(2, frame.data());
        frame.commit(pattern.size(2)); // this one stays
        std::tie(error, sent) = co_await injector.async_send(bad.buffers[0], tuple);
        BOOST_TEST((error == nr::error::interface_down));
        BOOST_TEST(sent == 0U);
        std::tie(error, sent) = co_await injector.async_send_frames(bad.buffers, tuple);
        BOOST_TEST((error == nr::error::interface_down));
        BOOST_TEST(sent == 0U);
        BOOST_TEST(injector.queued() == 1U);
        auto [drain_error, result] = co_await injector.async_drain(tuple);
        BOOST_TEST((drain_error == nr::error::interface_down));
        wire.left.set_up();
        std::tie(error, sent) = co_await injector.async_send(good.buffers[3], tuple);
        BOOST_TEST(!error);
        std::tie(drain_error, result) = co_await injector.async_drain(tuple);
        BOOST_TEST(result.taken == 4U);
    });
    BOOST_TEST(injector.statistics().committed == 4U);
    expect_all(receiver, 4);
}

BOOST_AUTO_TEST_CASE(a_send_waits_for_the_interface_where_that_is_the_policy) {
    lab::pair const wire;
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    net::io_context context;
    auto injector =
        open_injector(context, wire.left,
                      nr::injector_options{"left"}.frame_count(4).on_link_down(nr::link_down_policy::wait_until_up));
    wire.left.set_down();
    std::jthread const later{[&] {
        std::this_thread::sleep_for(100ms);
        wire.left.set_up();
    }};
    run(context, [&]() -> net::awaitable<void> {
        frame_list list{pattern, 0, 50}; // more than the ring holds
        auto [error, sent] = co_await injector.async_send_frames(list.buffers, tuple);
        BOOST_TEST(!error);
        BOOST_TEST(sent == 50U);
        co_await injector.async_drain(tuple);
    });
    BOOST_TEST(injector.statistics().kicks < 60U);
    expect_all(receiver, 50);
}

BOOST_AUTO_TEST_CASE(interface_and_mtu_changing_under_a_stream_of_frames_break_nothing) {
    lab::pair const wire;
    slow_down(wire.left, "800mbit", "50k");
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    net::io_context context;
    auto injector = open_injector(context, wire.left,
                                  nr::injector_options{"left"}.on_link_down(nr::link_down_policy::wait_until_up));
    bool stop = false;
    std::uint64_t number = 0;
    std::uint64_t told = 0; // frames that a send refused
    std::uint64_t losses = 0;
    nr::tx_result result;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            while (!stop) {
                frame_list list{pattern, number, 100};
                auto [error, sent] = co_await injector.async_send_frames(list.buffers, tuple);
                BOOST_TEST((!error || error == nr::error::frame_too_long));
                number += sent;
                if (error) {
                    ++number;
                    ++told;
                }
            }
            nr::error_code error;
            std::tie(error, result) = co_await injector.async_drain(tuple);
            BOOST_TEST(!error);
        },
        net::detached);
    std::jthread const disturber{[&] {
        for (int i = 0; i != 10; ++i) {
            std::this_thread::sleep_for(30ms);
            if (i % 2 == 0) {
                wire.left.set_down();
                ++losses;
                std::this_thread::sleep_for(10ms);
                wire.left.set_up();
            } else {
                wire.left.set_mtu(700);
                std::this_thread::sleep_for(10ms);
                wire.left.set_mtu(1500);
            }
        }
        net::post(context, [&] { stop = true; });
    }};
    context.run_for(20s);
    auto const statistics = injector.statistics();
    BOOST_TEST(statistics.committed == number - told);
    BOOST_TEST(statistics.taken + statistics.rejected == statistics.committed);
    BOOST_TEST(statistics.rejected != 0U);
    BOOST_TEST(result.taken == statistics.taken);
    BOOST_TEST(told != 0U);
    auto const found = receiver.finish(statistics.taken);
    BOOST_TEST_MESSAGE("figure: taken " << statistics.taken << ", rejected " << statistics.rejected
                                        << ", refused at once " << told << ", arrived " << found.received);
    BOOST_TEST(found.damaged == 0U);
    BOOST_TEST(found.repeated == 0U);
    BOOST_TEST(found.dropped == 0U);
    BOOST_TEST(found.received <= statistics.taken);
    // What the kernel had taken when the interface went down is discarded, and what it takes before the ring looks.
    BOOST_TEST(statistics.taken - found.received <= 3 * losses * injector.frame_count());
}

BOOST_AUTO_TEST_CASE(cancelled_sends_are_sent_or_not_as_they_say) {
    for (auto const type :
         {net::cancellation_type::total, net::cancellation_type::partial, net::cancellation_type::terminal}) {
        lab::pair const wire;
        slow_down(wire.left, "40mbit", "10m");
        lab::pattern const pattern{wire.right.address()};
        lab::pattern_receiver receiver{wire.right, pattern};
        net::io_context context;
        auto injector = open_injector(context, wire.left, nr::injector_options{"left"}.frame_count(8));
        net::cancellation_signal signal;
        net::steady_timer timer{context};
        std::minstd_rand random{3};
        std::uint64_t number = 0;
        int cancelled = 0;
        int in_the_middle = 0;
        run(context, [&]() -> net::awaitable<void> {
            while (number < 3'000) {
                timer.expires_after(std::chrono::microseconds{random() % 1500});
                timer.async_wait([&](nr::error_code) { signal.emit(type); });
                auto const bound = [&] { return net::bind_cancellation_slot(signal.slot(), tuple); };
                frame_list list{pattern, number, 1 + random() % 30};
                nr::error_code error;
                if (random() % 2 == 0) {
                    auto const count = list.buffers.size();
                    std::size_t sent = 0;
                    std::tie(error, sent) = co_await injector.async_send_frames(list.buffers, bound());
                    BOOST_TEST((error || sent == count));
                    in_the_middle += sent != 0 && sent != count;
                    number += sent;
                } else {
                    std::size_t sent = 0;
                    std::tie(error, sent) = co_await injector.async_send(list.buffers.front(), bound());
                    BOOST_TEST(sent == (error ? 0 : pattern.size(number)));
                    number += sent != 0;
                }
                BOOST_TEST((!error || error == net::error::operation_aborted));
                cancelled += !!error;
                timer.cancel();
            }
            // A cancelled drain takes nothing away from the next.
            timer.expires_after(100us);
            timer.async_wait([&](nr::error_code) { signal.emit(type); });
            auto [error, result] = co_await injector.async_drain(net::bind_cancellation_slot(signal.slot(), tuple));
            BOOST_TEST((!error || result.taken == 0U));
            if (error)
                std::tie(error, result) = co_await injector.async_drain(tuple);
            BOOST_TEST(result.taken == number);
        });
        BOOST_TEST(cancelled > 0);
        // Total cancellation promises that nothing was done, so it comes too late once a frame is committed.
        BOOST_TEST((in_the_middle == 0 || type != net::cancellation_type::total));
        expect_all(receiver, number);
    }
}

BOOST_AUTO_TEST_CASE(a_drain_stands_beside_a_send_and_waits_for_what_was_there) {
    lab::pair const wire;
    slow_down(wire.left, "8mbit", "1m");
    lab::pattern const pattern{wire.right.address(), 1000, 1000};
    lab::pattern_receiver receiver{wire.right, pattern};
    net::io_context context;
    auto injector = open_injector(context, wire.left, nr::injector_options{"left"}.frame_count(32));
    frame_list list{pattern, 0, 300};
    bool sent = false;
    std::optional<nr::tx_result> drained;
    std::optional<nr::error_code> refused;
    injector.async_send_frames(list.buffers, [&](nr::error_code error, std::size_t count) {
        BOOST_TEST(!error);
        BOOST_TEST(count == 300U);
        sent = true;
    });
    injector.async_drain([&](nr::error_code error, nr::tx_result result) {
        BOOST_TEST(!error);
        BOOST_TEST(!sent);
        drained = result;
    });
    injector.async_drain([&](nr::error_code error, nr::tx_result) { refused = error; });
    nr::error_code ec;
    injector.try_reserve(60, ec);
    BOOST_TEST((ec == nr::error::operation_in_progress));
    injector.send(list.buffers[0], ec);
    BOOST_TEST((ec == nr::error::operation_in_progress));
    injector.wait_drained(1s, ec);
    BOOST_TEST((ec == nr::error::operation_in_progress));
    context.run_for(20s);
    BOOST_TEST((refused == nr::error::operation_in_progress));
    BOOST_TEST(sent);
    BOOST_REQUIRE(drained.has_value());
    BOOST_TEST(drained->taken >= 32U);
    BOOST_TEST(drained->taken < 300U);
    BOOST_TEST(injector.wait_drained(5s).taken == 300 - drained->taken);
    expect_all(receiver, 300);
}

BOOST_AUTO_TEST_CASE(sending_works_without_a_running_context) {
    lab::pair const wire;
    slow_down(wire.left, "10mbit", "50k");
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    net::io_context context;
    auto injector = open_injector(context, wire.left, nr::injector_options{"left"}.frame_count(16));
    frame_list list{pattern, 0, 500};
    for (auto const& buffer : list.buffers)
        BOOST_TEST(injector.send(buffer) == buffer.size());
    nr::error_code ec;
    BOOST_TEST(injector.wait_drained(0ns, ec).taken == 0U);
    BOOST_TEST((ec == nr::error::timed_out));
    BOOST_TEST(injector.wait_drained(5s).taken == 500U);
    BOOST_CHECK_THROW(injector.send(net::buffer(std::array<char, 13>{})), nr::system_error);
    // A cooked header is none that the device sends.
    nr::packet_view cooked;
    std::array<std::byte, 60> const bytes{};
    cooked.data = bytes;
    cooked.link = nr::link_type::linux_sll2;
    BOOST_TEST(!injector.try_send_packet(cooked, ec));
    BOOST_TEST((ec == nr::error::unsupported_link_type));
    expect_all(receiver, 500);
}

BOOST_AUTO_TEST_CASE(waiting_and_sending_allocate_nothing) {
    lab::pair const wire;
    slow_down(wire.left, "100mbit", "10k");
    lab::pattern const pattern{wire.right.address()};
    net::io_context context;
    auto injector = open_injector(context, wire.left, nr::injector_options{"left"}.frame_count(16));
    frame_list const list{pattern, 0, 50};
    auto steadily = [&](char const* what, auto once) -> net::awaitable<void> {
        std::uint64_t allocations = 0;
        for (int i = 0; i != 300; ++i) {
            lab::allocation_counter const counter;
            co_await once();
            allocations += i < 150 ? 0 : counter.here();
        }
        BOOST_TEST(allocations == 0U, what << ": " << allocations << " allocations");
    };
    run(context, [&]() -> net::awaitable<void> {
        // What a coroutine calls is a coroutine's frame, which Asio recycles as well.
        co_await steadily("async_send", [&] { return injector.async_send(list.buffers.front(), net::use_awaitable); });
        co_await steadily("async_send_frames",
                          [&] { return injector.async_send_frames(list.buffers, net::use_awaitable); });
        co_await steadily("async_reserve", [&]() -> net::awaitable<void> {
            nr::tx_frame frame;
            co_await injector.async_reserve(frame, 1000, net::use_awaitable);
            frame.commit();
        });
        co_await steadily("async_drain", [&]() -> net::awaitable<void> {
            co_await injector.async_send(list.buffers.front(), net::use_awaitable);
            co_await injector.async_drain(net::use_awaitable);
        });
    });
    BOOST_TEST(injector.statistics().would_block != 0U);
}

BOOST_AUTO_TEST_SUITE_END()
