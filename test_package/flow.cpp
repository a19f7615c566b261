#include <netring_asio/flow_stream.hpp>
#include <netring_asio/pcap_source.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>

#include <unistd.h>

namespace net = boost::asio;
namespace nr = netring_asio;

namespace {

net::awaitable<void> report(nr::pcap_source source) {
    nr::flow_stream flows{std::move(source)};
    nr::flow::event_batch events;
    for (;;) {
        auto [error, count] = co_await flows.async_receive(events, net::as_tuple(net::use_awaitable));
        std::cout << count << " events, " << error.message() << '\n';
        if (error == net::error::eof)
            co_return;
        if (error)
            throw nr::system_error{error};
    }
}

} // namespace

int main() {
    // A capture file without packets.
    std::uint32_t const header[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
    char name[] = "/tmp/consumer_XXXXXX";
    int const file = ::mkstemp(name);
    bool const written = ::write(file, header, sizeof header) == sizeof header;
    ::close(file);

    net::io_context context;
    std::exception_ptr failure;
    net::co_spawn(context, report(nr::pcap_source{context, nr::pcap_source_options{name}}),
                  [&](std::exception_ptr error) { failure = error; });
    context.run();
    std::remove(name);
    if (failure)
        std::rethrow_exception(failure);
    return written ? 0 : 1;
}
