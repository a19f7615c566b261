#include "numbered_file.hpp"
#include "pipe_ends.hpp"
#include <netring_asio/pcap_source.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <thread>

namespace net = boost::asio;
using netring_asio::error;
using netring_asio::error_code;
using netring_asio::owned_packet;
using netring_asio::packet_batch;
using netring_asio::pcap_source;
using netring_asio::pcap_source_options;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

template <class Function>
void run_coroutine(net::io_context& context, Function&& function) {
    std::exception_ptr failure;
    net::co_spawn(context, std::forward<Function>(function), [&](std::exception_ptr thrown) { failure = thrown; });
    context.run();
    context.restart();
    if (failure)
        std::rethrow_exception(failure);
}

} // namespace

BOOST_AUTO_TEST_CASE(callbacks_receive_the_whole_file_and_its_end_again_and_again) {
    numbered_file const file{3000};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.batch_packets(100)};
    BOOST_TEST(source.is_open());
    BOOST_TEST(source.options().reader().path() == file.path);

    packet_batch batch;
    sequence seen;
    int ends = 0;
    std::function<void(error_code, std::size_t)> const handler = [&](error_code ec, std::size_t count) {
        BOOST_TEST(count == batch.size());
        BOOST_TEST(count <= 100U);
        BOOST_TEST((count == 0) == ec.failed());
        seen(batch);
        if (ec)
            BOOST_TEST(ec == net::error::eof);
        if (!ec || ++ends != 3)
            source.async_receive(batch, handler);
    };
    source.async_receive(batch, handler);
    BOOST_TEST(seen.next == 0U); // never inside the initiating function
    context.run();
    BOOST_TEST(seen.next == 3000U);
    BOOST_TEST(seen.in_order);
    BOOST_TEST(source.statistics().packets == 3000U);
    BOOST_TEST(source.statistics().bytes == 300'000U);
}

BOOST_AUTO_TEST_CASE(futures) {
    numbered_file const file{10};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}};
    auto const run = [&](auto future) {
        context.run();
        context.restart();
        return future.get();
    };
    packet_batch batch;
    run(source.async_wait(net::use_future));
    BOOST_TEST(batch.empty());
    BOOST_TEST(run(source.async_receive(batch, net::use_future)) == 10U);
    BOOST_CHECK_EXCEPTION(run(source.async_receive(batch, net::use_future)), netring_asio::system_error,
                          [](auto const& thrown) { return thrown.code() == net::error::eof; });
}

BOOST_AUTO_TEST_CASE(coroutine_tokens) {
    numbered_file const file{50};
    net::io_context context;
    run_coroutine(context, [&]() -> net::awaitable<void> {
        pcap_source source{co_await net::this_coro::executor, pcap_source_options{file.path}.batch_packets(10)};
        packet_batch batch;
        std::vector<owned_packet> copies;
        sequence seen;
        BOOST_TEST(co_await source.async_receive(batch, net::use_awaitable) == 10U);
        seen(batch);
        auto operation = source.async_receive(batch, net::deferred);
        BOOST_TEST(co_await std::move(operation)(net::use_awaitable) == 10U);
        seen(batch);
        auto [ec, count] = co_await source.async_receive(copies, net::as_tuple(net::use_awaitable));
        BOOST_TEST(ec == error_code{});
        BOOST_TEST(count == 10U);
        BOOST_TEST(copies.size() == 10U);
        seen(copies);

        auto other = net::use_awaitable_t<>::as_default_on(std::move(source));
        co_await other.async_wait();
        BOOST_TEST(co_await other.async_receive(copies) == 10U);
        seen(copies);
        BOOST_TEST(co_await other.async_receive(batch) == 10U);
        seen(batch);
        BOOST_TEST(seen.next == 50U);
        BOOST_TEST(seen.in_order);
    });
}

