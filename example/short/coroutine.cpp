// Receives in a coroutine until nothing has come for three seconds.
#include <netring_asio/capture.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace net::experimental::awaitable_operators;
using namespace std::chrono_literals;

net::awaitable<void> watch(nr::capture capture) {
    net::steady_timer timer{capture.get_executor()};
    nr::packet_batch batch;
    std::uint64_t packets = 0;
    // tag::race[]
    for (;;) {
        timer.expires_after(3s);
        auto const first = co_await (capture.async_wait(net::use_awaitable) || timer.async_wait(net::use_awaitable));
        if (first.index() == 1) // async_wait takes nothing, so that the race loses nothing
            break;
        while (capture.try_receive(batch))
            packets += batch.size();
    }
    // end::race[]
    std::cout << packets << " packets, then none for 3 s\n";
}

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    net::io_context context;
    nr::capture capture{context, nr::capture_options{interface}};
    net::co_spawn(context, watch(std::move(capture)), [](std::exception_ptr error) {
        if (error)
            std::rethrow_exception(error);
    });
    context.run();
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
