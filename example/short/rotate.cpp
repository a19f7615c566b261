// Writes packets to capture files of at most 50 packets each, for three seconds: NAME.0.pcapng, NAME.1.pcapng, ...
#include <netring_asio/capture.hpp>
#include <netring_asio/pcap/writer.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo", name = argc > 2 ? argv[2] : "packets";
    net::io_context context;
    nr::capture capture{context, nr::capture_options{interface}};
    nr::packet_batch batch;
    nr::pcap::writer writer;
    std::size_t files = 0, room = 0;
    for (auto const end = std::chrono::steady_clock::now() + 3s; std::chrono::steady_clock::now() < end;) {
        if (capture.receive(batch, 100ms) == 0)
            continue;
        for (nr::packet_view const& packet : batch) {
            if (room == 0) {
                if (writer.is_open())
                    writer.close(); // tells of a full disk, which the destructor does not
                writer.open(nr::pcap::writer_options{name + '.' + std::to_string(files++) + ".pcapng"});
                room = 50;
            }
            writer.write(packet);
            --room;
        }
    }
    if (writer.is_open())
        writer.close();
    std::cout << files << " files\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
