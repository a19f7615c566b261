#pragma once

#include "server.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>

#include <string>
#include <string_view>

namespace live_view {

/// Answers requests until one asks for updates, which then are sent.
class connection {
public:
    connection(server::tcp::socket socket, server& of);
    net::awaitable<void> run();

private:
    using request = boost::beast::http::request<boost::beast::http::string_body>;

    boost::beast::http::message_generator respond(request const& asked) const;
    boost::beast::http::message_generator saved_flows(request const& asked) const;
    net::awaitable<void> become_viewer(request const& asked);

    boost::beast::tcp_stream stream_;
    boost::beast::flat_buffer buffer_;
    server& server_;
};

} // namespace live_view
