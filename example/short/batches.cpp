// Receives whole blocks of the ring, and shows what the kernel says about each.
#include <netring_asio/capture.hpp>

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
    nr::capture capture{context, nr::capture_options{interface}.profile(nr::capture_profile::throughput)};
    nr::packet_batch batch;
    while (capture.receive(batch, 3s) != 0) { // 0: nothing came for 3 s
        auto const& info = batch.info();
        std::cout << "block " << info.sequence << ": " << batch.size() << " packets in "
                  << (info.last_time - info.first_time) / 1us << " us"
                  << (info.by_timeout ? ", closed by its timeout" : ", full") << (info.losing ? ", losing" : "")
                  << '\n';
    }
    auto const statistics = capture.statistics();
    std::cout << statistics.received << " packets received, " << statistics.dropped << " dropped\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
