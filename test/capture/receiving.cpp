#include "../afpacket/support.hpp"
#include <netring_asio/capture.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <ranges>
#include <thread>

#include <sys/resource.h>

namespace net = boost::asio;
using namespace std::chrono_literals;
using boost::test_tools::per_element;

namespace {

/// With blocks, and with slots.
nr::capture_options either(bool low_latency) {
    return roomy().profile(low_latency ? nr::capture_profile::low_latency : nr::capture_profile::balanced);
}

nr::capture open_capture(net::io_context& context, lab::side const& side,
                         nr::capture_options const& options = roomy()) {
    nr::capture capture{context};
    side.enter([&] { capture.open(options); });
    return capture;
}

} // namespace

BOOST_AUTO_TEST_SUITE(capture, *lab::available())

BOOST_DATA_TEST_CASE(a_thousand_cancelled_receives_lose_no_packet, boost::unit_test::data::make({false, true}),
                     low_latency) {
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right, either(low_latency));
    auto sender = lab::start_sender(wire.left, wire.right, {.count = 20'000, .rate = 40'000});
    std::vector<std::uint64_t> numbers;
    int cancelled = 0;
    bool done = false;
    net::cancellation_signal signal;
    net::steady_timer timer{context};
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            nr::packet_batch batch;
            nr::frame held;
            for (int i = 0; cancelled < 1000 || numbers.size() < 20'000; ++i) {
                // Emitted at all sorts of moments: before, with and after the packets.
                timer.expires_after(std::chrono::microseconds{i % 7 * 100});
                timer.async_wait([&](nr::error_code) { signal.emit(net::cancellation_type::total); });
                auto [error, count] = co_await capture.async_receive(
                    batch, net::bind_cancellation_slot(signal.slot(), net::as_tuple(net::use_awaitable)));
                if (error)
                    ++cancelled;
                BOOST_TEST((!error || error == net::error::operation_aborted));
                BOOST_TEST(count == batch.size());
                append_numbers(numbers, batch);
                held = i % 3000 == 0 && !batch.empty() ? batch.hold(*batch.begin()) : nr::frame{};
                timer.cancel();
            }
            done = true;
        },
        net::detached);
    context.run_for(20s);
    BOOST_TEST(done);
    BOOST_TEST(cancelled >= 1000);
    BOOST_TEST(capture.statistics().dropped == 0U);
    BOOST_TEST(numbers == numbers_up_to(20'000), per_element());
    BOOST_TEST_MESSAGE("figure: " << cancelled << " cancelled receives, " << numbers.size() << " of 20000 packets");
}

BOOST_AUTO_TEST_CASE(a_race_with_a_timer_loses_no_packet) {
    using namespace net::experimental::awaitable_operators;
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right);
    auto sender = lab::start_sender(wire.left, wire.right, {.count = 5'000, .rate = 10'000});
    std::vector<std::uint64_t> numbers;
    int timer_won = 0;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            net::steady_timer timer{context};
            nr::packet_batch batch;
            while (numbers.size() < 5'000) {
                timer.expires_after(500us);
                auto const winner =
                    co_await (capture.async_receive(batch, net::use_awaitable) || timer.async_wait(net::use_awaitable));
                timer_won += static_cast<int>(winner.index());
                append_numbers(numbers, batch); // whichever branch won
                batch.reset();
            }
        },
        net::detached);
    context.run_for(20s);
    BOOST_TEST(timer_won > 0);
    BOOST_TEST(numbers == numbers_up_to(5'000), per_element());
}

BOOST_AUTO_TEST_CASE(owned_packets_are_exactly_the_batch_and_survive_the_ring) {
    lab::pair const wire;
    net::io_context context;
    std::vector<nr::owned_packet> all;
    {
        auto capture = open_capture(context, wire.right);
        lab::send_numbered(wire.left, wire.right, {.count = 2000});
        std::vector<nr::owned_packet> packets;
        while (all.size() < 2000) {
            auto future = capture.async_receive(packets, net::use_future);
            context.restart();
            context.run_for(1s);
            BOOST_REQUIRE(future.wait_for(0s) == std::future_status::ready);
            BOOST_TEST(future.get() == packets.size());
            all.insert(all.end(), packets.begin(), packets.end());
        }
        auto aborted = capture.async_receive(packets, net::use_future);
        capture.cancel();
        context.restart();
        context.run();
        BOOST_CHECK_THROW(aborted.get(), nr::system_error);
        BOOST_TEST(packets.empty());
    }
    std::vector<std::uint64_t> numbers;
    for (nr::packet_view const& packet : all)
        numbers.push_back(*lab::frame_number(packet.data));
    BOOST_TEST(numbers == numbers_up_to(2000), per_element());
}

BOOST_AUTO_TEST_CASE(taking_five_packets_leaves_the_sixth_to_the_next_receive) {
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right);
    lab::send_numbered(wire.left, wire.right, {.count = 5});
    std::vector<std::uint64_t> numbers;
    // Returns although no sixth came, and there is no time limit.
    for (auto const& packet : capture.packets() | std::views::take(5))
        numbers.push_back(*lab::frame_number(packet.data));
    lab::send_numbered(wire.left, wire.right, {.count = 9, .first = 5});
    for (auto const& packet : capture.packets() | std::views::take(2))
        numbers.push_back(*lab::frame_number(packet.data));
    nr::packet_batch batch;
    bool received = false;
    capture.async_receive(batch, [&](nr::error_code error, std::size_t) { received = !error; });
    context.run_for(1s);
    BOOST_TEST(received);
    append_numbers(numbers, batch);
    for (auto const& packet : capture.packets(20ms))
        numbers.push_back(*lab::frame_number(packet.data));
    BOOST_TEST(numbers == numbers_up_to(14), per_element());
    capture.close();
    BOOST_TEST(std::ranges::distance(capture.packets()) == 0);
}

