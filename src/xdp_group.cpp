#include "afxdp/named_device.hpp"
#include "detail/network_namespace.hpp"
#include <netring_asio/xdp_group.hpp>

#include <string>
#include <utility>

namespace netring_asio {

xdp_group::xdp_group(xdp_options options)
    : options_{std::move(options)} {}

void xdp_group::attach() {
    auto opened = std::make_shared<afxdp::program>();
    error_code ec;
    error_code namespace_error;
    std::string context;
    detail::run_in_network_namespace(options_.network_namespace(), namespace_error, [&] {
        auto const found = afxdp::detail::find_device(options_, ec, context).device;
        if (!ec)
            opened->open(found.name, found.index, options_, ec, context);
    });
    if (namespace_error)
        throw system_error{namespace_error, "network namespace '" + options_.network_namespace() + "'"};
    if (ec)
        throw system_error{ec, context};
    program_ = std::move(opened);
}

xdp_socket xdp_group::operator()(boost::asio::io_context& context, std::size_t shard) {
    if (!program_)
        attach();
    auto const queue = options_.first_queue() + static_cast<std::uint32_t>(shard);
    return xdp_socket{context, xdp_options{options_}.program(program_).queue(queue)};
}

} // namespace netring_asio
