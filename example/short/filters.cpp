// Changes the filter of a running capture, and judges packets by another one that is not attached to anything.
#include <netring_asio/capture.hpp>
#include <netring_asio/filter.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    net::io_context context;
    nr::capture capture{context, nr::capture_options{interface}.filter("udp port 9000")};
    nr::filter const large{"greater 500"};

    std::size_t packets = 0, large_ones = 0;
    for (nr::packet_view const& packet : capture.packets(3s)) { // until nothing came for 3 s
        large_ones += large.matches(packet);
        if (++packets == 10)
            capture.set_filter("udp port 9001"); // what is in the ring is judged by it, too
    }
    std::cout << packets << " packets, " << large_ones << " of them large\n";

    nr::error_code error;
    capture.set_filter("udp prot 9000", error); // the other form throws, and says what is wrong at which place
    std::cout << "udp prot 9000: " << error.message() << '\n';
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
