#include "detail/network_namespace.hpp"
#include <netring_asio/interface.hpp>
#include <netring_asio/xdp_group.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace netring_asio {

xdp_group::xdp_group(xdp_options options)
    : options_{std::move(options)} {}

void xdp_group::attach() {
    auto const interfaces = list_interfaces(options_.network_namespace());
    auto const found = std::ranges::find_if(interfaces, [&](interface_info const& i) {
        return options_.interface_name().empty() ? i.index == options_.interface_index()
                                                 : i.name == options_.interface_name();
    });
    if (found == interfaces.end())
        throw system_error{error::no_such_interface, options_.interface_name()};
    auto opened = std::make_shared<afxdp::program>();
    error_code ec;
    error_code namespace_error;
    std::string context;
    detail::run_in_network_namespace(options_.network_namespace(), namespace_error,
                                     [&] { opened->open(found->name, found->index, options_, ec, context); });
    if (ec || namespace_error)
        throw system_error{ec ? ec : namespace_error, context};
    program_ = std::move(opened);
}

xdp_socket xdp_group::operator()(boost::asio::io_context& context, std::size_t shard) {
    if (!program_)
        attach();
    auto const queue = options_.first_queue() + static_cast<std::uint32_t>(shard);
    return xdp_socket{context, xdp_options{options_}.program(program_).queue(queue)};
}

} // namespace netring_asio