BOOST_AUTO_TEST_CASE(handlers_run_on_their_executor_and_may_be_move_only) {
    numbered_file const file{10};
    net::io_context context;
    net::thread_pool pool{1};
    pcap_source source{context, pcap_source_options{file.path}};
    packet_batch batch;
    std::thread::id pool_thread;
    net::post(pool, [&] { pool_thread = std::this_thread::get_id(); });
    std::thread::id ran_on;
    auto strand = net::make_strand(pool);
    source.async_receive(batch,
                         net::bind_executor(strand, [&, owner = std::make_unique<int>(1)](error_code, std::size_t) {
                             BOOST_TEST(strand.running_in_this_thread());
                             ran_on = std::this_thread::get_id();
                         }));
    context.run();
    pool.join();
    BOOST_TEST((ran_on == pool_thread));
    BOOST_TEST(batch.size() == 10U);
}

BOOST_AUTO_TEST_CASE(one_operation_at_a_time) {
    numbered_file const file{10};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}};
    packet_batch first;
    packet_batch second;
    std::vector<int> order;
    source.async_receive(first, [&](error_code ec, std::size_t count) {
        BOOST_TEST(ec == error_code{});
        BOOST_TEST(count == 10U);
        order.push_back(1);
    });
    source.async_receive(second, [&](error_code ec, std::size_t) {
        BOOST_TEST(ec == error::operation_in_progress);
        BOOST_TEST(ec == boost::system::errc::operation_in_progress);
        order.push_back(2);
    });
    source.async_wait([&](error_code ec) {
        BOOST_TEST(ec == error::operation_in_progress);
        order.push_back(3);
    });
    BOOST_TEST(!source.try_receive(second));
    error_code ec;
    source.receive(second, 0s, ec);
    BOOST_TEST(ec == error::operation_in_progress);
    BOOST_TEST(order.empty());
    context.run();
    BOOST_TEST(order.size() == 3U);

    source.close();
    source.async_receive(first, [&](error_code closed, std::size_t) {
        BOOST_TEST(closed == error::not_open);
        order.clear();
    });
    context.restart();
    context.run();
    BOOST_TEST(order.empty());
}

BOOST_AUTO_TEST_CASE(errors_at_opening_and_at_the_end) {
    numbered_file const file{2};
    net::io_context context;
    pcap_source source{context};
    error_code ec;
    source.open(pcap_source_options{file.folder / "absent"}, ec);
    BOOST_TEST(ec == boost::system::errc::no_such_file_or_directory);
    source.open(pcap_source_options{files::write(file.folder / "text", "nothing to be read")}, ec);
    BOOST_TEST(ec == error::bad_capture_file);
    for (auto const& options :
         {pcap_source_options{file.path}.speed(0), pcap_source_options{file.path}.speed(-1),
          pcap_source_options{file.path}.speed(std::numeric_limits<double>::quiet_NaN()),
          pcap_source_options{file.path}.speed(1e7), pcap_source_options{file.path}.max_gap(0ns),
          pcap_source_options{file.path}.max_gap(25h), pcap_source_options{file.path}.read_ahead(0),
          pcap_source_options{file.path}.batch_packets(0)}) {
        source.open(options, ec);
        BOOST_TEST(ec == error::invalid_option);
        BOOST_TEST(!source.is_open());
    }
    BOOST_CHECK_THROW((pcap_source{context, pcap_source_options{file.folder / "absent"}}), netring_asio::system_error);

    files::write(file.path, file.bytes + "tail");
    source.open(pcap_source_options{file.path});
    source.open(pcap_source_options{file.path}, ec);
    BOOST_TEST(ec == error::already_open);
    packet_batch batch;
    BOOST_TEST(source.receive(batch, -1ns) == 2U);
    for (int i = 0; i != 3; ++i) {
        BOOST_TEST(source.receive(batch, 0s, ec) == 0U);
        BOOST_TEST(ec == error::truncated_capture_file);
        BOOST_TEST(!source.try_receive(batch));
    }
}

