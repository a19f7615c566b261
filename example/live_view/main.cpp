// Shows live in a browser what a host talks to.

#include "observer.hpp"
#include "server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/program_options.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace po = boost::program_options;

int main(int argc, char** argv) {
    try {
        po::options_description options{"live_view: shows in a browser what an interface carries"};
        // clang-format off
        options.add_options()
            ("help", "print this and exit")
            ("interface", po::value<std::string>()->required(), "network interface to watch")
            ("namespace", po::value<std::string>()->default_value(""), "network namespace of the interface: a name, or a path as /proc/PID/ns/net")
            ("filter", po::value<std::string>()->default_value(""), "tcpdump expression, see pcap-filter(7)")
            ("listen", po::value<std::string>()->default_value("127.0.0.1"), "address to serve at; where others reach it they need a token")
            ("port", po::value<std::uint16_t>()->default_value(8642), "port to serve at, 0 for any that is free")
            ("token", po::value<std::string>()->default_value(""), "the token, if one is not to be made up")
            ("history", po::value<std::size_t>()->default_value(64), "MiB of packets to keep for saving flows")
            ("duration", po::value<unsigned>()->default_value(0, "for ever"), "seconds to run");
        // clang-format on
        po::variables_map values;
        po::store(po::parse_command_line(argc, argv, options), values);
        if (values.count("help") != 0) {
            std::cout << options;
            return 0;
        }
        po::notify(values);

        net::io_context context{1};
        auto const watched = nr::capture_options{values["interface"].as<std::string>()}
                                 .network_namespace(values["namespace"].as<std::string>())
                                 .filter(values["filter"].as<std::string>());
        live_view::observer observer{context, watched, values["history"].as<std::size_t>() << 20};
        live_view::server server{
            context,
            observer,
            {net::ip::make_address(values["listen"].as<std::string>()), values["port"].as<std::uint16_t>()},
            values["token"].as<std::string>()};
        std::cout << "live view of " << observer.interface() << " at " << server.address() << std::endl;

        auto const stop = [&](auto...) { context.stop(); };
        net::signal_set signals{context, SIGINT, SIGTERM};
        signals.async_wait(stop);
        net::steady_timer timer{context};
        if (auto const seconds = values["duration"].as<unsigned>(); seconds != 0) {
            timer.expires_after(std::chrono::seconds{seconds});
            timer.async_wait(stop);
        }
        auto const rethrow = [](std::exception_ptr failure) {
            if (failure)
                std::rethrow_exception(failure);
        };
        net::co_spawn(context, observer.watch(), rethrow);
        net::co_spawn(context, server.accept(), rethrow);
        net::co_spawn(context, server.publish(), rethrow);
        context.run();
    } catch (std::exception const& e) {
        std::cerr << "live_view: " << e.what() << '\n';
        return 1;
    }
}
