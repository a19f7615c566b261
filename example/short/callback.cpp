// Receives with a callback, for three seconds.
#include <netring_asio/capture.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

class counter {
public:
    counter(net::io_context& context, std::string const& interface)
        : capture_{context, nr::capture_options{interface}}
        , timer_{context, 3s} {
        timer_.async_wait([this](nr::error_code) { capture_.cancel(); });
        receive();
    }

private:
    void receive() {
        capture_.async_receive(batch_, [this](nr::error_code error, std::size_t packets) {
            if (error == net::error::operation_aborted)
                std::cout << packets_ << " packets in 3 s\n";
            else if (error)
                throw nr::system_error{error, "receive"}; // comes out of context.run()
            else {
                packets_ += packets;
                receive();
            }
        });
    }

    nr::capture capture_;
    net::steady_timer timer_;
    nr::packet_batch batch_;
    std::size_t packets_ = 0;
};

int main(int argc, char** argv) try {
    net::io_context context;
    counter const counting{context, argc > 1 ? argv[1] : "lo"};
    context.run();
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