namespace {

/// Receives until the end, with a cancellation after none, one or two steps of most receives.
void cancel_at_every_step(net::io_context& context, pcap_source& source, std::uint32_t packets) {
    packet_batch batch;
    sequence seen;
    int cancelled = 0;
    bool ended = false;
    for (int i = 0; !ended; ++i) {
        net::cancellation_signal signal;
        auto const handler = [&](error_code ec, std::size_t count) {
            BOOST_TEST((!ec || ec == net::error::operation_aborted || ec == net::error::eof));
            BOOST_TEST(count == batch.size());
            ended = ec == net::error::eof;
            cancelled += ec == net::error::operation_aborted;
            seen(batch);
        };
        source.async_receive(batch, net::bind_cancellation_slot(signal.slot(), handler));
        for (int steps = i % 3; steps != 0; --steps)
            context.poll_one();
        context.restart();
        auto const kind = i % 7;
        if (kind < 2)
            signal.emit(kind == 0 ? net::cancellation_type::total : net::cancellation_type::terminal);
        else if (kind < 4)
            source.cancel();
        context.run();
        context.restart();
    }
    BOOST_TEST(cancelled >= 1000);
    BOOST_TEST(seen.next == packets);
    BOOST_TEST(seen.in_order);
}

} // namespace

BOOST_AUTO_TEST_CASE(a_thousand_cancellations_of_a_file_lose_nothing) {
    numbered_file const file{30'000};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.batch_packets(5)};
    cancel_at_every_step(context, source, 30'000);
}

BOOST_AUTO_TEST_CASE(a_thousand_cancellations_of_a_replay_lose_nothing) {
    numbered_file const file{4000, 200};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.as_recorded()};
    cancel_at_every_step(context, source, 4000);
}

BOOST_AUTO_TEST_CASE(a_thousand_cancellations_of_a_pipe_lose_nothing) {
    numbered_file const file{0};
    pipe_ends pipe;
    net::io_context context;
    pcap_source source{context};
    source.assign(pipe.ends[0], pcap_source_options{});
    std::jthread const writer{[&] {
        pipe.send(file.bytes);
        for (std::uint32_t i = 0; i != 4000; ++i) {
            pipe.send(file.record(i));
            std::this_thread::sleep_for(100us);
        }
        pipe.close();
    }};
    cancel_at_every_step(context, source, 4000);
}

BOOST_AUTO_TEST_CASE(races_with_a_timer_lose_nothing) {
    using namespace net::experimental::awaitable_operators;
    numbered_file const file{300, 2000}; // 0.6 seconds
    net::io_context context;
    run_coroutine(context, [&]() -> net::awaitable<void> {
        auto const executor = co_await net::this_coro::executor;
        pcap_source source{executor, pcap_source_options{file.path}.as_recorded()};
        net::steady_timer timer{executor};
        packet_batch batch;
        sequence seen;
        int timeouts = 0;
        for (;;) {
            timer.expires_after(100us);
            auto result = co_await (source.async_receive(batch, net::as_tuple(net::use_awaitable)) ||
                                    timer.async_wait(net::use_awaitable));
            seen(batch);
            batch.reset();
            timeouts += result.index() == 1;
            if (result.index() == 0 && std::get<0>(std::get<0>(result)) == net::error::eof)
                break;
        }
        BOOST_TEST(timeouts > 0);
        BOOST_TEST(seen.next == 300U);
        BOOST_TEST(seen.in_order);
    });
}

BOOST_AUTO_TEST_CASE(cancel_close_and_destruction_complete_what_is_pending) {
    numbered_file const file{10, 1'000'000};
    net::io_context context;
    packet_batch batch;
    int aborted = 0;
    auto const handler = [&](error_code ec, std::size_t count) {
        BOOST_TEST(count == 0U);
        aborted += ec == net::error::operation_aborted;
    };
    auto const pend = [&](pcap_source& source) {
        BOOST_TEST(source.receive(batch, -1ns) == 1U);
        source.async_receive(batch, handler);
        context.poll();
        context.restart();
    };
    std::optional<pcap_source> source{std::in_place, context, pcap_source_options{file.path}.as_recorded()};
    pend(*source);
    source->cancel();
    context.run();
    context.restart();
    BOOST_TEST(aborted == 1);

    source->async_wait([&](error_code ec) { aborted += ec == net::error::operation_aborted; });
    source->close();
    context.run();
    context.restart();
    BOOST_TEST(aborted == 2);

    source->open(pcap_source_options{file.path}.as_recorded());
    pend(*source);
    pcap_source moved{std::move(*source)};
    source.reset();
    context.poll();
    context.restart();
    BOOST_TEST(aborted == 2);
    source.emplace(std::move(moved));
    source.reset();
    context.run();
    BOOST_TEST(aborted == 3);
}

BOOST_AUTO_TEST_CASE(a_context_may_go_with_operations_pending) {
    numbered_file const file{10, 1'000'000};
    pipe_ends pipe;
    packet_batch batch;
    auto const never = [token = std::make_shared<int>()](error_code, std::size_t) { BOOST_ERROR("called"); };
    {
        net::io_context context;
        auto timed = std::make_unique<pcap_source>(context, pcap_source_options{file.path}.as_recorded());
        BOOST_TEST(timed->receive(batch, -1ns) == 1U);
        timed->async_receive(batch, [never, keep = std::move(timed)](error_code ec, std::size_t n) { never(ec, n); });
        auto silent = std::make_unique<pcap_source>(context);
        silent->assign(std::exchange(pipe.ends[0], -1), pcap_source_options{});
        auto& reference = *silent;
        reference.async_receive(batch,
                                [never, keep = std::move(silent)](error_code ec, std::size_t n) { never(ec, n); });
        auto posted = std::make_unique<pcap_source>(context, pcap_source_options{file.path});
        context.poll();
        auto& ready = *posted;
        ready.async_receive(batch, [never, keep = std::move(posted)](error_code ec, std::size_t n) { never(ec, n); });
    }
    BOOST_TEST(batch.empty());
}

BOOST_AUTO_TEST_CASE(replay_takes_at_least_the_recorded_time) {
    numbered_file const file{5, 50'000}; // 200 ms from the first to the last
    net::io_context context;
    for (auto const speed : {1.0, 2.0})
        run_coroutine(context, [&]() -> net::awaitable<void> {
            pcap_source source{context, pcap_source_options{file.path}.speed(speed)};
            packet_batch batch;
            sequence seen;
            auto const start = clock_type::now();
            while (seen.next != 5) {
                co_await source.async_receive(batch, net::use_awaitable);
                seen(batch);
                BOOST_TEST((clock_type::now() - start >= (seen.next - 1) * 50ms / speed));
            }
            BOOST_TEST(seen.in_order);
        });
}

BOOST_AUTO_TEST_CASE(replay_gives_due_packets_together_and_goes_on_after_a_pause) {
    numbered_file const file{5000, 1000}; // 5 seconds
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.as_recorded()};
    packet_batch batch;
    BOOST_TEST(source.receive(batch, -1ns) == 1U);
    std::this_thread::sleep_for(100ms);
    std::size_t got = source.receive(batch, -1ns);
    BOOST_TEST(got >= 90U); // all that fell due meanwhile
    std::this_thread::sleep_for(1500ms);
    BOOST_TEST(source.receive(batch, -1ns) < 1000U); // a pause is not made up for
}

BOOST_AUTO_TEST_CASE(replay_shortens_wild_jumps_and_ignores_steps_back) {
    files::temporary_folder const folder;
    files::classic const file;
    auto const data = std::string(60, 'x');
    auto const path =
        files::write(folder / "x", file.header() + file.packet(1000, 0, data) + file.packet(999, 0, data) +
                                       file.packet(4'000'000'000, 0, data) + file.packet(5, 0, data));
    net::io_context context;
    pcap_source source{context, pcap_source_options{path}.as_recorded().max_gap(30ms)};
    packet_batch batch;
    std::size_t got = 0;
    auto const start = clock_type::now();
    while (got != 4)
        got += source.receive(batch, 60s);
    BOOST_TEST((clock_type::now() - start >= 30ms));
}

BOOST_AUTO_TEST_CASE(synchronous_receives) {
    numbered_file const file{10, 1'000'000};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.as_recorded()};
    packet_batch batch;
    BOOST_TEST(source.receive(batch, 0s) == 1U);
    error_code ec;
    auto const start = clock_type::now();
    BOOST_TEST(source.receive(batch, 20ms, ec) == 0U);
    BOOST_TEST(ec == error::timed_out);
    BOOST_TEST((clock_type::now() - start >= 20ms));
    BOOST_TEST(source.receive(batch, 0s) == 0U);
    BOOST_TEST(source.receive(batch, 60s) == 1U);
}

BOOST_AUTO_TEST_CASE(packets_as_a_range) {
    numbered_file const file{20};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.batch_packets(8)};
    std::vector<std::uint32_t> numbers;
    for (auto const& packet : source.packets() | std::views::take(5))
        numbers.push_back(number_of(packet));
    BOOST_TEST(numbers == (std::vector<std::uint32_t>{0, 1, 2, 3, 4}), boost::test_tools::per_element());
    packet_batch batch;
    BOOST_TEST(source.receive(batch, -1ns) == 3U);
    BOOST_TEST(number_of(*batch.begin()) == 5U);
    for (auto const& packet : source.packets() | std::views::filter([](auto const& p) { return p.data.size() == 100; }))
        numbers.push_back(number_of(packet));
    BOOST_TEST(numbers.size() == 5U + 12U);
    BOOST_TEST(numbers.back() == 19U);
    BOOST_TEST((source.packets().begin() == std::default_sentinel));
}

BOOST_AUTO_TEST_CASE(try_receive_takes_what_is_there) {
    numbered_file const file{20};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.batch_packets(8)};
    packet_batch batch;
    sequence seen;
    while (source.try_receive(batch))
        seen(batch);
    BOOST_TEST(seen.next == 20U);
    BOOST_TEST(batch.empty());
    error_code end;
    source.async_wait([&](error_code ec) { end = ec; });
    context.run();
    BOOST_TEST(end == net::error::eof);
    BOOST_TEST(source.statistics().packets == 20U);
    source.close();
    BOOST_TEST(source.statistics().packets == 20U);
    source.open(pcap_source_options{file.path});
    BOOST_TEST(source.statistics().packets == 0U);
}

BOOST_AUTO_TEST_CASE(a_filter_that_rejects_much_lets_others_have_their_turn) {
    numbered_file const file{20'000};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.filter("ether[0:4] = 0x1f4e0000").batch_packets(100)};
    packet_batch batch;
    bool done = false;
    source.async_receive(batch, [&](error_code ec, std::size_t count) { // 20000 - 1 = 0x4e1f, little endian
        BOOST_TEST(ec == error_code{});
        BOOST_TEST(count == 1U);
        done = true;
    });
    std::size_t turns = 0;
    while (!done)
        turns += context.poll_one();
    BOOST_TEST(turns >= 200U);
    BOOST_TEST(source.statistics().filtered == 19'999U);
    BOOST_CHECK_EXCEPTION((pcap_source{context, pcap_source_options{file.path}.filter("oops")}),
                          netring_asio::system_error, [](auto const& thrown) {
                              return thrown.code() == error::bad_filter &&
                                     std::string{thrown.what()}.find("oops") != std::string::npos;
                          });
}
