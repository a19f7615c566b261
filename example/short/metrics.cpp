// Serves the counters of a capture to Prometheus on a loopback port, for five seconds.
#include <netring_asio/capture.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

net::awaitable<void> receive(nr::capture& capture) {
    nr::packet_batch batch;
    for (;;)
        co_await capture.async_receive(batch, net::use_awaitable);
}

std::string metrics(nr::capture_statistics const& now) {
    return "# TYPE capture_packets_total counter\ncapture_packets_total " + std::to_string(now.received) +
           "\n# TYPE capture_drops_total counter\ncapture_drops_total " + std::to_string(now.dropped) + '\n';
}

net::awaitable<void> serve(nr::capture const& capture, net::ip::tcp::acceptor acceptor) {
    for (;;) {
        auto socket = co_await acceptor.async_accept(net::use_awaitable);
        std::string request; // whatever it asks for
        co_await net::async_read_until(socket, net::dynamic_buffer(request, 8192), "\r\n\r\n",
                                       net::as_tuple(net::use_awaitable));
        auto const response =
            "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n" + metrics(capture.statistics());
        co_await net::async_write(socket, net::buffer(response), net::as_tuple(net::use_awaitable));
    }
}

int main(int argc, char** argv) try {
    net::io_context context;
    nr::capture capture{context, nr::capture_options{argc > 1 ? argv[1] : "lo"}};
    net::ip::tcp::acceptor acceptor{context, {net::ip::address_v4::loopback(), 0}};
    std::cout << "http://" << acceptor.local_endpoint() << "/metrics" << std::endl;
    auto const fail = [](std::exception_ptr error) { std::rethrow_exception(error); }; // neither ends otherwise
    net::co_spawn(context, receive(capture), fail);
    net::co_spawn(context, serve(capture, std::move(acceptor)), fail);
    context.run_for(5s);
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
