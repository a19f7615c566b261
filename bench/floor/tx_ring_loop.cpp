#include "../transmit/sender.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>

#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {
namespace {

constexpr std::size_t header_size = 48;
constexpr std::size_t ring_bytes = ring_frames * ring_frame_size;

void check(bool good, char const* what) {
    if (!good)
        throw std::system_error{errno, std::generic_category(), what};
}

} // namespace

void send_by_ring_loop(sending const& what) {
    int const socket = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    check(socket >= 0, "socket");
    int const version = TPACKET_V3, on = 1;
    check(::setsockopt(socket, SOL_PACKET, PACKET_VERSION, &version, sizeof version) == 0, "PACKET_VERSION");
    check(::setsockopt(socket, SOL_PACKET, PACKET_LOSS, &on, sizeof on) == 0, "PACKET_LOSS");
    if (what.bypass)
        check(::setsockopt(socket, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) == 0, "PACKET_QDISC_BYPASS");
    tpacket_req3 request{};
    request.tp_block_size = 1 << 18;
    request.tp_block_nr = ring_bytes >> 18;
    request.tp_frame_size = ring_frame_size;
    request.tp_frame_nr = ring_frames;
    check(::setsockopt(socket, SOL_PACKET, PACKET_TX_RING, &request, sizeof request) == 0, "PACKET_TX_RING");
    auto* const mapped = ::mmap(nullptr, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, socket, 0);
    check(mapped != MAP_FAILED, "mmap");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(::if_nametoindex(what.interface.c_str()));
    check(::bind(socket, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0, "bind");

    auto* const ring = static_cast<std::byte*>(mapped);
    auto const slot = [&](std::uint64_t number) { return ring + number % ring_frames * ring_frame_size; };
    auto const status = [](std::byte* at) { return std::atomic_ref{reinterpret_cast<tpacket3_hdr*>(at)->tp_status}; };
    frame_burst frames{what.length};
    for (std::uint64_t sent = 0; sent != what.count;) {
        auto const end = std::min(what.count, sent + burst);
        frames.number(sent);
        for (std::size_t i = 0; sent != end; ++sent, ++i) {
            auto* const at = slot(sent);
            if (status(at).load(std::memory_order_acquire) != TP_STATUS_AVAILABLE)
                break;
            std::memcpy(at + header_size, frames[i].data(), what.length);
            reinterpret_cast<tpacket3_hdr*>(at)->tp_len = static_cast<std::uint32_t>(what.length);
            status(at).store(TP_STATUS_SEND_REQUEST, std::memory_order_release);
        }
        ::sendto(socket, nullptr, 0, MSG_DONTWAIT, nullptr, 0);
        if (status(slot(sent)).load(std::memory_order_acquire) != TP_STATUS_AVAILABLE) {
            pollfd room{socket, POLLOUT, 0};
            ::poll(&room, 1, 1);
        }
    }
    while (status(slot(what.count + ring_frames - 1)).load(std::memory_order_acquire) != TP_STATUS_AVAILABLE)
        ::sendto(socket, nullptr, 0, 0, nullptr, 0);
    ::munmap(mapped, ring_bytes);
    ::close(socket);
}

} // namespace bench
