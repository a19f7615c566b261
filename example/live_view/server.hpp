#pragma once

#include "gate.hpp"
#include "observer.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <string>
#include <vector>

namespace live_view {

class viewer;

/// Serves the page, the updates that it shows over a WebSocket, and flows as capture files.
class server {
public:
    using tcp = net::ip::tcp;

    /// Listens at once.
    server(net::io_context& context, observer& what, tcp::endpoint const& at, std::string token);

    std::string address() const;

    /// Accepts viewers until it is cancelled.
    net::awaitable<void> accept();
    /// Shows every viewer how things stand, four times a second. One that is not done with the last update misses the
    /// next, and gets the one that is then the last: nothing waits for a slow viewer.
    net::awaitable<void> publish();

private:
    friend class connection;

    observer& observer_;
    gate gate_;
    tcp::acceptor acceptor_;
    std::vector<std::weak_ptr<viewer>> viewers_;
};

} // namespace live_view
