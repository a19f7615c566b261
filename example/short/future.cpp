// Receives one batch as a future, from a thread that is not the context's.
#include <netring_asio/capture.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <future>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    net::thread_pool pool{1};
    nr::capture capture{pool, nr::capture_options{interface}};
    nr::packet_batch batch;
    auto received = capture.async_receive(batch, net::use_future);
    if (received.wait_for(3s) == std::future_status::timeout)
        net::post(pool, [&] { capture.cancel(); }); // the capture belongs to the pool's thread
    std::cout << received.get() << " packets\n";
} catch (boost::system::system_error const& e) {
    std::cerr << (e.code() == net::error::operation_aborted ? "nothing came for 3 s" : e.what()) << '\n';
    return 1;
}
