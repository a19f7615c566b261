#pragma once

#include <filter/frames.hpp>
#include <lab/lab.hpp>
#include <system_error>

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace frames {

/// Sends whole frames on one side, through one plain packet socket so that they come in quick succession.
class sender {
public:
    explicit sender(lab::side const& from)
        : socket_{from.enter([] { return ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); })} {
        to_.sll_family = AF_PACKET;
        to_.sll_ifindex = static_cast<int>(from.index());
    }
    ~sender() { ::close(socket_); }
    sender(sender const&) = delete;
    sender& operator=(sender const&) = delete;

    void operator()(bytes const& frame) const {
        if (::sendto(socket_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr const*>(&to_), sizeof to_) < 0)
            throw std::system_error{errno, std::generic_category(), "sendto"};
    }
    void operator()(std::vector<named> const& all) const {
        for (auto const& frame : all)
            (*this)(frame.data);
    }

private:
    int socket_;
    sockaddr_ll to_{};
};

} // namespace frames
