#pragma once

#include <netring_asio/afpacket/rx_ring.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <lab/eventually.hpp>
#include <lab/lab.hpp>
#include <lab/numbered.hpp>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace nr = netring_asio;

/// A small ring: 8 blocks of 64 KiB hold 454 frames of 60 bytes each.
inline nr::capture_options small(std::string interface = "right") {
    return nr::capture_options{std::move(interface)}.block_size(64 << 10).block_count(8).block_timeout(
        std::chrono::milliseconds{1});
}

/// A ring that loses nothing while a busy machine leaves the test alone for half a second.
inline nr::capture_options roomy() { return small().block_count(512); }

/// A ring on an interface of a network.
inline nr::afpacket::rx_ring open_ring(lab::network const& where, nr::capture_options const& options) {
    nr::afpacket::rx_ring ring;
    where.enter([&] { ring.open(options); });
    return ring;
}

inline nr::afpacket::rx_ring open_ring(lab::side const& side) { return open_ring(side, small(side.name())); }

inline std::vector<std::uint64_t> numbers_up_to(std::uint64_t end, std::uint64_t first = 0) {
    std::vector<std::uint64_t> numbers(end - first);
    std::iota(numbers.begin(), numbers.end(), first);
    return numbers;
}

inline void append_numbers(std::vector<std::uint64_t>& numbers, nr::packet_batch const& batch) {
    for (auto const packet : batch)
        if (auto const number = lab::frame_number(packet.data))
            numbers.push_back(*number);
}

/// Receives until `count` numbered frames came or none for half a second.
template <class Source>
std::vector<std::uint64_t> receive_numbers(Source& source, std::size_t count,
                                           std::chrono::milliseconds limit = std::chrono::milliseconds{500}) {
    std::vector<std::uint64_t> numbers;
    nr::packet_batch batch;
    nr::error_code ec;
    while (numbers.size() < count && source.receive(batch, limit, ec) != 0)
        append_numbers(numbers, batch);
    return numbers;
}

/// What the kernel lists as packet sockets of a namespace.
inline std::string packet_sockets(lab::network const& where) {
    return where.enter([] {
        std::ifstream file{"/proc/thread-self/net/packet"};
        return std::string{std::istreambuf_iterator<char>{file}, {}};
    });
}

inline std::ptrdiff_t packet_socket_count(lab::network const& where) {
    auto const text = packet_sockets(where);
    return std::count(text.begin(), text.end(), '\n') - 1;
}
