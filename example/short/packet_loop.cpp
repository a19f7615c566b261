// Prints the first packets of an interface: the shortest program, without a running context.
#include <netring_asio/capture.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <iostream>
#include <ranges>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    net::io_context context;
    nr::capture capture{context, nr::capture_options{interface}};
    int count = 0;
    for (nr::packet_view const& packet : capture.packets(3s) | std::views::take(5)) // ends when nothing came for 3 s
        std::cout << "packet " << ++count << ": " << packet.wire_length << " bytes\n";
    std::cout << count << " packets\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
