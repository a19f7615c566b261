// Shares an interface between threads: each has a capture and a context of its own, and the kernel gives all packets of
// a flow to the same one.
#include <netring_asio/capture.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

struct worker {
    worker(std::string const& interface, nr::fanout_options const& group)
        : capture{context, nr::capture_options{interface}.fanout(group)} {}

    void run() {
        nr::packet_batch batch;
        while (auto const received = capture.receive(batch, 3s)) // 0: nothing came for 3 s
            packets += received;
    }

    net::io_context context;
    nr::capture capture;
    std::size_t packets = 0;
};

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    nr::fanout_options const group{nr::fanout_mode::hash};
    worker first{interface, group}; // its group has an id that nobody else uses
    worker second{interface, nr::fanout_options{group}.id(*first.capture.fanout_id())};
    std::vector<std::jthread> threads;
    for (auto* const one : {&first, &second})
        threads.emplace_back([one] { one->run(); });
    threads.clear(); // joins
    std::cout << first.packets << " + " << second.packets << " = " << first.packets + second.packets << " packets\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
