#include "sender.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {

void send_by_messages(sending const& what) {
    int const socket = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    int const on = 1;
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(::if_nametoindex(what.interface.c_str()));
    if (socket < 0 || ::bind(socket, reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0 ||
        (what.bypass && ::setsockopt(socket, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) != 0))
        throw std::system_error{errno, std::generic_category(), what.interface};

    frame_burst frames{what.length};
    std::array<iovec, burst> buffers{};
    std::array<mmsghdr, burst> messages{};
    for (std::size_t i = 0; i != burst; ++i) {
        buffers[i] = {frames[i].data(), what.length};
        messages[i].msg_hdr.msg_iov = &buffers[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (std::uint64_t sent = 0; sent != what.count;) {
        auto const count = static_cast<unsigned>(std::min<std::uint64_t>(burst, what.count - sent));
        frames.number(sent);
        auto const taken = ::sendmmsg(socket, messages.data(), count, 0);
        if (taken < 0 && errno != ENOBUFS)
            throw std::system_error{errno, std::generic_category(), "sendmmsg"};
        sent += static_cast<std::uint64_t>(std::max(taken, 0));
    }
    ::close(socket);
}

} // namespace bench
