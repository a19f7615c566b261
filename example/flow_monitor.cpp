// Prints the flows of an interface or of a capture file as they start, are answered and end.

#include <netring_asio/capture.hpp>
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/pcap_source.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/program_options.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace po = boost::program_options;

namespace {

/// Prints events until the stream ends, or has given as many as asked for.
template <class Flows>
net::awaitable<void> watch(Flows& flows, std::uint64_t count) {
    nr::flow::event_batch events;
    while (count != 0) {
        auto const [error, size] = co_await flows.async_receive(events, net::as_tuple(net::use_awaitable));
        for (nr::flow::event const& e : events) {
            if (count == 0)
                break;
            std::cout << e << '\n';
            --count;
        }
        std::cout.flush();
        if (error == net::error::eof)
            break;
        if (error && error != net::error::operation_aborted) // flows that were cut short are still to come
            throw nr::system_error{error};
    }
}

template <class Source>
void run(net::io_context& context, Source source, std::uint64_t count, double seconds) {
    nr::flow_stream flows{std::move(source), nr::flow::five_tuple{}};

    auto const stop = [&flows](nr::error_code error, auto...) {
        if (!error)
            flows.finish();
    };
    net::signal_set signals{context, SIGINT, SIGTERM};
    signals.async_wait(stop);
    net::steady_timer timer{context};
    if (seconds > 0) {
        timer.expires_after(
            std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>{seconds}));
        timer.async_wait(stop);
    }

    std::exception_ptr failure;
    net::co_spawn(context, watch(flows, count), [&](std::exception_ptr error) {
        failure = error;
        signals.cancel();
        timer.cancel();
    });
    context.run();
    auto const statistics = flows.statistics();
    std::cerr << statistics.packets << " packets, " << statistics.started << " flows, " << statistics.flows
              << " still open\n";
    if (failure)
        std::rethrow_exception(failure);
}

} // namespace

int main(int argc, char** argv) {
    try {
        po::options_description options{"flow_monitor: prints flows as they start, are answered and end"};
        // clang-format off
        options.add_options()
            ("help", "print this and exit")
            ("interface", po::value<std::string>(), "network interface to watch")
            ("read", po::value<std::string>(), "pcap or pcapng file to read instead, - is standard input")
            ("filter", po::value<std::string>()->default_value(""), "tcpdump expression, see pcap-filter(7)")
            ("count", po::value<std::uint64_t>()->default_value(std::numeric_limits<std::uint64_t>::max(), "all"),
             "events to print")
            ("duration", po::value<double>()->default_value(0, "for ever"), "seconds to run");
        // clang-format on
        po::variables_map values;
        po::store(po::parse_command_line(argc, argv, options), values);
        if (values.count("help") != 0) {
            std::cout << options;
            return 0;
        }
        if (values.count("interface") + values.count("read") != 1)
            throw std::invalid_argument{"give one of --interface NAME, --read FILE"};
        auto const filter = values["filter"].as<std::string>();
        auto const count = values["count"].as<std::uint64_t>();
        auto const duration = values["duration"].as<double>();

        net::io_context context{1};
        if (values.count("read") != 0)
            run(context,
                nr::pcap_source{context, nr::pcap_source_options{values["read"].as<std::string>()}.filter(filter)},
                count, duration);
        else
            run(context,
                nr::capture{context, nr::capture_options{values["interface"].as<std::string>()}.filter(filter)}, count,
                duration);
    } catch (std::exception const& e) {
        std::cout.flush();
        std::cerr << "flow_monitor: " << e.what() << '\n';
        return 1;
    }
}
