// Captures on one thread and works on others: batches go through a channel without a copy, and a full channel holds the
// capture up, not the kernel.
#include <netring_asio/capture.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;
using batches = net::experimental::concurrent_channel<void(nr::error_code, nr::packet_batch)>;

net::awaitable<void> work(batches& from, std::atomic<std::uint64_t>& bytes) {
    for (;;) {
        auto [error, batch] = co_await from.async_receive(net::as_tuple(net::use_awaitable));
        if (error)
            co_return;
        for (nr::packet_view const& packet : batch)
            bytes += packet.wire_length;
    } // the block goes back to the kernel here, from the worker's thread
}

int main(int argc, char** argv) try {
    net::io_context context{1};
    net::thread_pool workers{2};
    nr::capture capture{context, nr::capture_options{argc > 1 ? argv[1] : "lo"}};
    batches channel{workers.get_executor(), 16};
    std::atomic<std::uint64_t> bytes = 0;
    for (int i = 0; i != 2; ++i)
        net::co_spawn(workers, work(channel, bytes), net::detached);
    net::steady_timer timer{context, 3s};
    timer.async_wait([&](nr::error_code) { capture.cancel(); });
    capture.async_pipe(channel, [&](nr::error_code error) {
        channel.close();
        if (error != net::error::operation_aborted)
            throw nr::system_error{error, "pipe"};
    });
    context.run();
    workers.join();
    std::cout << bytes << " bytes\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
