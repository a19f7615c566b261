#include "named_device.hpp"

#include <cerrno>

#include <sys/socket.h>

namespace netring_asio::afxdp::detail {

named_device find_device(xdp_options const& options, error_code& ec, std::string& context) {
    named_device result;
    context = "socket";
    result.control.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!result.control) {
        ec = {errno, boost::system::system_category()};
        if (ec == boost::system::errc::operation_not_permitted)
            ec = error::missing_privilege;
        return result;
    }
    auto const& name = options.interface_name();
    context = "interface '" + (name.empty() ? std::to_string(options.interface_index()) : name) + "'";
    result.device = name.empty() ? afpacket::detail::find_device(result.control.get(), options.interface_index(), ec)
                                 : afpacket::detail::find_device(result.control.get(), name, ec);
    return result;
}

} // namespace netring_asio::afxdp::detail
