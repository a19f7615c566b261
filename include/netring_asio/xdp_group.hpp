#pragma once

#include <netring_asio/afxdp/program.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/xdp_options.hpp>
#include <netring_asio/xdp_socket.hpp>

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <memory>

namespace netring_asio {

/// Opens the sockets of `shards` over AF_XDP: one for each queue of an interface from the first that the options name,
/// under one program. There may be no more shards than queues; what comes on other queues passes to the stack.
///
/// Which packets share a queue is the device's hashing (`ethtool -x`, `-n`), and for fragments and tunnels often not
/// that of their flow; `shards::statistics(index)` tells how it shares them. What is asked of the program itself,
/// `set_filter` for instance, is not for the single sockets. The program is detached with the last of them.
class NETRING_ASIO_API xdp_group {
public:
    explicit xdp_group(xdp_options options);

    /// Opens the socket of a shard.
    ///
    /// @par Errors
    /// Those of `xdp_socket::open`, thrown.
    xdp_socket operator()(boost::asio::io_context& context, std::size_t shard);

private:
    void attach();

    xdp_options options_;
    std::shared_ptr<afxdp::program> program_;
};

} // namespace netring_asio
