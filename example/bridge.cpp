// Joins two interfaces as a cable would, but for the packets that an expression picks out.

#include <netring_asio/bridge.hpp>
#include <netring_asio/filter.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/program_options.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace po = boost::program_options;

namespace {

nr::bridge_options bridge_options(po::variables_map const& values) {
    nr::bridge_options options{values["left"].as<std::string>(), values["right"].as<std::string>()};
    if (auto const& expression = values["drop"].as<std::string>(); !expression.empty())
        options.filter([unwanted = nr::filter{expression}](nr::bridge_packet const& packet) {
            return unwanted.matches(packet.view()) ? nr::bridge_verdict::drop : nr::bridge_verdict::forward;
        });
    if (values.count("verbose") != 0)
        options.on_drop([](nr::bridge_side from, nr::packet_view const& packet, nr::error_code why) {
            std::cerr << (from == nr::bridge_side::left ? "left" : "right") << ": " << packet.wire_length
                      << " bytes: " << why.message() << '\n';
        });
    return options;
}

void print(std::string_view direction, nr::bridge_direction_statistics const& s) {
    std::cout << direction << ": " << s.forwarded << " of " << s.received << " forwarded";
    auto const also = [](std::uint64_t count, char const* what) {
        if (count != 0)
            std::cout << ", " << count << ' ' << what;
    };
    also(s.filtered, "filtered");
    also(s.too_long, "too long");
    also(s.unsupported_offload, "not to be cut into segments");
    also(s.link_down, "while the other side was down");
    also(s.abandoned, "abandoned");
    also(s.rejected, "refused by the kernel");
    also(s.lost, "lost for want of room");
    std::cout << std::endl;
}

void print(nr::bridge_statistics const& statistics) {
    print("left to right", statistics.left_to_right);
    print("right to left", statistics.right_to_left);
}

} // namespace

int main(int argc, char** argv) {
    try {
        po::options_description options{"bridge: forwards between two interfaces until Ctrl-C or for a time"};
        // clang-format off
        options.add_options()
            ("help", "print this and exit")
            ("left", po::value<std::string>()->required(), "network interface")
            ("right", po::value<std::string>()->required(), "network interface")
            ("drop", po::value<std::string>()->default_value(""), "tcpdump expression of what is not forwarded")
            ("interval", po::value<unsigned>()->default_value(0, "never"), "seconds between reports")
            ("duration", po::value<unsigned>()->default_value(0, "for ever"), "seconds to run")
            ("verbose", "tell what could not be forwarded, and why");
        // clang-format on
        po::variables_map values;
        po::store(po::parse_command_line(argc, argv, options), values);
        if (values.count("help") != 0) {
            std::cout << options;
            return 0;
        }
        po::notify(values);

        net::io_context context{1};
        nr::bridge bridge{context, bridge_options(values)};
        std::cout << "forwarding" << std::endl;

        // The first signal has what is on its way delivered, the second does not.
        net::signal_set signals{context, SIGINT, SIGTERM};
        signals.async_wait([&](nr::error_code error, int) {
            if (error)
                return;
            bridge.cancel();
            signals.async_wait([&](nr::error_code again, int) {
                if (!again)
                    bridge.close();
            });
        });
        net::steady_timer timer{context};
        std::chrono::seconds const interval{values["interval"].as<unsigned>()};
        std::function<void()> report = [&] {
            timer.expires_after(interval);
            timer.async_wait([&](nr::error_code error) {
                if (error)
                    return;
                print(bridge.statistics());
                report();
            });
        };
        if (interval.count() != 0)
            report();

        net::steady_timer end{context};
        if (auto const seconds = values["duration"].as<unsigned>(); seconds != 0) {
            end.expires_after(std::chrono::seconds{seconds});
            end.async_wait([&](nr::error_code error) { error ? void() : bridge.cancel(); });
        }

        nr::error_code result;
        bridge.async_run([&](nr::error_code error) {
            result = error;
            signals.cancel();
            timer.cancel();
            end.cancel();
        });
        context.run();
        print(bridge.statistics());
        if (result != net::error::operation_aborted)
            throw nr::system_error{result};
    } catch (std::exception const& e) {
        std::cerr << "bridge: " << e.what() << '\n';
        return 1;
    }
}
