// Writes to a capture file, for four seconds, every packet of the connections that ask for certain TLS servers: also
// those that came before the name was known.
#include <netring_asio/capture.hpp>
#include <netring_asio/pcap/writer.hpp>
#include <netring_asio/subscriptions.hpp>

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
using packets = nr::subscriber<nr::subscription::packets, nr::capture::executor_type>;

net::awaitable<void> save(packets& wanted, std::string file) {
    nr::pcap::writer writer{nr::pcap::writer_options{file}};
    packets::batch batch;
    std::size_t count = 0;
    for (nr::error_code error; !error;) {
        std::size_t received = 0;
        std::tie(error, received) = co_await wanted.async_receive(batch, net::as_tuple(net::use_awaitable));
        for (nr::subscription::packet const& packet : batch)
            writer.write(*packet.frame);
        count += received;
    }
    writer.close();
    std::cout << count << " packets\n";
}

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo", file = argc > 2 ? argv[2] : "packets.pcapng";
    net::io_context context;
    nr::subscriptions interest{nr::capture{context, nr::capture_options{interface}}};
    auto wanted =
        interest.subscribe(nr::subscription::packets{nr::subscription::expression{"tls.sni contains 'shop'"}});
    interest.async_run([](nr::error_code error) {
        if (error != net::error::operation_aborted) // it was not closed
            throw nr::system_error{error, "receive"};
    });
    net::steady_timer timer{context, 4s};
    timer.async_wait([&](nr::error_code) {
        wanted.unsubscribe();
        interest.close();
    });
    net::co_spawn(context, save(wanted, file), [](std::exception_ptr error) {
        if (error)
            std::rethrow_exception(error);
    });
    context.run();
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
