// Prints which names are asked for, by DNS and in TLS handshakes, for four seconds.
#include <netring_asio/capture.hpp>
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/tls.hpp>
#include <netring_asio/session_stream.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <iostream>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace session = netring_asio::session;
using namespace std::chrono_literals;

net::awaitable<void> watch(nr::capture capture) {
    nr::session_stream sessions{nr::flow_stream{std::move(capture)}, session::use{session::dns_over_udp{}}.ports({53}),
                                session::use{session::tls_handshake{}}}; // whatever its port
    decltype(sessions)::event_batch events;
    for (;;) {
        auto const [error, count] = co_await sessions.async_receive(events, net::as_tuple(net::use_awaitable));
        if (error)
            throw nr::system_error{error, "receive"};
        for (auto const& event : events) {
            auto const* message = event.message();
            if (auto const* dns = message ? std::get_if<session::dns::message>(message) : nullptr)
                for (auto const& question : dns->questions)
                    std::cout << (dns->is_response ? "answered: " : "asked: ") << question.name << '\n';
            else if (auto const* hello = message ? std::get_if<session::tls::client_hello>(message) : nullptr)
                std::cout << "hello to " << hello->server_name << ", " << hello->ja4() << '\n';
        }
    }
}

int main(int argc, char** argv) try {
    net::io_context context;
    nr::capture capture{context, nr::capture_options{argc > 1 ? argv[1] : "lo"}};
    net::co_spawn(context, watch(std::move(capture)), [](std::exception_ptr error) { std::rethrow_exception(error); });
    context.run_for(4s);
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
