// Prints the messages that flows carry: of a capture file, or of an interface until it is interrupted.

#include "line_parser.hpp"
#include <netring_asio/capture.hpp>
#include <netring_asio/pcap_source.hpp>
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/quic.hpp>
#include <netring_asio/session/tls.hpp>
#include <netring_asio/session_stream.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace session = netring_asio::session;

namespace {

template <class Source>
net::awaitable<void> log(Source source) {
    nr::session_stream sessions{nr::flow_stream{std::move(source)},
                                session::use{session::dns_over_udp{}}.ports({53}),
                                session::use{session::multicast_dns{}}.ports({5353, 5355}),
                                session::use{session::dns_over_tcp{}}.ports({53}),
                                session::use{session::http1_parser{}}.ports({80, 8080}),
                                session::use{session::tls_handshake{}}.ports({443}),
                                session::use{session::quic_initial{}},
                                session::use{line_parser{}}.ports({21, 25, 110})};
    typename decltype(sessions)::event_batch events;
    for (;;) {
        auto const [error, count] = co_await sessions.async_receive(events, net::as_tuple(net::use_awaitable));
        for (auto const& e : events)
            std::cout << e << '\n';
        std::cout.flush();
        if (error == net::error::eof || error == net::error::operation_aborted)
            co_return;
        if (error)
            throw nr::system_error{error};
    }
}

} // namespace

int main(int argc, char** argv) {
    std::string_view const kind = argc == 3 || argc == 4 ? argv[1] : "";
    if (kind != "--file" && kind != "--interface") {
        std::cerr << "session_log --file FILE | --interface NAME [SECONDS]\n";
        return 2;
    }
    try {
        net::io_context context{1};
        auto const stop = [&](nr::error_code error, int = 0) {
            if (!error)
                context.stop();
        };
        net::signal_set signals{context, SIGINT, SIGTERM};
        signals.async_wait(stop);
        net::steady_timer limit{context};
        if (argc == 4) {
            limit.expires_after(std::chrono::seconds{std::stoul(argv[3])});
            limit.async_wait(stop);
        }
        auto const done = [&](std::exception_ptr failure) {
            signals.cancel();
            limit.cancel();
            if (failure)
                std::rethrow_exception(failure);
        };
        if (kind == "--file")
            net::co_spawn(context, log(nr::pcap_source{context, nr::pcap_source_options{argv[2]}}), done);
        else
            net::co_spawn(context, log(nr::capture{context, nr::capture_options{argv[2]}}), done);
        context.run();
    } catch (std::exception const& e) {
        std::cout.flush();
        std::cerr << "session_log: " << e.what() << '\n';
        return 1;
    }
}
