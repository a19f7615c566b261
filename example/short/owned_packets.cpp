// Hands copies of packets to other threads, to be kept for as long as these like.
#include <netring_asio/capture.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

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
    nr::capture capture{context, nr::capture_options{interface}.filter("udp")};
    net::thread_pool pool{2};
    auto const printer = net::make_strand(pool); // lines one after another
    int count = 0;
    for (nr::packet_view const& packet : capture.packets(3s) | std::views::take(4))
        net::post(printer, [copy = nr::owned_packet{packet}, number = ++count] {
            std::cout << "packet " << number << ": " << copy->wire_length << " bytes\n";
        });
    capture.close(); // the copies do not need it
    pool.join();
    std::cout << count << " packets\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
