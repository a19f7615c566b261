// Writes packets to capture files of at most 1 MiB, for three seconds. Each is named after its first packet.

#include <netring_asio/capture.hpp>
#include <netring_asio/pcap/rotating_writer.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo", prefix = argc > 2 ? argv[2] : "packets";
    net::io_context context;
    nr::capture capture{context, nr::capture_options{interface}};
    nr::packet_batch batch;
    // tag::files[]
    nr::pcap::rotating_writer files{nr::pcap::rotation_options{prefix}.max_size(1 << 20).max_duration(1h)};
    for (auto const end = std::chrono::steady_clock::now() + 3s; std::chrono::steady_clock::now() < end;) {
        capture.receive(batch, 100ms);
        for (nr::packet_view const& packet : batch)
            files.write(packet);
    }
    files.close(); // tells of a full disk, which the destructor does not
    // end::files[]
    std::cout << files.files() << " files\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
