// Captures until Ctrl-C, or for ten seconds, and then says what it saw: nothing that was received is lost.
#include <netring_asio/capture.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;

net::awaitable<void> count(nr::capture& capture) {
    nr::packet_batch batch;
    std::uint64_t packets = 0;
    // tag::end[]
    for (;;) {
        auto const [error, received] = co_await capture.async_receive(batch, net::as_tuple(net::use_awaitable));
        packets += received;
        if (error == net::error::operation_aborted)
            break;
        if (error)
            throw nr::system_error{error, "receive"};
    }
    while (capture.try_receive(batch)) // what came before the capture was stopped
        packets += batch.size();
    // end::end[]
    std::cout << packets << " packets\n";
}

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    net::io_context context;
    nr::capture capture{context, nr::capture_options{interface}};
    net::signal_set signals{context, SIGINT, SIGTERM};
    net::steady_timer timer{context, std::chrono::seconds{10}};
    auto const stop = [&](nr::error_code error, auto...) {
        if (!error)
            capture.cancel();
    };
    signals.async_wait(stop);
    timer.async_wait(stop);
    net::co_spawn(context, count(capture), [&](std::exception_ptr error) {
        signals.cancel();
        timer.cancel();
        if (error)
            std::rethrow_exception(error);
    });
    std::cout << "capturing" << std::endl;
    context.run();
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
