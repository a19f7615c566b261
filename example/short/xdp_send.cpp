// Sends 1000 frames past the network stack through an AF_XDP socket.
#include <netring_asio/xdp_socket.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

// To everybody, from a made-up address, of an EtherType for experiments (IEEE 802, 88B5).
std::array<std::uint8_t, 60> const frame{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    net::io_context context;
    nr::xdp_socket socket{context, nr::xdp_options{interface}.queue(0).nothing()}; // it takes nothing from the stack
    for (int i = 0; i != 1000; ++i)
        socket.send(net::buffer(frame)); // waits where there is no room
    auto const result = socket.wait_drained(3s);
    std::cout << result.taken << " frames taken, " << result.rejected << " refused\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
