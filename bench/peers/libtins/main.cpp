// Takes the frames of a capture file apart with libtins, and follows their TCP streams, all but the first COUNT frames
// measured: peer.libtins FILE COUNT. Prints CPU nanoseconds a packet of decoding, and of both.

#include "../../measure.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <tins/ethernetII.h>
#include <tins/packet.h>
#include <tins/tcp_ip/stream_follower.h>
#include <vector>

int main(int argc, char** argv) {
    if (argc != 3)
        return EXIT_FAILURE;
    std::ifstream in{argv[1], std::ios::binary};
    std::string const file{std::istreambuf_iterator<char>{in}, {}};
    auto const unmeasured = std::stoul(argv[2]);

    std::uint64_t streams = 0;
    std::uint64_t bytes = 0;
    Tins::TCPIP::StreamFollower follower;
    follower.new_stream_callback([&](Tins::TCPIP::Stream& stream) {
        ++streams;
        stream.auto_cleanup_payloads(true);
        stream.client_data_callback([&](Tins::TCPIP::Stream& s) { bytes += s.client_payload().size(); });
        stream.server_data_callback([&](Tins::TCPIP::Stream& s) { bytes += s.server_payload().size(); });
    });
    auto const word = [&file](std::size_t at) {
        std::uint32_t value = 0;
        std::memcpy(&value, file.data() + at, sizeof value);
        return value;
    };
    auto const run = [&](bool follow) {
        std::size_t count = 0;
        auto before = bench::thread_cpu_time();
        for (std::size_t at = 24; at < file.size(); ++count) {
            if (count == unmeasured)
                before = bench::thread_cpu_time();
            auto const length = word(at + 8);
            auto const time = std::chrono::microseconds{std::uint64_t{word(at)} * 1'000'000 + word(at + 4) / 1000};
            Tins::EthernetII frame{reinterpret_cast<std::uint8_t const*>(file.data()) + at + 16, length};
            at += 16 + length;
            bytes += frame.size();
            if (follow) {
                Tins::Packet packet{std::move(frame), Tins::Timestamp{time}};
                follower.process_packet(packet);
            }
        }
        return (bench::thread_cpu_time() - before).count() / static_cast<double>(count - unmeasured);
    };
    auto const extraction = run(false);
    auto const tracking = run(true);
    std::cerr << streams << " streams, " << bytes << " bytes\n";
    std::cout << extraction << ' ' << tracking << '\n';
}
