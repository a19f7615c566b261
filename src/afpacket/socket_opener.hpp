#pragma once

#include "../detail/unique_descriptor.hpp"
#include "device.hpp"
#include "ring_memory.hpp"
#include <netring_asio/error.hpp>

#include <cerrno>
#include <string>

#include <linux/if_packet.h>
#include <sys/socket.h>

namespace netring_asio::afpacket::detail {

/// Binds to the interface, or to all for index 0. Protocol 0 receives nothing.
NETRING_ASIO_API bool bind_packet_socket(int socket, int interface_index, unsigned short protocol) noexcept;

/// What opening a packet socket with a ring takes for either direction. Every step returns false and sets the error,
/// and what it is about, where it fails.
class socket_opener {
protected:
    explicit socket_opener(std::string& context)
        : context_{context} {}

    bool find_device(std::string const& name, int index, bool must_be_up, error_code& ec);
    /// Makes the socket of this type, or checks the one to take over.
    bool make_socket(int type, error_code& ec);
    /// Makes the ring and maps it: no memory is told by ENOMEM or EAGAIN.
    bool map_ring(int direction, tpacket_req3 const& request);

    bool fail(error_code& ec, error_code value, std::string context);
    bool fail_with_errno(error_code& ec, std::string context);

    template <class T>
    bool set(int level, int name, T const& value, error_code& ec, char const* context) {
        if (::setsockopt(socket_.get(), level, name, &value, sizeof value) == 0)
            return true;
        if (errno == ENOPROTOOPT || errno == EOPNOTSUPP)
            return fail(ec, error::unsupported_option, context);
        if (errno == EPERM)
            return fail(ec, error::missing_privilege, context + std::string{": needs CAP_NET_ADMIN"});
        return fail_with_errno(ec, context);
    }

    std::string& context_;
    unique_descriptor socket_;
    unique_descriptor link_events_;
    device device_;
    ring_memory memory_;
};

} // namespace netring_asio::afpacket::detail