BOOST_AUTO_TEST_CASE(waiting_takes_nothing) {
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right);
    int completed = 0;
    capture.async_wait([&](nr::error_code error) { completed += !error; });
    context.run_for(20ms);
    BOOST_TEST(completed == 0);
    nr::packet_batch batch;
    BOOST_TEST(!capture.try_receive(batch)); // while an operation is pending
    lab::send_numbered(wire.left, wire.right, {.count = 3});
    context.run_for(1s);
    BOOST_TEST(completed == 1);
    for (int i = 0; i != 3; ++i) {
        context.restart();
        capture.async_wait([&](nr::error_code error) { completed += !error; });
        context.run();
    }
    BOOST_TEST(completed == 4);
    BOOST_TEST(receive_numbers(capture, 3) == numbers_up_to(3), per_element());
}

BOOST_AUTO_TEST_CASE(a_batch_taken_by_a_wait_is_judged_by_a_later_filter) {
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right);
    lab::send_numbered(wire.left, wire.right, {.count = 100});
    capture.async_wait([](nr::error_code) {});
    context.run_for(1s);
    capture.set_filter("ether[21] = 7"); // the last byte of the number
    BOOST_TEST(receive_numbers(capture, 100) == std::vector<std::uint64_t>{7}, per_element());
    BOOST_TEST(capture.statistics().filtered == 99U);
}

BOOST_AUTO_TEST_CASE(nothing_runs_while_nothing_comes_whatever_is_held) {
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right);
    nr::packet_batch newest, batch;
    lab::send_numbered(wire.left, wire.right, {.count = 1});
    BOOST_REQUIRE(capture.receive(newest, 1s) == 1U);
    capture.async_receive(batch, [](nr::error_code, std::size_t) {});
    context.run_for(20ms);
    rusage before{}, after{};
    ::getrusage(RUSAGE_THREAD, &before);
    context.run_for(500ms);
    ::getrusage(RUSAGE_THREAD, &after);
    BOOST_TEST(after.ru_nvcsw - before.ru_nvcsw <= 5);
    auto cpu = [](rusage const& usage) {
        return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 + usage.ru_utime.tv_usec +
               usage.ru_stime.tv_usec;
    };
    BOOST_TEST(cpu(after) - cpu(before) < 100'000); // a spin would take all of it

    wire.right.set_down();
    context.run_for(20ms);
    capture.async_receive(batch, [](nr::error_code, std::size_t) {});
    ::getrusage(RUSAGE_THREAD, &before);
    context.restart();
    context.run_for(200ms);
    ::getrusage(RUSAGE_THREAD, &after);
    BOOST_TEST(after.ru_nvcsw - before.ru_nvcsw <= 5);
}

