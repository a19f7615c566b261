// Sends UDP datagrams to port 7 back to where they came from (RFC 862), past the network stack, until none has come for
// three seconds.
#include <netring_asio/decode/decoder.hpp>
#include <netring_asio/xdp_socket.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

/// Swaps both ends: a checksum is a sum, and remains what it was.
void turn_round(std::span<std::byte> frame, nr::decode::headers const& headers) {
    auto const swap = [&](std::size_t at, std::size_t size) {
        std::ranges::swap_ranges(frame.subspan(at, size), frame.subspan(at + size, size));
    };
    swap(headers.link_offset, 6);
    swap(headers.ip_offset + (headers.ip_version == 4 ? 12 : 8), headers.ip_version == 4 ? 4 : 16);
    swap(headers.transport_offset, 2);
}

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    net::io_context context;
    nr::xdp_socket socket{context, nr::xdp_options{interface}.filter("udp dst port 7")};
    std::cout << "echoing" << std::endl;
    nr::decode::decoder const decode;
    nr::decode::headers headers;
    std::size_t count = 0;
    for (nr::packet_view const& packet : socket.packets(3s)) {
        if (!decode(packet, headers))
            continue;
        if (auto reply = socket.try_reserve(packet.data.size())) {
            std::copy(packet.data.begin(), packet.data.end(), reply.data().begin());
            turn_round(reply.data(), headers);
            reply.commit(packet.data.size());
            count += socket.flush();
        }
    }
    std::cout << count << " datagrams\n" << (count == 0 ? socket.explain() : "");
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
