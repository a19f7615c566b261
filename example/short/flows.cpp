// Prints flows as they start, are answered and end, for four seconds; those still open then are told last.
#include <netring_asio/capture.hpp>
#include <netring_asio/flow_stream.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <iostream>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

net::awaitable<void> watch(nr::flow_stream<nr::capture>& flows) {
    nr::flow::event_batch events;
    for (;;) { // one wake-up, many events
        auto const [error, count] = co_await flows.async_receive(events, net::as_tuple(net::use_awaitable));
        for (nr::flow::event const& event : events)
            std::cout << event << '\n';
        if (error == net::error::eof)
            co_return;
        if (error && error != net::error::operation_aborted)
            throw nr::system_error{error, "receive"};
    }
}

int main(int argc, char** argv) try {
    net::io_context context;
    nr::flow_stream flows{nr::capture{context, nr::capture_options{argc > 1 ? argv[1] : "lo"}.filter("ip or ip6")}};
    net::steady_timer timer{context, 4s};
    timer.async_wait([&](nr::error_code) { flows.finish(); });
    net::co_spawn(context, watch(flows), [](std::exception_ptr error) {
        if (error)
            std::rethrow_exception(error);
    });
    context.run();
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
