// Sends the flows of an interface to an IPFIX collector over TCP, for three seconds.
#include <netring_asio/capture.hpp>
#include <netring_asio/export/ipfix_exporter.hpp>
#include <netring_asio/flow_stream.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <iostream>
#include <tuple>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

net::awaitable<void> send(nr::flow_stream<nr::capture>& flows, nr::exports::ipfix_exporter exporter) {
    nr::flow::event_batch events;
    for (nr::error_code error; error != net::error::eof;) {
        std::tie(error, std::ignore) = co_await flows.async_receive(events, net::as_tuple(net::use_awaitable));
        if (error && error != net::error::eof && error != net::error::operation_aborted)
            throw nr::system_error{error, "receive"};
        if (!events.empty()) // the collector's slowness reaches the ring, which is the buffer
            co_await exporter.async_export({events.begin(), events.end()}, net::use_awaitable);
    }
    std::cout << exporter.statistics().records << " flows sent\n";
}

int main(int argc, char** argv) try {
    if (argc != 3)
        throw std::invalid_argument{"ipfix INTERFACE COLLECTOR"};
    net::io_context context;
    nr::flow_stream flows{nr::capture{context, nr::capture_options{argv[1]}.filter("not port 4739")}};
    nr::exports::ipfix_exporter_options const to{net::ip::make_address(argv[2])};
    net::steady_timer timer{context, 3s};
    timer.async_wait([&](nr::error_code) { flows.finish(); }); // flows still open are told, then the end
    net::co_spawn(context,
                  send(flows, nr::exports::ipfix_exporter{context, nr::exports::ipfix_exporter_options{to}.transport(
                                                                       nr::exports::ipfix_transport::tcp)}),
                  [](std::exception_ptr error) {
                      if (error)
                          std::rethrow_exception(error);
                  });
    context.run();
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
