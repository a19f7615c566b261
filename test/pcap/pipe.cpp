#include "numbered_file.hpp"
#include <netring_asio/pcap_source.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>

namespace net = boost::asio;
using netring_asio::error;
using netring_asio::error_code;
using netring_asio::owned_packet;
using netring_asio::packet_batch;
using netring_asio::pcap_source;
using netring_asio::pcap_source_options;
using namespace std::chrono_literals;

using batch_channel = net::experimental::channel<void(error_code, packet_batch)>;
using owned_channel = net::experimental::concurrent_channel<void(error_code, std::vector<owned_packet>)>;

BOOST_AUTO_TEST_CASE(batches_go_to_a_slow_consumer) {
    numbered_file const file{2000};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.batch_packets(20)};
    batch_channel channel{context, 2};
    std::optional<error_code> piped;
    source.async_pipe(channel, [&](error_code ec) { piped = ec; });
    source.async_wait([](error_code ec) { BOOST_TEST(ec == error::operation_in_progress); });
    sequence seen;
    error_code end;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            net::steady_timer timer{context};
            while (!end) {
                auto [ec, batch] = co_await channel.async_receive(net::as_tuple(net::use_awaitable));
                seen(batch);
                end = ec;
                timer.expires_after(200us);
                co_await timer.async_wait(net::use_awaitable);
            }
        },
        net::detached);
    context.run();
    BOOST_TEST(end == net::error::eof);
    BOOST_TEST(piped.has_value());
    BOOST_TEST(*piped == error_code{});
    BOOST_TEST(seen.next == 2000U);
    BOOST_TEST(seen.in_order);
}

BOOST_AUTO_TEST_CASE(copies_go_to_another_thread) {
    numbered_file const file{2000};
    net::thread_pool pool{1};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.batch_packets(20)};
    owned_channel channel{pool, 2};
    auto piped = source.async_pipe(channel, net::use_future);
    auto received = net::co_spawn(
        pool,
        [&]() -> net::awaitable<sequence> {
            sequence seen;
            for (;;) {
                auto [ec, packets] = co_await channel.async_receive(net::as_tuple(net::use_awaitable));
                if (ec)
                    co_return seen;
                seen(packets);
            }
        },
        net::use_future);
    context.run();
    piped.get();
    auto const seen = received.get();
    BOOST_TEST(seen.next == 2000U);
    BOOST_TEST(seen.in_order);
}

BOOST_AUTO_TEST_CASE(a_cancelled_pipe_delivers_or_counts_each_packet) {
    numbered_file const file{3000};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.batch_packets(10)};
    std::uint64_t received = 0;
    int aborted = 0;
    bool ended = false;
    for (int i = 0; !ended; ++i) {
        batch_channel channel{context, 1};
        bool done = false;
        source.async_pipe(channel, [&](error_code ec) {
            done = true;
            aborted += ec == net::error::operation_aborted;
        });
        for (int steps = i % 7; steps != 0; --steps) {
            context.poll_one();
            context.restart();
        }
        if (i % 3 == 0)
            channel.async_receive([&](error_code, packet_batch batch) { received += batch.size(); });
        source.cancel();
        while (!done) {
            context.run_one();
            context.restart();
        }
        for (bool more = true; more;) { // what the channel holds
            more = false;
            channel.try_receive([&](error_code ec, packet_batch batch) {
                more = true;
                ended = ec == net::error::eof;
                received += batch.size();
            });
        }
        packet_batch batch;
        error_code ec;
        received += source.receive(batch, 0s, ec);
        ended = ended || ec == net::error::eof;
    }
    BOOST_TEST(aborted > 50);
    BOOST_TEST(received + source.statistics().discarded == 3000U);
}

BOOST_AUTO_TEST_CASE(a_closed_channel_ends_the_pipe) {
    numbered_file const file{100};
    net::io_context context;
    pcap_source source{context, pcap_source_options{file.path}.batch_packets(10)};
    batch_channel channel{context, 1};
    channel.close();
    error_code piped;
    source.async_pipe(channel, [&](error_code ec) { piped = ec; });
    context.run();
    BOOST_TEST(piped == net::experimental::error::channel_closed);
    BOOST_TEST(source.statistics().discarded == 10U);
    packet_batch batch;
    BOOST_TEST(source.receive(batch, -1ns) == 10U); // the object is free again
}
