#include "server.hpp"

#include "connection.hpp"
#include "viewer.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <sstream>

namespace live_view {

server::server(net::io_context& context, observer& what, tcp::endpoint const& at, std::string token)
    : observer_{what}
    , gate_{at.address(), std::move(token)}
    , acceptor_{context, at} {}

std::string server::address() const {
    std::ostringstream out;
    out << "http://" << acceptor_.local_endpoint() << '/' << gate_.query();
    return std::move(out).str();
}

net::awaitable<void> server::accept() {
    for (;;) {
        auto [error, socket] = co_await acceptor_.async_accept(net::as_tuple(net::use_awaitable));
        if (error == net::error::operation_aborted)
            co_return;
        if (error) { // too many descriptors, or a caller who hung up
            net::steady_timer pause{acceptor_.get_executor(), std::chrono::milliseconds{100}};
            co_await pause.async_wait(net::use_awaitable);
            continue;
        }
        auto const caller = std::make_shared<connection>(std::move(socket), *this);
        net::co_spawn(
            acceptor_.get_executor(), [caller] { return caller->run(); },
            net::detached); // whatever ends a connection is the caller's affair
    }
}

net::awaitable<void> server::publish() {
    net::steady_timer timer{acceptor_.get_executor()};
    for (;;) {
        timer.expires_after(std::chrono::milliseconds{250});
        co_await timer.async_wait(net::use_awaitable);
        observer_.tick();
        std::erase_if(viewers_, [](std::weak_ptr<viewer> const& one) { return one.expired(); });
        if (viewers_.empty())
            continue;
        auto const update = std::make_shared<std::string const>(boost::json::serialize(observer_.state()));
        for (auto const& one : viewers_)
            if (auto const shown = one.lock())
                shown->show(update);
    }
}

} // namespace live_view
