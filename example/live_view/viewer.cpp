#include "viewer.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace live_view {

namespace beast = boost::beast;

namespace {
auto const no_throw = net::as_tuple(net::use_awaitable);
constexpr std::size_t longest_expression = 4096;
} // namespace

viewer::viewer(stream socket, observer& what)
    : socket_{std::move(socket)}
    , observer_{what}
    , wake_{socket_.get_executor(), net::steady_timer::time_point::max()} {
    socket_.read_message_max(longest_expression);
    socket_.set_option(beast::websocket::stream_base::timeout::suggested(beast::role_type::server));
}

net::awaitable<void> viewer::run() {
    net::co_spawn(socket_.get_executor(), [self = shared_from_this()] { return self->send(); }, net::detached);
    beast::flat_buffer buffer;
    for (;;) {
        auto const [error, size] = co_await socket_.async_read(buffer, no_throw);
        if (error)
            break;
        set_filter(beast::buffers_to_string(buffer.data()));
        buffer.consume(size);
    }
    gone_ = true;
    wake_.cancel();
}

void viewer::set_filter(std::string const& expression) {
    std::string wrong;
    try {
        observer_.set_filter(expression);
    } catch (nr::system_error const& e) {
        wrong = e.what();
    }
    answer_ = boost::json::serialize(boost::json::object{{"expression", expression}, {"error", wrong}});
    wake_.cancel();
}

void viewer::show(std::shared_ptr<std::string const> update) {
    update_ = std::move(update);
    wake_.cancel();
}

net::awaitable<void> viewer::send() {
    while (!gone_) {
        if (answer_.empty() && !update_) {
            co_await wake_.async_wait(no_throw);
            continue;
        }
        auto const update = answer_.empty() ? std::exchange(update_, {}) : nullptr;
        auto const answer = update ? std::string{} : std::exchange(answer_, {});
        auto const [error, size] = co_await socket_.async_write(net::buffer(update ? *update : answer), no_throw);
        if (error)
            co_return beast::close_socket(beast::get_lowest_layer(socket_));
    }
}

} // namespace live_view
