// lab_sender INTERFACE DESTINATION COUNT SIZE RATE [FIRST]: numbered frames of ethertype 0x88b5 through a plain socket.
#include <array>
#include <cstdio>
#include <exception>
#include <iostream>
#include <lab/numbered.hpp>
#include <string>

int main(int argc, char* argv[]) try {
    std::array<std::uint8_t, 6> to{};
    if (argc < 6 || std::sscanf(argv[2], "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &to[0], &to[1], &to[2], &to[3], &to[4],
                                &to[5]) != 6) {
        std::cerr << "usage: lab_sender INTERFACE DESTINATION COUNT SIZE RATE [FIRST]\n";
        return 2;
    }
    lab::numbered frames;
    frames.count = std::stoull(argv[3]);
    frames.size = std::stoull(argv[4]);
    frames.rate = std::stoull(argv[5]);
    frames.first = argc > 6 ? std::stoull(argv[6]) : 0;
    lab::send_numbered(argv[1], to, frames);
} catch (std::exception const& error) {
    std::cerr << "lab_sender: " << error.what() << '\n';
    return 1;
}
