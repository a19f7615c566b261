#pragma once

#include "files.hpp"
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

/// A file of numbered packets, one each `gap` microseconds.
struct numbered_file {
    explicit numbered_file(std::uint32_t count, std::uint32_t gap = 0) {
        bytes = file.header();
        for (std::uint32_t i = 0; i != count; ++i)
            bytes += record(i, gap);
        files::write(path, bytes);
    }
    std::string record(std::uint32_t number, std::uint32_t gap = 0) const {
        auto const time = std::uint64_t{number} * gap;
        return file.packet(static_cast<std::uint32_t>(1000 + time / 1'000'000),
                           static_cast<std::uint32_t>(time % 1'000'000),
                           files::number(number, 4) + std::string(96, 'x'));
    }

    files::classic file;
    files::temporary_folder folder;
    files::fs::path path = folder / "numbered.pcap";
    std::string bytes;
};

inline std::uint32_t number_of(netring_asio::packet_view const& packet) {
    std::uint32_t number = 0;
    std::memcpy(&number, packet.data.data(), sizeof number);
    return number;
}

/// Collects the numbers of packets and sees that none is missing, repeated or out of order.
struct sequence {
    std::uint32_t next = 0;
    bool in_order = true;

    void operator()(netring_asio::packet_view const& packet) { in_order = number_of(packet) == next++ && in_order; }
    void operator()(netring_asio::packet_batch const& batch) {
        for (auto const& packet : batch)
            (*this)(packet);
    }
    void operator()(std::vector<netring_asio::owned_packet> const& packets) {
        for (auto const& packet : packets)
            (*this)(packet);
    }
};