BOOST_AUTO_TEST_CASE(who_spins_leaves_time_to_others_and_hears_of_cancellation_and_the_link) {
    lab::pair const wire;
    net::io_context context;
    auto const options = roomy().profile(nr::capture_profile::low_latency).spin(nr::spin_always);
    auto capture = open_capture(context, wire.right, options);
    auto sender = lab::start_sender(wire.left, wire.right, {.count = 2'000, .rate = 20'000});
    std::vector<std::uint64_t> numbers;
    int ticks = 0;
    nr::packet_batch batch;
    nr::error_code seen;
    net::steady_timer clock{context}, watchdog{context, 20s};
    std::function<void()> receive = [&] {
        capture.async_receive(batch, [&](nr::error_code error, std::size_t) {
            seen = error;
            append_numbers(numbers, batch);
            if (!error && numbers.size() != 2'000)
                receive();
        });
    };
    std::function<void()> tick = [&] {
        clock.expires_after(1ms);
        clock.async_wait([&](nr::error_code) { ++ticks, tick(); });
    };
    watchdog.async_wait([&](nr::error_code error) {
        if (!error)
            context.stop();
    });
    auto run_while = [&](auto condition) {
        while (condition() && context.run_one() != 0) {
        }
    };
    receive();
    tick();
    run_while([&] { return numbers.size() != 2'000; });
    BOOST_TEST(numbers == numbers_up_to(2'000), per_element());

    net::cancellation_signal signal;
    auto expect = [&](auto happens, nr::error_code wanted) {
        bool done = false;
        capture.async_receive(batch, net::bind_cancellation_slot(signal.slot(), [&](nr::error_code error, std::size_t) {
                                  done = true;
                                  BOOST_TEST(error == wanted);
                              }));
        for (int i = 0; i != 100; ++i)
            context.run_one();
        BOOST_TEST(!done);
        happens();
        BOOST_TEST(!done);
        run_while([&] { return !done; });
    };
    expect(
        [&] {
            run_while([&, enough = ticks + 3] { return ticks < enough; }); // while the receive spins
            signal.emit(net::cancellation_type::total);
        },
        net::error::operation_aborted);
    expect([&] { capture.cancel(); }, net::error::operation_aborted);
    expect([&] { wire.right.set_down(); }, nr::error::interface_down);
    expect([&] { capture.close(); }, net::error::operation_aborted);
    BOOST_TEST(!context.stopped());
}

BOOST_AUTO_TEST_CASE(cancel_and_close_may_be_posted_to_its_strand_from_any_thread) {
    lab::pair const wire;
    net::io_context context{2};
    auto const strand = net::make_strand(context);
    nr::capture capture{strand};
    wire.right.enter([&] { capture.open(roomy()); });
    constexpr std::uint64_t count = 5'000;
    std::vector<std::uint64_t> numbers; // of the strand
    nr::packet_batch batch;
    bool ended = false;
    std::atomic<int> cancelled{0};
    std::mutex mutex;
    std::vector<nr::packet_batch> held; // until another thread releases them
    std::function<void()> receive = [&] {
        capture.async_receive(batch, [&](nr::error_code error, std::size_t) {
            append_numbers(numbers, batch);
            {
                std::lock_guard const lock{mutex};
                held.push_back(std::move(batch));
            }
            cancelled += error == net::error::operation_aborted ? 1 : 0;
            ended = error == nr::error::not_open;
            if (!ended)
                receive();
        });
    };
    net::post(strand, receive);
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> received{0};
    std::vector<std::thread> threads;
    for (int i = 0; i != 2; ++i)
        threads.emplace_back([&] { context.run(); });
    threads.emplace_back([&] {
        while (!done) {
            received = capture.statistics().received;
            std::this_thread::yield();
        }
    });
    threads.emplace_back([&] {
        while (!done) {
            std::vector<nr::packet_batch> releasing;
            {
                std::lock_guard const lock{mutex};
                releasing.swap(held);
            }
            releasing.clear();
            std::this_thread::yield();
        }
    });
    threads.emplace_back([&] {
        while (!done) {
            net::post(strand, [&] { capture.cancel(); });
            std::this_thread::sleep_for(200us);
        }
    });
    lab::send_numbered(wire.left, wire.right, {.count = count});
    BOOST_TEST(lab::eventually([&] { return received == count; }));
    // What came is received before it ends.
    std::atomic<std::size_t> so_far{0};
    BOOST_TEST(lab::eventually([&] {
        net::post(strand, [&] { so_far = numbers.size(); });
        return so_far == count;
    }));
    BOOST_TEST(lab::eventually([&] { return cancelled > 0; }));
    done = true;
    net::post(strand, [&] { capture.close(); });
    for (auto& thread : threads)
        thread.join();
    BOOST_TEST(ended);
    BOOST_TEST(numbers == numbers_up_to(count), per_element());
}

BOOST_AUTO_TEST_CASE(spinning_in_vain_becomes_rare) {
    nr::detail::spinner spinner{1ms};
    auto in_vain = [&] { // one wait for something that comes too late
        int looks = 0;
        while (spinner.goes_on())
            ++looks;
        std::this_thread::sleep_for(2ms);
        spinner.ended();
        return looks != 0;
    };
    std::vector<int> spun;
    for (int i = 0; i != 12; ++i)
        if (in_vain())
            spun.push_back(i);
    BOOST_TEST(spun == (std::vector<int>{0, 2, 6}), per_element());
    nr::detail::spinner patient{1h};
    BOOST_TEST(patient.goes_on());
    patient.ended();
    BOOST_TEST(patient.goes_on());
    nr::detail::spinner none;
    BOOST_TEST(!none.goes_on());
}

BOOST_AUTO_TEST_CASE(batches_and_frames_outlive_the_capture_and_its_context) {
    lab::pair const wire;
    nr::packet_batch batch;
    nr::frame frame;
    {
        std::optional<net::io_context> context{std::in_place};
        std::optional<nr::capture> capture{open_capture(*context, wire.right)};
        lab::send_numbered(wire.left, wire.right, {.count = 900});
        BOOST_REQUIRE(capture->receive(batch, 1s) != 0U);
        frame = batch.hold(*batch.begin());
        nr::packet_batch never;
        capture->async_receive(never, [held = batch.hold(*batch.begin())](nr::error_code, std::size_t) {});
        capture.reset();
        context.reset();
    }
    std::thread{[&, moved = std::move(batch)]() mutable {
        BOOST_TEST(*lab::frame_number((*moved.begin()).data) == 0U);
        moved.reset();
    }}.join();
    BOOST_TEST(*lab::frame_number(frame->data) == 0U);
}

BOOST_AUTO_TEST_CASE(who_holds_the_last_packet_sleeps_all_the_same) {
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right, either(true));
    nr::packet_batch batch;
    bool received = false;
    constexpr std::size_t few = 10; // it would be thousands
    auto receive = [&] {
        received = false;
        capture.async_receive(batch, [&](nr::error_code ec, std::size_t count) { received = !ec && count == 1; });
        context.restart();
        auto const steps = context.run_for(20ms);
        BOOST_TEST(!received);
        lab::send_numbered(wire.left, wire.right, {});
        context.run_for(5s);
        BOOST_TEST_REQUIRE(received);
        return steps;
    };
    for (int i = 0; i != 3; ++i)
        BOOST_TEST(receive() <= few);
    for (int i = 0; i != 3; ++i) {
        auto const held = batch.hold(*batch.begin());
        BOOST_TEST(receive() <= few);
    }
    BOOST_TEST(receive() <= few);
}

BOOST_DATA_TEST_CASE(a_pending_receive_is_told_of_the_interface, boost::unit_test::data::make({false, true}),
                     low_latency) {
    lab::pair const wire;
    net::io_context context;
    auto capture = open_capture(context, wire.right, either(low_latency));
    nr::packet_batch batch;
    nr::error_code seen;
    auto receive = [&](auto happens) {
        seen = {};
        capture.async_receive(batch, [&](nr::error_code error, std::size_t) { seen = error; });
        context.restart();
        context.run_for(10ms);
        happens();
        context.run_for(1s);
    };
    receive([&] { wire.right.set_down(); });
    BOOST_TEST((seen == nr::error::interface_down));
    receive([&] {
        wire.right.set_up();
        std::this_thread::sleep_for(10ms);
        lab::send_numbered(wire.left, wire.right, {});
    });
    BOOST_TEST(!seen);
    BOOST_TEST(batch.size() == 1U);
    receive([&] { wire.right.remove(); });
    if (seen == nr::error::interface_down) // the kernel takes it down first
        receive([] {});
    BOOST_TEST((seen == nr::error::interface_removed));
}

BOOST_AUTO_TEST_CASE(an_interface_that_is_removed_while_it_is_down_is_told) {
    lab::pair const wire;
    wire.right.set_down();
    net::io_context context;
    auto capture = open_capture(context, wire.right, either(true).on_link_down(nr::link_down_policy::wait_until_up));
    nr::packet_batch batch;
    nr::error_code seen;
    capture.async_receive(batch, [&](nr::error_code ec, std::size_t) { seen = ec; });
    context.run_for(10ms);
    BOOST_TEST(!seen);
    wire.right.remove();
    context.run_for(5s);
    BOOST_TEST((seen == nr::error::interface_removed));
}

BOOST_AUTO_TEST_CASE(a_capture_moves_with_its_pending_operation_and_converts_its_executor) {
    lab::pair const wire;
    net::io_context context;
    auto first = open_capture(context, wire.right);
    nr::packet_batch batch;
    std::size_t received = 0;
    first.async_receive(batch, [&](nr::error_code, std::size_t count) { received = count; });
    auto second = std::move(first);
    lab::send_numbered(wire.left, wire.right, {.count = 1});
    context.run_for(1s);
    BOOST_TEST(received == 1U);

    using precise = nr::basic_capture<net::io_context::executor_type>;
    precise narrow{context.get_executor()};
    wire.right.enter([&] { narrow.open(small()); });
    nr::capture wide{std::move(narrow)};
    using awaiting = decltype(net::use_awaitable)::as_default_on_t<nr::capture>;
    awaiting by_default{std::move(wide)};
    bool done = false;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            co_await by_default.async_wait();
            done = co_await by_default.async_receive(batch) == 1;
        },
        net::detached);
    lab::send_numbered(wire.left, wire.right, {.count = 1});
    context.restart();
    context.run_for(1s);
    BOOST_TEST(done);
}

BOOST_AUTO_TEST_SUITE_END()
