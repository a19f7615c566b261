#pragma once

#include "decode/craft.hpp"
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/packet/packet_owner.hpp>
#include <netring_asio/subscription/engine.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

namespace nr = netring_asio;
namespace sub = netring_asio::subscription;
using namespace std::chrono_literals;

inline constexpr unsigned fin = 1, syn = 2, rst = 4, ack = 16;

/// Packets of conversations between 10.0.0.1 and 10.0.0.2. Each frame's number is its place.
struct wire {
    void packet(craft frame, std::chrono::nanoseconds after = 1ms) {
        frames.push_back(std::move(frame));
        now += after;
        views.push_back(frames.back().view());
        views.back().time = now;
    }
    std::size_t number_of(nr::packet_view const& p) const {
        return static_cast<std::size_t>(
            std::ranges::find(views, p.data.data(), [](auto const& v) { return v.data.data(); }) - views.begin());
    }

    struct tcp {
        wire& on;
        unsigned client;
        unsigned server;
        std::uint32_t next[2] = {1000, 5000};

        craft make(int side, std::string_view bytes, unsigned flags = ack) {
            auto frame = craft{bytes}
                             .tcp(side == 0 ? client : server, side == 0 ? server : client, flags, next[side],
                                  (flags & ack) != 0 ? next[1 - side] : 0)
                             .ipv4(side == 0 ? "10.0.0.1" : "10.0.0.2", side == 0 ? "10.0.0.2" : "10.0.0.1", 6)
                             .ethernet(0x0800);
            next[side] += static_cast<std::uint32_t>(bytes.size()) + ((flags & (syn | fin)) != 0 ? 1 : 0);
            return frame;
        }
        tcp& send(int side, std::string_view bytes, unsigned flags = ack) {
            on.packet(make(side, bytes, flags));
            return *this;
        }
        tcp& open() { return send(0, "", syn).send(1, "", syn | ack).send(0, ""); }
        tcp& close() { return send(0, "", fin | ack).send(1, "", fin | ack).send(0, ""); }
    };
    tcp connection(unsigned client, unsigned server) { return {*this, client, server}; }

    void udp(bool from_client, unsigned client, unsigned server, std::string_view bytes) {
        packet(craft{bytes}
                   .udp(from_client ? client : server, from_client ? server : client)
                   .ipv4(from_client ? "10.0.0.1" : "10.0.0.2", from_client ? "10.0.0.2" : "10.0.0.1", 17)
                   .ethernet(0x0800));
    }

    std::deque<craft> frames;
    std::vector<nr::packet_view> views;
    nr::timestamp now{std::chrono::seconds{1'700'000'000}};
};

/// Memory of packets that counts how often it came back, and lets only so many be held without a copy.
struct ledger final : nr::packet_owner {
    void recycle() noexcept override { ++recycled; }
    nr::frame hold(nr::packet_view const& p) override {
        if (held++ < budget)
            return nr::packet_owner::hold(p);
        return {p, nr::packet_owner_ptr{&copies}, true};
    }
    struct copy_memory final : nr::packet_owner {
        void recycle() noexcept override { ++recycled; }
        int recycled = 0;
    };
    copy_memory copies;
    std::size_t budget = ~std::size_t{};
    std::size_t held = 0;
    int recycled = 0;
};

/// Gives an engine packets, so many at a time.
inline void track(sub::engine& engine, std::span<nr::packet_view const> packets, nr::packet_owner& owner,
                  std::size_t batch = 1000) {
    sub::engine::event_list filled;
    for (std::size_t i = 0; i < packets.size(); i += batch) {
        nr::packet_batch const some{packets.subspan(i, std::min(batch, packets.size() - i)),
                                    nr::packet_owner_ptr{&owner}};
        engine.track(some, filled);
    }
}
inline void flush(sub::engine& engine) {
    sub::engine::event_list filled;
    while (engine.flush(filled)) {
    }
}

} // namespace test
