// Writes the flows of a capture file as Zeek writes its conn.log.
#include <netring_asio/export/conn_log.hpp>
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/pcap_source.hpp>

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

net::awaitable<void> write_log(nr::flow_stream<nr::pcap_source>& flows) {
    nr::exports::conn_log log{std::cout, nr::exports::conn_log_options{}.community_id(true)};
    nr::flow::event_batch events;
    for (;;) {
        auto const [error, count] = co_await flows.async_receive(events, net::as_tuple(net::use_awaitable));
        log.write_all(events);
        if (error == net::error::eof)
            co_return log.finish(std::chrono::system_clock::now());
        if (error)
            throw nr::system_error{error, "the log is not complete"};
    }
}

int main(int argc, char** argv) try {
    if (argc != 2)
        throw std::invalid_argument{"conn_log FILE"};
    net::io_context context;
    nr::flow_stream flows{nr::pcap_source{context, nr::pcap_source_options{argv[1]}}};
    net::steady_timer timer{context, 60s};
    timer.async_wait([&](nr::error_code error) {
        if (!error)
            flows.cancel();
    });
    net::co_spawn(context, write_log(flows), [&](std::exception_ptr error) {
        timer.cancel();
        if (error)
            std::rethrow_exception(error);
    });
    context.run();
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
