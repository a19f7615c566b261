#include "workload.hpp"

#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace bench {
namespace {

namespace endian = boost::endian;
using netring_asio::timestamp;

constexpr unsigned fin = 1;
constexpr unsigned syn = 2;
constexpr unsigned ack = 16;
constexpr std::uint16_t steps = 120;
constexpr std::chrono::nanoseconds packet_interval{100};

struct segment {
    bool from_client;
    unsigned flags;
    std::uint32_t sequence;
    std::uint32_t acknowledgment;
    std::uint16_t payload;
};

std::uint64_t scramble(std::uint64_t value) noexcept {
    value = (value ^ value >> 31) * 0x9e3779b97f4a7c15;
    value = (value ^ value >> 29) * 0xbf58476d1ce4e5b9;
    return value ^ value >> 32;
}

void put16(std::byte* at, std::uint64_t value) noexcept {
    endian::store_big_u16(reinterpret_cast<unsigned char*>(at), static_cast<std::uint16_t>(value));
}
void put32(std::byte* at, std::uint64_t value) noexcept {
    endian::store_big_u32(reinterpret_cast<unsigned char*>(at), static_cast<std::uint32_t>(value));
}
void put64(std::byte* at, std::uint64_t value) noexcept {
    endian::store_big_u64(reinterpret_cast<unsigned char*>(at), value);
}

/// Writes the frame's headers; returns its length on the wire.
std::uint16_t write(std::byte* frame, std::uint64_t connection, segment const& s) noexcept {
    auto const client = scramble(connection);
    auto const server = scramble(client % 5000);
    bool const is_v6 = (connection & 1) != 0;
    std::memset(frame, 0, 12);
    frame[0] = frame[6] = std::byte{2};
    put16(frame + 12, is_v6 ? 0x86dd : 0x0800);
    auto* const ip = frame + 14;
    std::byte* tcp = nullptr;
    if (is_v6) {
        put32(ip, 0x60000000);
        put16(ip + 4, 20U + s.payload);
        ip[6] = std::byte{6};
        ip[7] = std::byte{64};
        auto* const from = ip + (s.from_client ? 8 : 24);
        auto* const to = ip + (s.from_client ? 24 : 8);
        put64(from, 0x20010db800000000 | (client >> 48));
        put64(from + 8, client);
        put64(to, 0x20010db8ffff0000);
        put64(to + 8, server);
        tcp = ip + 40;
    } else {
        ip[0] = std::byte{0x45};
        ip[1] = {};
        put16(ip + 2, 40U + s.payload);
        put32(ip + 4, 0);
        ip[8] = std::byte{64};
        ip[9] = std::byte{6};
        put16(ip + 10, 0);
        put32(ip + (s.from_client ? 12 : 16), client >> 16);
        put32(ip + (s.from_client ? 16 : 12), server);
        tcp = ip + 20;
    }
    auto const port = 1024 + client % 60000;
    put16(tcp, s.from_client ? port : 443);
    put16(tcp + 2, s.from_client ? 443 : port);
    put32(tcp + 4, s.sequence);
    put32(tcp + 8, s.acknowledgment);
    tcp[12] = std::byte{0x50};
    tcp[13] = static_cast<std::byte>(s.flags);
    put16(tcp + 14, 0xffff);
    put32(tcp + 16, 0);
    return static_cast<std::uint16_t>(tcp + 20 - frame + s.payload);
}

} // namespace

void write_attempt(std::uint64_t n, std::byte* frame) noexcept {
    std::memset(frame, 0, 12);
    write(frame, 0, {true, syn, static_cast<std::uint32_t>(n), 0, 0});
    // All of the number is in the tuple, so no two are the same.
    put32(frame + 14 + 12, 0x0a000000 | (n & 0xffffff));
    put32(frame + 14 + 16, 0xac100000 | (n >> 24 & 0xff));
    put16(frame + 34, 1024 + n % 50000);
}

workload::workload(std::size_t connections, std::uint16_t payload)
    : slots_(connections)
    , payload_{payload}
    , time_{std::chrono::seconds{1'700'000'000}} {}

std::uint64_t workload::random() noexcept { return scramble(state_++); }

void workload::add(std::size_t at) {
    auto& s = slots_[at];
    segment p{true, ack, s.client_next, s.server_next, 0};
    auto const reply = [&p, &s] {
        p.from_client = false;
        p.sequence = s.server_next;
        p.acknowledgment = s.client_next;
    };
    auto const last = static_cast<std::uint16_t>(steps - 3);
    if (s.step == 0) {
        s.client_next = p.sequence = static_cast<std::uint32_t>(random());
        p.acknowledgment = 0;
        p.flags = syn;
        ++s.client_next;
    } else if (s.step == 1) {
        s.server_next = static_cast<std::uint32_t>(random());
        reply();
        p.flags = syn | ack;
        ++s.server_next;
    } else if (s.step == last) {
        p.flags = fin | ack;
        ++s.client_next;
    } else if (s.step == last + 1) {
        reply();
        p.flags = fin | ack;
        ++s.server_next;
    } else if (s.step > 2 && s.step < last) {
        // Two segments of the server to one acknowledgment of the client, and now and then a request.
        if (s.step % 3 != 0) {
            reply();
            p.payload = payload_;
            s.server_next += p.payload;
        } else if (s.step % 12 == 0) {
            p.payload = payload_ / 4;
            s.client_next += p.payload;
        }
    }
    auto const offset = offsets_.size() * stride;
    lengths_.push_back(write(frames_.data() + offset, (std::uint64_t{s.generation} << 32) + at, p));
    offsets_.push_back(offset);
    times_.push_back(time_ += packet_interval);
    if (++s.step == steps) {
        s.step = 0;
        ++s.generation;
    }
}

void workload::open(std::size_t first, std::size_t last) {
    frames_.resize(std::max(frames_.size(), (last - first) * 3 * stride));
    offsets_.clear();
    lengths_.clear();
    times_.clear();
    for (auto i = first; i != last; ++i) {
        for (int step = 0; step != 3; ++step)
            add(i);
        // As if it had gone on for a while.
        slots_[i].step = static_cast<std::uint16_t>(3 + random() % (steps - 3));
    }
}

void workload::generate(std::size_t count) {
    frames_.resize(std::max(frames_.size(), count * stride));
    offsets_.clear();
    lengths_.clear();
    times_.clear();
    for (std::size_t i = 0; i != count; ++i)
        add(random() % slots_.size());
}

netring_asio::packet_view workload::view(std::size_t at) const noexcept {
    netring_asio::packet_view result;
    result.data = {frames_.data() + offsets_[at], std::min<std::size_t>(lengths_[at], stride)};
    result.wire_length = lengths_[at];
    result.time = times_[at];
    return result;
}

} // namespace bench
