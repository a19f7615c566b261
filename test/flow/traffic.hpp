#pragma once

#include "decode/craft.hpp"
#include <netring_asio/packet/packet_view.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <utility>
#include <vector>

namespace test {

using namespace std::chrono_literals;

inline constexpr netring_asio::timestamp epoch{std::chrono::seconds{1'700'000'000}};
inline constexpr unsigned fin = 1;
inline constexpr unsigned syn = 2;
inline constexpr unsigned rst = 4;
inline constexpr unsigned ack = 16;

/// Packets with their bytes, in time order as they were added.
struct traffic {
    void add(std::chrono::nanoseconds at, craft frame) {
        frames.push_back(std::move(frame));
        views.push_back(frames.back().view());
        views.back().time = epoch + at;
    }
    void tcp(std::chrono::nanoseconds at, bool from_client, unsigned flags, std::uint32_t sequence,
             std::uint32_t acknowledgment = 0, std::size_t payload = 0, unsigned client_port = 40000) {
        craft frame{payload};
        if (from_client)
            frame.tcp(client_port, 80, flags, sequence, acknowledgment).ipv4("10.0.0.9", "10.0.0.2", 6);
        else
            frame.tcp(80, client_port, flags, sequence, acknowledgment).ipv4("10.0.0.2", "10.0.0.9", 6);
        add(at, frame.ethernet(0x0800));
    }
    void udp(std::chrono::nanoseconds at, bool from_client, unsigned client_port = 40000) {
        craft frame{20};
        if (from_client)
            frame.udp(client_port, 53).ipv4("10.0.0.9", "10.0.0.2", 17);
        else
            frame.udp(53, client_port).ipv4("10.0.0.2", "10.0.0.9", 17);
        add(at, frame.ethernet(0x0800));
    }
    void handshake(std::chrono::nanoseconds at, unsigned client_port = 40000) {
        tcp(at, true, syn, 100, 0, 0, client_port);
        tcp(at + 1ms, false, syn | ack, 500, 101, 0, client_port);
        tcp(at + 2ms, true, ack, 101, 501, 0, client_port);
    }

    std::deque<craft> frames;
    std::vector<netring_asio::packet_view> views;
};

/// 32-bit numbers, whatever the library's engine calls its result.
struct random_numbers {
    std::uint32_t operator()() { return static_cast<std::uint32_t>(engine()); }
    std::mt19937 engine;
};

} // namespace test
