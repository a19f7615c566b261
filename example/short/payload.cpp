// Prints what HTTP clients ask for, from the payload of single packets: for whole messages see session_log.
#include <netring_asio/capture.hpp>
#include <netring_asio/decode/decoder.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <string_view>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    net::io_context context;
    nr::capture capture{context, nr::capture_options{interface}.filter("tcp dst port 80")};
    nr::decode::decoder const decode;
    nr::decode::headers headers;
    for (nr::packet_view const& packet : capture.packets(3s)) {
        if (!decode(packet, headers))
            continue;
        auto const payload = headers.payload();
        std::string_view const text{reinterpret_cast<char const*>(payload.data()), payload.size()};
        if (text.starts_with("GET ") || text.starts_with("POST "))
            std::cout << headers.source << " > " << headers.destination << ": " << text.substr(0, text.find('\r'))
                      << '\n';
    }
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
