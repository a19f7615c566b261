#pragma once

#include <netring_asio/flow/event.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <arpa/inet.h>

namespace test {

/// The end of a flow, as a tracker would tell it; `n` makes flows differ.
inline netring_asio::flow::event ended_flow(unsigned n, bool ipv6, std::uint8_t protocol) {
    namespace flow = netring_asio::flow;
    flow::event e;
    e.kind = flow::event_kind::ended;
    e.reason = n % 2 == 0 ? flow::end_reason::fin : flow::end_reason::idle;
    auto const address = [ipv6](std::string const& text) {
        unsigned char bytes[16];
        inet_pton(ipv6 ? AF_INET6 : AF_INET, text.c_str(), bytes);
        return ipv6 ? netring_asio::decode::ip_address::from_v6(bytes)
                    : netring_asio::decode::ip_address::from_v4(bytes);
    };
    e.key.a = {address(ipv6 ? "2001:db8::1" : "10.0.0.1"), static_cast<std::uint16_t>(1000 + n)};
    e.key.b = {address(ipv6 ? "2001:db8::2" : "10.0.0.2"), 443};
    e.key.protocol = protocol;
    e.key.ip_version = ipv6 ? 6 : 4;
    e.orientation = n % 3 == 0 ? flow::orientation::b_to_a : flow::orientation::a_to_b;
    e.flow_id = n + 1;
    e.stats.first_time = netring_asio::timestamp{std::chrono::milliseconds{1'700'000'000'123 + n}};
    e.stats.last_time = e.stats.first_time + std::chrono::milliseconds{1500};
    e.time = e.stats.last_time;
    auto const fill = [&](flow::direction_stats& d, std::uint64_t packets) {
        d.packets = packets;
        d.payload_bytes = packets * 100;
        d.ip_bytes = packets * 140;
        d.wire_bytes = packets * 154;
        if (protocol == 6) {
            d.tcp_flags = 0x1b;
            d.initial_sequence = 4'000'000'000 + n;
            d.window_scale = std::uint8_t{7};
            d.missed_bytes = 3;
        }
    };
    fill(e.stats.forward, 10 + n);
    fill(e.stats.reverse, 20 + n);
    if (protocol == 6) {
        e.stats.state = flow::connection_state::sf;
        for (char const c : std::string{"ShADadFf"})
            e.stats.history.push_back(c);
    }
    return e;
}

inline std::vector<netring_asio::flow::event> ended_flows(unsigned count) {
    std::vector<netring_asio::flow::event> result;
    for (unsigned n = 0; n != count; ++n)
        result.push_back(ended_flow(n, n % 4 == 3, n % 5 == 4 ? 17 : 6));
    return result;
}

} // namespace test
