#pragma once

#include "decode/craft.hpp"
#include "stream/memory_source.hpp"
#include <netring_asio/flow_stream.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

using namespace std::chrono_literals;

constexpr nr::timestamp wire_epoch{std::chrono::seconds{1'700'000'000}};
constexpr unsigned syn = 2, ack = 16, fin = 1, rst = 4;

/// Packets of conversations, for a stream to read.
struct wire {
    void packet(test::craft frame, std::chrono::nanoseconds after = 1ms) {
        frames.push_back(std::move(frame));
        now += after;
        auto view = frames.back().view();
        view.time = now;
        store->batches.push_back({view});
    }

    struct tcp {
        wire& on;
        unsigned client;
        unsigned server;
        std::uint32_t next[2] = {1000, 5000};

        void send(int side, std::string_view bytes, unsigned flags = ack) {
            auto frame = test::craft{bytes}
                             .tcp(side == 0 ? client : server, side == 0 ? server : client, flags, next[side],
                                  (flags & ack) != 0 ? next[1 - side] : 0)
                             .ipv4(side == 0 ? "10.0.0.1" : "10.0.0.2", side == 0 ? "10.0.0.2" : "10.0.0.1", 6)
                             .ethernet(0x0800);
            next[side] += static_cast<std::uint32_t>(bytes.size()) + ((flags & (syn | fin)) != 0 ? 1 : 0);
            on.packet(std::move(frame));
        }
        void open() {
            send(0, "", syn);
            send(1, "", syn | ack);
            send(0, "");
        }
        void close() {
            send(0, "", fin | ack);
            send(1, "", fin | ack);
            send(0, "");
        }
    };
    tcp connection(unsigned client, unsigned server) { return {*this, client, server}; }

    void udp(bool from_client, unsigned client, unsigned server, std::string_view bytes) {
        packet(test::craft{bytes}
                   .udp(from_client ? client : server, from_client ? server : client)
                   .ipv4(from_client ? "10.0.0.1" : "10.0.0.2", from_client ? "10.0.0.2" : "10.0.0.1", 17)
                   .ethernet(0x0800));
    }

    auto flows() { return nr::flow_stream{test::memory_source<>{context.get_executor(), store}}; }

    /// All events, a line each, without time.
    template <class Stream>
    std::vector<std::string> all(Stream stream) {
        std::vector<std::string> lines;
        typename Stream::event_batch events;
        nr::error_code result;
        while (!result) {
            stream.async_receive(events, [&](nr::error_code error, std::size_t) { result = error; });
            context.restart();
            context.run();
            for (auto const& e : events) {
                std::ostringstream out;
                out << e;
                lines.push_back(out.str().substr(27));
            }
        }
        BOOST_TEST(result == net::error::eof);
        return lines;
    }

    net::io_context context{1};
    std::shared_ptr<test::packet_store> store = std::make_shared<test::packet_store>();
    std::deque<test::craft> frames;
    nr::timestamp now = wire_epoch;
};

} // namespace test
