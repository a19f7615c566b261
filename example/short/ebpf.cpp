// Attaches an eBPF program of one's own to the socket of a capture: this one lets every second packet through.
#include <netring_asio/capture.hpp>

#include <boost/asio/io_context.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <string>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/socket.h>
#include <unistd.h>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

/// What clang makes of `static int n; return n++ & 1 ? 65535 : 0;`, with the count in an array of one element.
int load(int map) {
    std::array<bpf_insn, 13> const program{{
        {BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0},                      // *(u32*)(fp - 4) = 0
        {BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0},                    // r2 = fp
        {BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4},                    // r2 -= 4
        {BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map},     // r1 = the map
        {0, 0, 0, 0, 0},                                               // (second half)
        {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem},       // r0 = its element
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 5, 0},                       // if none, return 0
        {BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 1},                     // r1 = 1
        {BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD | BPF_FETCH}, // r1 = element, element += 1
        {BPF_ALU64 | BPF_AND | BPF_K, 1, 0, 0, 1},                     // r1 &= 1
        {BPF_ALU64 | BPF_MUL | BPF_K, 1, 0, 0, 65535},                 // r1 *= 65535
        {BPF_ALU64 | BPF_MOV | BPF_X, 0, 1, 0, 0},                     // r0 = r1
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    }};
    return bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "every_second", "GPL", program.data(), program.size(), nullptr);
}

int main(int argc, char** argv) try {
    net::io_context context;
    nr::capture capture{context, nr::capture_options{argc > 1 ? argv[1] : "lo"}};
    // tag::attach[]
    int const map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "count", 4, 8, 1, nullptr);
    int const program = load(map);
    if (program < 0 || ::setsockopt(capture.native_handle(), SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof program) != 0)
        throw std::system_error{errno, std::system_category(), "eBPF program"};
    // end::attach[]
    std::cout << "capturing" << std::endl;
    std::size_t packets = 0;
    nr::packet_batch batch;
    while (auto const received = capture.receive(batch, 3s)) // 0: nothing came for 3 s
        packets += received;
    std::cout << packets << " packets\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
