// Receives soon instead of cheaply: from a ring that gives each packet at once, by a thread that looks again and again
// instead of sleeping.
#include <netring_asio/capture.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    net::io_context context;
    // tag::options[]
    nr::capture capture{context, nr::capture_options{interface}.profile(nr::capture_profile::low_latency)};
    // end::options[]
    nr::packet_batch batch;
    std::size_t packets = 0;
    std::chrono::nanoseconds longest{};
    for (auto const end = std::chrono::steady_clock::now() + 3s; std::chrono::steady_clock::now() < end;) {
        if (!capture.try_receive(batch)) // no system call
            continue;
        packets += batch.size();
        auto const now = std::chrono::system_clock::now().time_since_epoch();
        for (nr::packet_view const& packet : batch)
            longest = std::max<std::chrono::nanoseconds>(longest, now - packet.time.time_since_epoch());
    }
    std::cout << packets << " packets, the oldest after " << longest / 1us << " us\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
