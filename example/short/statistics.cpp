// Prints once a second what a capture received and dropped, for three seconds, while another coroutine receives.
#include <netring_asio/capture.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <tuple>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

net::awaitable<void> receive(nr::capture& capture) {
    nr::packet_batch batch;
    nr::error_code error;
    while (!error)
        std::tie(error, std::ignore) = co_await capture.async_receive(batch, net::as_tuple(net::use_awaitable));
    if (error != net::error::operation_aborted) // it was not closed
        throw nr::system_error{error, "receive"};
}

net::awaitable<void> report(nr::capture& capture) {
    net::steady_timer timer{capture.get_executor(), 0s};
    nr::capture_statistics before;
    for (int second = 1; second <= 3; ++second) {
        timer.expires_at(timer.expiry() + 1s);
        co_await timer.async_wait(net::use_awaitable);
        auto const now = capture.statistics(); // totals never go back: the difference is what happened since
        std::cout << "second " << second << ": " << now.received - before.received << " received, "
                  << now.dropped - before.dropped << " dropped" << std::endl;
        before = now;
    }
    capture.close();
}

int main(int argc, char** argv) try {
    net::io_context context;
    nr::capture capture{context, nr::capture_options{argc > 1 ? argv[1] : "lo"}};
    auto const pass_on = [](std::exception_ptr error) {
        if (error)
            std::rethrow_exception(error); // comes out of run()
    };
    net::co_spawn(context, receive(capture), pass_on);
    net::co_spawn(context, report(capture), pass_on);
    context.run();
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
