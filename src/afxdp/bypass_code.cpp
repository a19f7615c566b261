#include "bypass_code.hpp"

#include <cstddef>

#include <linux/if_ether.h>
#include <netinet/in.h>

namespace netring_asio::afxdp::detail {
void skip_bypassed(ebpf_assembler& out, int map, bypass_registers const& in, ebpf_assembler::label passed) {
    constexpr std::uint8_t frame = 10;
    constexpr int key_at = -static_cast<int>(sizeof(bypass_direction));
    constexpr auto field = [](std::size_t offset) { return key_at + static_cast<int>(offset); };

    constexpr int source_at = field(offsetof(bypass_direction, source));
    constexpr int destination_at = field(offsetof(bypass_direction, destination));
    constexpr int ports_at = field(offsetof(bypass_direction, ports));
    constexpr int protocol_at = field(offsetof(bypass_direction, protocol));

    constexpr int md_data_end = 4;
    constexpr int network_at = ETH_HLEN;
    constexpr int ipv4_size = 20, ipv6_size = 40, ports_size = 4, tcp_flags_at = 13;
    constexpr int fin_syn_rst = 7;

    auto const other = out.make_label();
    auto const ipv6 = out.make_label();
    auto const transport = out.make_label();
    auto const look = out.make_label();
    auto const ended = out.make_label();
    constexpr std::uint8_t end = 1, value = 4, protocol = 5;
    auto const ports = in.other;
    auto const in_network_order = [](int number) {
        return static_cast<std::int32_t>(htons(static_cast<std::uint16_t>(number)));
    };
    auto const needs = [&](std::uint8_t base, int size) {
        out.move(2, base);
        out.add(2, size);
        out.branch(BPF_JMP | BPF_JGT | BPF_X, 2, end, 0, other);
    };
    auto const copy = [&](int from, int to, int size) {
        for (int i = 0; i != size; i += 4) {
            out.load(BPF_W, value, in.data, from + i);
            out.store(BPF_W, frame, to + i, value);
        }
    };

    auto const look_up = [&] {
        out.load_map(1, map);
        out.move(2, frame);
        out.add(2, key_at);
        out.call(BPF_FUNC_map_lookup_elem);
    };
    auto const stop = [&] {
        out.set(1, 0);
        out.store(BPF_DW, 0, offsetof(bypass_times, until), 1);
    };
    auto const exchange = [&](unsigned width, int one, int another) {
        out.load(width, value, frame, one);
        out.load(width, protocol, frame, another);
        out.store(width, frame, one, protocol);
        out.store(width, frame, another, value);
    };

    out.load(BPF_W, end, in.context, md_data_end);
    needs(in.data, network_at + ipv4_size + ports_size);
    out.set(value, 0);
    for (int i = key_at; i != 0; i += 8)
        out.store(BPF_DW, frame, i, value);
    out.load(BPF_H, value, in.data, offsetof(ethhdr, h_proto));
    out.branch(BPF_JMP | BPF_JEQ | BPF_K, value, 0, in_network_order(ETH_P_IPV6), ipv6);
    out.branch(BPF_JMP | BPF_JNE | BPF_K, value, 0, in_network_order(ETH_P_IP), other);

    out.load(BPF_B, value, in.data, network_at);
    out.branch(BPF_JMP | BPF_JNE | BPF_K, value, 0, 0x45, other);
    out.load(BPF_H, value, in.data, network_at + 6);
    out.branch(BPF_JMP | BPF_JSET | BPF_K, value, 0, in_network_order(0x3fff), other);
    out.load(BPF_B, protocol, in.data, network_at + 9);
    out.set32(value, 0xffff);
    out.store(BPF_H, frame, source_at + 10, value);
    out.store(BPF_H, frame, destination_at + 10, value);
    copy(network_at + 12, source_at + 12, 4);
    copy(network_at + 16, destination_at + 12, 4);
    out.move(ports, in.data);
    out.add(ports, network_at + ipv4_size);
    out.jump(transport);

    out.place(ipv6);
    needs(in.data, network_at + ipv6_size + ports_size);
    out.load(BPF_B, protocol, in.data, network_at + 6);
    copy(network_at + 8, source_at, 32);
    out.move(ports, in.data);
    out.add(ports, network_at + ipv6_size);

    out.place(transport);
    out.load(BPF_W, value, ports, 0);
    out.store(BPF_W, frame, ports_at, value);
    out.store(BPF_B, frame, protocol_at, protocol);
    out.branch(BPF_JMP | BPF_JEQ | BPF_K, protocol, 0, IPPROTO_UDP, look);
    out.branch(BPF_JMP | BPF_JNE | BPF_K, protocol, 0, IPPROTO_TCP, other);
    needs(ports, tcp_flags_at + 1);
    out.load(BPF_B, value, ports, tcp_flags_at);
    out.branch(BPF_JMP | BPF_JSET | BPF_K, value, 0, fin_syn_rst, ended);

    out.place(look);
    look_up();
    out.branch(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0, other);
    out.move(in.spare, 0);
    out.call(BPF_FUNC_ktime_get_ns);
    out.load(BPF_DW, value, in.spare, offsetof(bypass_times, until));
    out.branch(BPF_JMP | BPF_JGT | BPF_X, 0, value, 0, other);
    out.store(BPF_DW, in.spare, offsetof(bypass_times, last), 0);
    out.jump(passed);

    // Neither direction passes any more: what follows in the queue may be of the next connection.
    out.place(ended);
    look_up();
    out.branch(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0, other);
    stop();
    for (int i = 0; i != 16; i += 8)
        exchange(BPF_DW, source_at + i, destination_at + i);
    exchange(BPF_H, ports_at, ports_at + 2);
    look_up();
    out.branch(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0, other);
    stop();
    out.place(other);
}

} // namespace netring_asio::afxdp::detail
