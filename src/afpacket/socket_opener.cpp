#include "socket_opener.hpp"

#include <utility>

#include <arpa/inet.h>
#include <sys/mman.h>

namespace netring_asio::afpacket::detail {

bool bind_packet_socket(int socket, int interface_index, unsigned short protocol) noexcept {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    address.sll_ifindex = interface_index;
    return ::bind(socket, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0;
}

bool socket_opener::find_device(std::string const& name, int index, bool must_be_up, error_code& ec) {
    // A plain socket answers for the devices; the packet socket's type depends on what they say. One that is taken over
    // may be of another namespace than this thread.
    unique_descriptor const asking{socket_ ? -1 : ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (!asking && !socket_)
        return fail_with_errno(ec, "socket");
    auto const ask = socket_ ? socket_.get() : asking.get();
    device_ = name.empty() ? detail::find_device(ask, index, ec) : detail::find_device(ask, name, ec);
    if (ec)
        return fail(ec, ec, "interface '" + (name.empty() ? std::to_string(index) : name) + "'");
    if (must_be_up && query_link(ask, device_.index) == link_state::down)
        return fail(ec, error::interface_down, "interface '" + device_.name + "'");
    link_events_ = open_link_events(ec);
    return !ec || fail(ec, ec, "netlink");
}

bool socket_opener::make_socket(int type, error_code& ec) {
    if (socket_) {
        int actual = 0;
        socklen_t length = sizeof actual;
        if (::getsockopt(socket_.get(), SOL_SOCKET, SO_TYPE, &actual, &length) != 0)
            return fail_with_errno(ec, "assign");
        if (actual != type)
            return fail(ec, error::unsupported_link_type,
                        type == SOCK_DGRAM ? "assign: this interface needs a SOCK_DGRAM socket"
                                           : "assign: SOCK_RAW is needed");
        return true;
    }
    socket_.reset(::socket(AF_PACKET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket_)
        return errno == EPERM ? fail(ec, error::missing_privilege, "socket") : fail_with_errno(ec, "socket");
    return true;
}

bool socket_opener::map_ring(int direction, tpacket_req3 const& request) {
    if (::setsockopt(socket_.get(), SOL_PACKET, direction, &request, sizeof request) != 0)
        return false;
    auto const size = std::size_t{request.tp_block_size} * request.tp_block_nr;
    auto* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, socket_.get(), 0);
    if (mapped != MAP_FAILED) {
        memory_ = {static_cast<std::byte*>(mapped), size};
        return true;
    }
    auto const code = errno;
    tpacket_req3 const none{};
    ::setsockopt(socket_.get(), SOL_PACKET, direction, &none, sizeof none);
    errno = code;
    return false;
}

bool socket_opener::fail(error_code& ec, error_code value, std::string context) {
    ec = value;
    context_ = std::move(context);
    return false;
}

bool socket_opener::fail_with_errno(error_code& ec, std::string context) {
    return fail(ec, error_code{errno, boost::system::system_category()}, std::move(context));
}

} // namespace netring_asio::afpacket::detail
