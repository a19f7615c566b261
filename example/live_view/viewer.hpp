#pragma once

#include "observer.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <memory>
#include <string>
#include <utility>

namespace live_view {

/// A WebSocket that shows updates, and takes filter expressions as text.
class viewer : public std::enable_shared_from_this<viewer> {
public:
    using stream = boost::beast::websocket::stream<boost::beast::tcp_stream>;

    viewer(stream socket, observer& what);

    /// Until the viewer goes.
    net::awaitable<void> run();
    /// Replaces the update that is to be sent next.
    void show(std::shared_ptr<std::string const> update);

private:
    net::awaitable<void> send();
    void set_filter(std::string const& expression);

    stream socket_;
    observer& observer_;
    net::steady_timer wake_;
    std::shared_ptr<std::string const> update_;
    std::string answer_; // to the last expression
    bool gone_ = false;
};

} // namespace live_view
