// The source where its bytes come when they come: pipes, FIFOs, standard input.

#include "numbered_file.hpp"
#include "pipe_ends.hpp"
#include <netring_asio/pcap_source.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace net = boost::asio;
using netring_asio::error;
using netring_asio::error_code;
using netring_asio::packet_batch;
using netring_asio::pcap_source;
using netring_asio::pcap_source_options;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(a_pipe_wakes_its_receiver) {
    numbered_file const file{0};
    pipe_ends pipe;
    net::io_context context;
    pcap_source source{context};
    source.assign(pipe.ends[0], pcap_source_options{});
    std::jthread const writer{[&] {
        pipe.send(file.bytes);
        for (std::uint32_t i = 0; i != 200; ++i) {
            pipe.send(file.record(i));
            if (i % 20 == 0)
                std::this_thread::sleep_for(2ms);
        }
        pipe.close();
    }};
    sequence seen;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            packet_batch batch;
            for (;;) {
                auto [ec, count] = co_await source.async_receive(batch, net::as_tuple(net::use_awaitable));
                seen(batch);
                if (ec) {
                    BOOST_TEST(ec == net::error::eof);
                    co_return;
                }
            }
        },
        net::detached);
    context.run();
    BOOST_TEST(seen.next == 200U);
    BOOST_TEST(seen.in_order);
    BOOST_TEST((source.link() == netring_asio::link_type::ethernet));
    BOOST_TEST(source.statistics().packets == 200U);
}

BOOST_AUTO_TEST_CASE(a_silent_pipe_can_be_cancelled_timed_out_and_closed) {
    numbered_file const file{0};
    pipe_ends pipe;
    net::io_context context;
    pcap_source source{context};
    source.assign(pipe.ends[0], pcap_source_options{});
    packet_batch batch;
    error_code ec;
    BOOST_TEST(source.receive(batch, 10ms, ec) == 0U);
    BOOST_TEST(ec == error::timed_out);

    std::vector<error_code> results;
    auto const keep = [&](error_code result, std::size_t) { results.push_back(result); };
    net::cancellation_signal signal;
    source.async_receive(batch, net::bind_cancellation_slot(signal.slot(), keep));
    context.poll();
    signal.emit(net::cancellation_type::total);
    context.run();
    context.restart();
    source.async_receive(batch, keep);
    context.poll();
    source.cancel();
    context.run();
    context.restart();
    BOOST_TEST(results.size() == 2U);
    for (auto const& result : results)
        BOOST_TEST(result == net::error::operation_aborted);

    pipe.send(file.bytes + file.record(0));
    BOOST_TEST(source.receive(batch, 60s) == 1U);
    packet_batch next;
    source.async_receive(next, keep);
    context.poll();
    source.close(); // and its thread is joined although the pipe is silent
    context.run();
    BOOST_TEST(results.back() == net::error::operation_aborted);
    BOOST_TEST(number_of(*batch.begin()) == 0U);
}

BOOST_AUTO_TEST_CASE(a_pipe_is_read_a_bounded_number_of_batches_ahead) {
    numbered_file const file{0};
    pipe_ends pipe;
    net::io_context context;
    pcap_source source{context};
    source.assign(pipe.ends[0], pcap_source_options{}.batch_packets(10).read_ahead(2));
    std::string bytes = file.bytes;
    for (std::uint32_t i = 0; i != 300; ++i) // less than a pipe holds
        bytes += file.record(i);
    pipe.send(bytes);
    pipe.close();
    std::this_thread::sleep_for(50ms);
    BOOST_TEST(source.statistics().packets <= 30U); // two batches, and the one for which there is no place
    packet_batch batch;
    sequence seen;
    error_code ec;
    while (source.receive(batch, 60s, ec) != 0)
        seen(batch);
    BOOST_TEST(ec == net::error::eof);
    BOOST_TEST(seen.next == 300U);
    BOOST_TEST(seen.in_order);
}

BOOST_AUTO_TEST_CASE(a_fifo_without_a_writer_is_opened_without_waiting) {
    files::temporary_folder const folder;
    auto const fifo = folder / "fifo";
    BOOST_TEST_REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    net::io_context context;
    pcap_source source{context, pcap_source_options{fifo}};
    packet_batch batch;
    error_code ec;
    source.receive(batch, 10ms, ec);
    BOOST_TEST(ec == error::timed_out);
    numbered_file const file{3};
    std::jthread const writer{[&] { files::write(fifo, file.bytes); }};
    BOOST_TEST(source.receive(batch, 60s) == 3U);
    source.receive(batch, 60s, ec);
    BOOST_TEST(ec == net::error::eof);
}

BOOST_AUTO_TEST_CASE(standard_input) {
    numbered_file const file{7};
    int const saved = ::dup(0);
    int const in = ::open(file.path.c_str(), O_RDONLY);
    ::dup2(in, 0);
    ::close(in);
    {
        net::io_context context;
        pcap_source source{context, pcap_source_options{"-"}};
        packet_batch batch;
        BOOST_TEST(source.receive(batch, -1ns) == 7U);
    }
    BOOST_TEST(::fcntl(0, F_GETFD) >= 0); // it is not ours to close
    ::dup2(saved, 0);
    ::close(saved);
}
