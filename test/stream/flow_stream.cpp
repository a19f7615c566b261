#include "decode/craft.hpp"
#include "memory_source.hpp"
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/merge.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <optional>
#include <random>
#include <thread>

namespace net = boost::asio;
namespace nr = netring_asio;
using flow_stream = nr::flow_stream<test::memory_source<>>;
using namespace std::chrono_literals;

static_assert(nr::packet_source<test::memory_source<>>);
static_assert(std::is_same_v<decltype(nr::flow_stream{std::declval<test::memory_source<>>(), nr::flow::five_tuple{}}),
                             flow_stream>);

namespace {

constexpr nr::timestamp epoch{std::chrono::seconds{1'700'000'000}};

struct fixture {
    fixture() {
        for (unsigned port = 1; port != 100; ++port)
            frames.push_back(test::craft{9}.udp(port, 53).ipv4("10.0.0.9", "10.0.0.2", 17).ethernet(0x0800));
    }

    /// One batch of one packet each of so many flows.
    void put(unsigned first_port, unsigned count, std::chrono::nanoseconds at = 0s) {
        std::vector<nr::packet_view> batch;
        for (unsigned i = 0; i != count; ++i) {
            batch.push_back(frames[first_port + i - 1].view());
            batch.back().time = epoch + at;
        }
        store->batches.push_back(std::move(batch));
    }

    flow_stream make(nr::flow::tracker_options const& options = nr::flow::tracker_options{}) {
        return flow_stream{test::memory_source<>{context.get_executor(), store}, nr::flow::five_tuple{}, options};
    }

    net::io_context context{1};
    std::shared_ptr<test::packet_store> store = std::make_shared<test::packet_store>();
    std::vector<test::craft> frames;
};

net::awaitable<std::size_t> count_ended(flow_stream& flows) {
    nr::flow::event_batch events;
    std::size_t ended = 0;
    for (;;) {
        auto [error, count] = co_await flows.async_receive(events, net::as_tuple(net::use_awaitable));
        BOOST_TEST(count == events.size());
        BOOST_TEST((count == 0) == error.failed());
        for (auto const& e : events)
            ended += e.kind == nr::flow::event_kind::ended ? 1 : 0;
        if (error) {
            BOOST_TEST(error == net::error::eof);
            co_return ended;
        }
    }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(flow_stream_suite, fixture)

BOOST_AUTO_TEST_CASE(a_coroutine_reads_to_the_end) {
    put(1, 10);
    put(1, 10, 1s); // no event: goes on to the next batch
    put(11, 5, 2s);
    auto flows = make();
    auto result = net::co_spawn(context, count_ended(flows), net::use_future);
    context.run();
    BOOST_TEST(result.get() == 15u);
    BOOST_TEST(store->recycled == 3);
    BOOST_TEST(flows.statistics().packets == 25u);
}

BOOST_AUTO_TEST_CASE(the_end_comes_again) {
    auto flows = make();
    nr::flow::event_batch events;
    for (int i = 0; i != 2; ++i) {
        nr::error_code result;
        flows.async_receive(events, [&](nr::error_code error, std::size_t) { result = error; });
        context.restart();
        context.run();
        BOOST_TEST(result == net::error::eof);
    }
}

BOOST_AUTO_TEST_CASE(snapshots_do_not_disturb_what_is_pending) {
    put(1, 10);
    store->ends = false;
    auto flows = make();
    nr::flow::event_batch events;
    std::size_t received = 0;
    auto const receive = [&] { flows.async_receive(events, [&](nr::error_code, std::size_t n) { received += n; }); };
    receive();
    context.run_for(50ms);
    BOOST_TEST(received == 10u);
    receive();
    std::vector<nr::flow::event> standing;
    nr::flow::snapshot_cursor cursor;
    BOOST_TEST(!flows.snapshot(cursor, standing));
    BOOST_TEST(standing.size() == 10u);
    auto const port = [](nr::flow::event const& f) { return f.initiator().port; };
    BOOST_TEST(flows.top(1, port).at(0).initiator().port == 10);
    BOOST_TEST(flows.table().flows == 10u);
    BOOST_TEST(received == 10u);
    flows.cancel();
    context.run_for(50ms);
}

BOOST_AUTO_TEST_CASE(a_callback_is_never_called_inside_the_initiation) {
    put(1, 3);
    auto flows = make();
    nr::flow::event_batch events;
    bool called = false;
    flows.async_receive(events, [&, unique = std::make_unique<int>(1)](nr::error_code error, std::size_t count) {
        called = true;
        BOOST_TEST(!error);
        BOOST_TEST(count == 3u);
        BOOST_TEST(*unique == 1);
    });
    BOOST_TEST(!called);
    context.run();
    BOOST_TEST(called);
}

BOOST_AUTO_TEST_CASE(deferred_starts_late) {
    put(1, 3);
    auto flows = make();
    nr::flow::event_batch events;
    auto later = flows.async_receive(events, net::deferred);
    BOOST_TEST(store->batches.size() == 1u);
    auto result = std::move(later)(net::use_future);
    context.run();
    BOOST_TEST(result.get() == 3u);
}

BOOST_AUTO_TEST_CASE(a_second_receive_is_refused) {
    store->ends = false;
    auto flows = make();
    nr::flow::event_batch first;
    nr::flow::event_batch second;
    std::optional<nr::error_code> first_error;
    std::optional<nr::error_code> second_error;
    flows.async_receive(first, [&](nr::error_code error, std::size_t) { first_error = error; });
    flows.async_receive(second, [&](nr::error_code error, std::size_t) {
        second_error = error;
        flows.cancel();
    });
    BOOST_TEST(!flows.try_receive(second));
    BOOST_TEST(!second_error.has_value());
    context.run();
    BOOST_TEST((*second_error == boost::system::errc::operation_in_progress));
    BOOST_TEST((*first_error == net::error::operation_aborted));
}

BOOST_AUTO_TEST_CASE(cancelling_loses_nothing) {
    store->ends = false;
    auto flows = make();
    nr::flow::event_batch events;
    std::size_t received = 0;
    std::size_t aborted = 0;
    for (int round = 0; round != 60; ++round) {
        net::cancellation_signal signal;
        flows.async_receive(events, net::bind_cancellation_slot(signal.slot(), [&](nr::error_code error, std::size_t) {
                                received += events.size();
                                if (error) {
                                    BOOST_TEST(error == net::error::operation_aborted);
                                    ++aborted;
                                }
                            }));
        static constexpr net::cancellation_type types[] = {
            net::cancellation_type::total, net::cancellation_type::partial, net::cancellation_type::terminal};
        auto const put_one = [&] {
            put(static_cast<unsigned>(round) + 1, 1);
            flows.source().ring();
        };
        auto const stop = [&] { signal.emit(types[round % 3]); };
        context.restart();
        if (round % 2 == 0) {
            net::post(context, put_one);
            net::post(context, stop);
        } else {
            net::post(context, stop);
            net::post(context, put_one);
        }
        context.run();
        if (round % 4 == 1) // else the next receive begins with what this one left behind
            while (flows.try_receive(events))
                received += events.size();
    }
    while (flows.try_receive(events))
        received += events.size();
    BOOST_TEST(received == 60u);
    BOOST_TEST(aborted > 10u);
}

BOOST_AUTO_TEST_CASE(a_race_with_a_timer_loses_nothing) {
    store->ends = false;
    auto flows = make();
    std::size_t received = 0;
    auto const race = [&]() -> net::awaitable<void> {
        using namespace net::experimental::awaitable_operators;
        nr::flow::event_batch events;
        net::steady_timer timer{context};
        for (unsigned i = 0; i != 50; ++i) {
            timer.expires_after(100us);
            net::post(context, [&, i] {
                put(i + 1, 1);
                flows.source().ring();
            });
            co_await (flows.async_receive(events, net::as_tuple(net::use_awaitable)) ||
                      timer.async_wait(net::use_awaitable));
            received += events.size();
            events.reset();
        }
        while (flows.try_receive(events))
            received += events.size();
    };
    net::co_spawn(context, race(), net::detached);
    context.run();
    BOOST_TEST(received == 50u);
}

BOOST_AUTO_TEST_CASE(an_idle_stream_expires_flows_by_itself) {
    store->ends = false;
    put(1, 2);
    auto flows = make(nr::flow::tracker_options{}.udp_timeout(150ms));
    nr::flow::event_batch events;
    BOOST_TEST(flows.try_receive(events));
    auto const begin = std::chrono::steady_clock::now();
    flows.async_receive(events, [&](nr::error_code error, std::size_t count) {
        BOOST_TEST(!error);
        BOOST_TEST(count == 2u);
        BOOST_TEST((events[0].reason == nr::flow::end_reason::idle));
    });
    auto const handlers = context.run();
    auto const took = std::chrono::steady_clock::now() - begin;
    BOOST_TEST((took > 100ms && took < 2s));
    BOOST_TEST(handlers < 12u);
    // With nothing left to expire the stream waits for the source alone.
    flows.async_receive(events, [](nr::error_code, std::size_t) {});
    context.restart();
    BOOST_TEST(context.run_for(20ms) == 0u);
}

BOOST_AUTO_TEST_CASE(finishing_tells_the_end_of_every_flow) {
    store->ends = false;
    put(1, 10);
    auto flows = make();
    nr::flow::event_batch events;
    BOOST_TEST(flows.try_receive(events));
    std::optional<nr::error_code> pending;
    flows.async_receive(events, [&](nr::error_code error, std::size_t) { pending = error; });
    flows.finish();
    context.run();
    BOOST_TEST((pending && *pending == net::error::operation_aborted));
    for (std::size_t const expected : {10U, 0U}) { // and the end comes again
        context.restart();
        auto result = net::co_spawn(context, count_ended(flows), net::use_future);
        context.run();
        BOOST_TEST(result.get() == expected);
    }
}

BOOST_AUTO_TEST_CASE(release_gives_the_source_back) {
    put(1, 1);
    auto flows = make();
    nr::flow::event_batch events;
    auto first = flows.async_receive(events, net::use_future);
    context.run();
    BOOST_TEST(first.get() == 1u);
    auto const left = flows.release();
    BOOST_TEST((left.get_executor() == context.get_executor()));
}

BOOST_AUTO_TEST_CASE(batches_outlive_everything) {
    nr::flow::event_batch kept;
    {
        net::io_context own{1};
        put(1, 4);
        flow_stream flows{test::memory_source<>{own.get_executor(), store}};
        flows.async_receive(kept, [](nr::error_code, std::size_t) {});
        own.run();
    }
    BOOST_TEST(kept.size() == 4u);
    std::thread{[moved = std::move(kept)]() mutable { moved.reset(); }}.join();
    BOOST_TEST(kept.empty());
}

BOOST_AUTO_TEST_CASE(destruction_with_an_operation_pending) {
    store->ends = false;
    nr::flow::event_batch events;
    std::optional<nr::error_code> result;
    {
        auto flows = make();
        flows.async_receive(events, [&](nr::error_code error, std::size_t) { result = error; });
        auto moved = std::move(flows);
    }
    context.run();
    BOOST_TEST((result && *result == net::error::operation_aborted));

    auto own = std::make_unique<net::io_context>(1);
    auto const alive = std::make_shared<int>();
    {
        put(1, 1);
        flow_stream flows{test::memory_source<>{own->get_executor(), store}};
        BOOST_TEST(flows.try_receive(events));
        flows.async_receive(events, [alive](nr::error_code, std::size_t) {});
    }
    own.reset(); // never ran
    BOOST_TEST(alive.use_count() == 1);
}

BOOST_AUTO_TEST_CASE(the_handlers_executor_is_used) {
    store->ends = false;
    put(1, 1);
    auto flows = make();
    nr::flow::event_batch events;
    flows.try_receive(events);
    auto strand = net::make_strand(context);
    bool in_strand = false;
    flows.async_receive(events, net::bind_executor(strand, [&](nr::error_code, std::size_t) {
                            in_strand = strand.running_in_this_thread();
                        }));
    net::post(context, [&] {
        put(2, 1);
        flows.source().ring();
    });
    context.run();
    BOOST_TEST(in_strand);
}

BOOST_AUTO_TEST_CASE(a_pipe_into_a_channel) {
    using channel = net::experimental::channel<void(nr::error_code, nr::flow::event_batch)>;
    for (unsigned i = 0; i != 40; ++i)
        put(i + 1, 2, i * 1s);
    auto flows = make();
    channel to{context, 3};
    std::optional<nr::error_code> piped;
    flows.async_pipe(to, [&](nr::error_code error) { piped = error; });
    std::size_t started = 0;
    std::size_t ended = 0;
    auto const read = [&]() -> net::awaitable<void> {
        for (;;) {
            auto [error, events] = co_await to.async_receive(net::as_tuple(net::use_awaitable));
            BOOST_TEST(events.empty() == error.failed());
            for (auto const& e : events)
                ++(e.kind == nr::flow::event_kind::started ? started : ended);
            if (error) {
                BOOST_TEST(error == net::error::eof);
                co_return;
            }
        }
    };
    net::co_spawn(context, read(), net::detached);
    context.run();
    BOOST_TEST((piped && !*piped));
    BOOST_TEST(started == 41u);
    BOOST_TEST(ended == 41u);
}

BOOST_AUTO_TEST_CASE(a_pipe_to_another_thread) {
    using channel = net::experimental::concurrent_channel<void(nr::error_code, nr::flow::event_batch)>;
    for (unsigned i = 0; i != 90; ++i)
        put(i + 1, 1, i * 1ms);
    auto flows = make();
    net::io_context other{1};
    channel to{other, 2};
    std::optional<nr::error_code> piped;
    flows.async_pipe(to, [&](nr::error_code error) { piped = error; });
    std::size_t received = 0;
    auto const read = [&]() -> net::awaitable<void> {
        for (;;) {
            auto [error, events] = co_await to.async_receive(net::as_tuple(net::use_awaitable));
            received += events.size();
            if (error)
                co_return;
            if (received % 7 == 0)
                std::this_thread::sleep_for(1ms);
        }
    };
    net::co_spawn(other, read(), net::detached);
    std::thread reader{[&] { other.run(); }};
    context.run();
    reader.join();
    BOOST_TEST((piped && !*piped));
    BOOST_TEST(received == 180u);
}

BOOST_AUTO_TEST_CASE(a_cancelled_pipe_counts_what_the_channel_destroyed) {
    using channel = net::experimental::channel<void(nr::error_code, nr::flow::event_batch)>;
    store->ends = false;
    for (unsigned i = 0; i != 10; ++i)
        put(i + 1, 1);
    auto flows = make();
    channel to{context, 1};
    std::optional<nr::error_code> piped;
    flows.async_pipe(to, [&](nr::error_code error) { piped = error; });
    context.run_for(10ms);
    BOOST_TEST(!piped);
    flows.cancel();
    context.restart();
    context.run_for(10ms);
    BOOST_TEST((piped && *piped == net::error::operation_aborted));
    std::size_t received = 0;
    to.async_receive([&](nr::error_code, nr::flow::event_batch events) { received += events.size(); });
    context.restart();
    context.run_for(10ms);
    nr::flow::event_batch events;
    while (flows.try_receive(events))
        received += events.size() + events.dropped();
    BOOST_TEST(received == 10u);

    // Cancelled while it waits for the source, by its slot: nothing is lost then.
    net::cancellation_signal signal;
    piped.reset();
    flows.async_pipe(to, net::bind_cancellation_slot(signal.slot(), [&](nr::error_code error) { piped = error; }));
    net::post(context, [&] { signal.emit(net::cancellation_type::terminal); });
    context.restart();
    context.run_for(10ms);
    BOOST_TEST((piped && *piped == net::error::operation_aborted));
    put(20, 1);
    BOOST_TEST(flows.try_receive(events));
}

BOOST_AUTO_TEST_CASE(a_default_token) {
    put(1, 2);
    auto flows = net::use_awaitable_t<>::as_default_on(make());
    std::size_t received = 0;
    auto const read = [&]() -> net::awaitable<void> {
        nr::flow::event_batch events;
        received = co_await flows.async_receive(events);
    };
    net::co_spawn(context, read(), net::detached);
    context.run();
    BOOST_TEST(received == 2u);
}

BOOST_FIXTURE_TEST_CASE(merged_sources_give_their_packets_in_the_order_of_time, fixture) {
    std::mt19937 random{5};
    std::array<std::shared_ptr<test::packet_store>, 3> stores;
    std::size_t total = 0;
    for (auto& one : stores) {
        one = std::make_shared<test::packet_store>();
        auto time = epoch;
        for (int batch = 0; batch != 40; ++batch) {
            auto& packets = one->batches.emplace_back();
            for (auto left = random() % 20 + 1; left != 0; --left, ++total) {
                packets.push_back(frames[total % frames.size()].view());
                packets.back().time = time += std::chrono::microseconds{random() % 1000};
            }
        }
    }
    auto source = [&](std::size_t i) { return test::memory_source<>{context.get_executor(), stores[i]}; };
    auto merged = nr::merge(1h, source(0), source(1), source(2));
    std::vector<nr::timestamp> times;
    nr::error_code end;
    std::size_t most = 0;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            nr::packet_batch batch;
            while (!end) {
                std::size_t count = 0;
                std::tie(end, count) = co_await merged.async_receive(batch, net::as_tuple(net::use_awaitable));
                BOOST_TEST((count == 0) == end.failed());
                most = std::max(most, count);
                for (auto const packet : batch)
                    times.push_back(packet.time);
            }
        },
        net::detached);
    context.run_for(20s);
    BOOST_TEST((end == net::error::eof));
    BOOST_TEST(times.size() == total);
    BOOST_TEST(std::ranges::is_sorted(times));
    BOOST_TEST(most > 10U); // batches are put together, not taken apart
    BOOST_TEST(merged.late() == 0U);
    for (auto const& one : stores)
        BOOST_TEST(one->recycled == 40); // every batch came back
}

BOOST_FIXTURE_TEST_CASE(a_silent_source_holds_a_packet_up_no_longer_than_the_bound, fixture) {
    auto other = std::make_shared<test::packet_store>();
    store->ends = other->ends = false;
    auto merge = [&](std::chrono::nanoseconds bound) {
        return nr::merge(bound, test::memory_source<>{context.get_executor(), store},
                         test::memory_source<>{context.get_executor(), other});
    };
    auto put_other = [&](std::chrono::nanoseconds at) {
        other->batches.push_back({frames[0].view()});
        other->batches.back().front().time = epoch + at;
    };
    auto merged = merge(std::chrono::nanoseconds::max());
    nr::packet_batch batch;
    auto receive = [&](std::chrono::milliseconds cancel_after = 20s) {
        nr::error_code result = nr::error::timed_out;
        net::cancellation_signal signal;
        net::steady_timer timer{context, cancel_after};
        timer.async_wait([&](nr::error_code ec) {
            if (!ec)
                signal.emit(net::cancellation_type::total);
        });
        merged.async_receive(batch, net::bind_cancellation_slot(signal.slot(), [&](nr::error_code ec, std::size_t) {
                                 result = ec;
                                 timer.cancel();
                             }));
        context.restart();
        context.run();
        return result;
    };
    put(1, 2, 5ms);
    BOOST_TEST((receive(0ms) == net::error::operation_aborted)); // and the packets wait for the next
    put_other(6ms);
    BOOST_TEST(!receive());
    BOOST_TEST(batch.size() == 2U);
    merged = merge(20ms);
    other->batches.clear();

    put(1, 2, 5ms);
    auto const begin = std::chrono::steady_clock::now();
    BOOST_TEST(!receive());
    BOOST_TEST(batch.size() == 2U);
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 20ms));
    put_other(0ms);
    BOOST_TEST(!receive());
    BOOST_TEST(batch.size() == 1U);
    BOOST_TEST(merged.late() == 1U);
    BOOST_TEST(!merged.try_receive(batch));
    BOOST_TEST((receive(1ms) == net::error::operation_aborted));
    merged.close();
    BOOST_TEST((receive() == nr::error::not_open));
}

BOOST_AUTO_TEST_SUITE_END()
