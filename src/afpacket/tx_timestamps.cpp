#include "tx_timestamps.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

namespace netring_asio::afpacket::detail {
namespace {

template <class T>
T read(cmsghdr const& message) noexcept {
    T value;
    std::memcpy(&value, CMSG_DATA(&message), sizeof value);
    return value;
}

timestamp to_time(timespec const& time) noexcept {
    return timestamp{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}};
}

bool is_set(timespec const& time) noexcept { return time.tv_sec != 0 || time.tv_nsec != 0; }

} // namespace

bool tx_timestamps::take(int socket, tx_timestamp& stamp) const noexcept {
    if (!enabled())
        return false;
    for (;;) {
        alignas(cmsghdr) std::array<char, 256> control;
        msghdr message{};
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        if (::recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        scm_timestamping times{};
        sock_extended_err error{};
        for (auto* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
            if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPING)
                times = read<scm_timestamping>(*part);
            else if (part->cmsg_level == SOL_PACKET && part->cmsg_type == PACKET_TX_TIMESTAMP)
                error = read<sock_extended_err>(*part);
        }
        auto const& known = frames_[error.ee_data % frames_.size()];
        if (error.ee_origin != SO_EE_ORIGIN_TIMESTAMPING || known.key != error.ee_data)
            continue;
        bool const hardware = is_set(times.ts[2]);
        stamp = {known.frame, to_time(times.ts[hardware ? 2 : 0]),
                 hardware ? clock_source::hardware : clock_source::software};
        return true;
    }
}

} // namespace netring_asio::afpacket::detail
