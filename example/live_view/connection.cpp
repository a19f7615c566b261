#include "connection.hpp"

#include "page.hpp"
#include "viewer.hpp"

#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/file_posix.hpp>
#include <boost/beast/http/file_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <system_error>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace live_view {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

using file_response = http::response<http::basic_file_body<beast::file_posix>>;

template <class Response>
Response make_response(http::status status, std::string_view type) {
    Response response{status, 11};
    response.set(http::field::content_type, type);
    response.set(http::field::cache_control, "no-store");
    response.set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'");
    response.set("X-Content-Type-Options", "nosniff");
    return response;
}

http::response<http::string_body> make_text(http::status status, std::string_view type, std::string_view body) {
    auto response = make_response<http::response<http::string_body>>(status, type);
    response.body() = body;
    return response;
}

http::message_generator finish(auto response, bool keep_alive) {
    response.keep_alive(keep_alive);
    response.prepare_payload();
    return response;
}

/// The numbers of `flows=1,2,3`.
std::vector<std::uint64_t> flows_of(std::string_view query) {
    std::vector<std::uint64_t> result;
    auto const begin = query.find("flows=");
    if (begin == std::string_view::npos)
        return result;
    auto const* at = query.data() + begin + 6;
    auto const* const end = query.data() + query.size();
    for (std::uint64_t number = 0;; ++at) {
        auto const [next, wrong] = std::from_chars(at, end, number);
        if (wrong != std::errc{})
            return result;
        result.push_back(number);
        at = next;
        if (at == end || *at != ',')
            return result;
    }
}

/// A file that nobody else sees, and that vanishes with its last descriptor.
beast::file_posix make_file() {
    beast::file_posix file;
    file.native_handle(::memfd_create("flows", MFD_CLOEXEC));
    if (!file.is_open())
        throw std::system_error{errno, std::system_category(), "memfd_create"};
    return file;
}

} // namespace

connection::connection(server::tcp::socket socket, server& of)
    : stream_{std::move(socket)}
    , server_{of} {}

net::awaitable<void> connection::run() {
    for (;;) {
        http::request_parser<http::string_body> parser;
        parser.body_limit(0);
        stream_.expires_after(std::chrono::seconds{30});
        co_await http::async_read(stream_, buffer_, parser, net::use_awaitable);
        auto const asked = parser.release();
        if (beast::websocket::is_upgrade(asked) && asked.target().starts_with("/updates") &&
            server_.gate_.admits(asked))
            co_return co_await become_viewer(asked);
        auto response = respond(asked);
        auto const keep_alive = response.keep_alive();
        co_await beast::async_write(stream_, std::move(response), net::use_awaitable);
        if (!keep_alive)
            break;
    }
    stream_.socket().shutdown(server::tcp::socket::shutdown_send);
}

http::message_generator connection::respond(request const& asked) const {
    if (!server_.gate_.admits(asked))
        return finish(make_text(http::status::forbidden, "text/plain",
                                "Open the address that live_view printed, with its token.\n"),
                      false);
    if (asked.method() != http::verb::get)
        return finish(make_text(http::status::method_not_allowed, "text/plain", "GET only\n"), false);
    std::string_view const path{asked.target().data(), std::min(asked.target().find('?'), asked.target().size())};
    if (path == "/flows.pcap")
        return saved_flows(asked);
    for (auto const& file : page::files) {
        if (file.path != path)
            continue;
        auto response = make_text(http::status::ok, file.type, file.content);
        if (auto const& token = server_.gate_.token(); !token.empty())
            response.set(http::field::set_cookie,
                         std::string{gate::cookie} + '=' + token + "; HttpOnly; SameSite=Strict");
        return finish(std::move(response), asked.keep_alive());
    }
    return finish(make_text(http::status::not_found, "text/plain", "There is no such page.\n"), asked.keep_alive());
}

http::message_generator connection::saved_flows(request const& asked) const {
    auto file = make_file();
    auto const wanted = flows_of(asked.target());
    server_.observer_.save(wanted, ::dup(file.native_handle()));
    auto response = make_response<file_response>(http::status::ok, "application/vnd.tcpdump.pcap");
    response.set(http::field::content_disposition, "attachment; filename=\"flows.pcap\"");
    boost::system::error_code error;
    file.seek(0, error);
    response.body().reset(std::move(file), error);
    if (error)
        throw nr::system_error{error, "flows.pcap"};
    return finish(std::move(response), asked.keep_alive());
}

net::awaitable<void> connection::become_viewer(request const& asked) {
    stream_.expires_never(); // a WebSocket has time limits of its own
    viewer::stream socket{std::move(stream_)};
    co_await socket.async_accept(asked, net::use_awaitable);
    auto const shown = std::make_shared<viewer>(std::move(socket), server_.observer_);
    server_.viewers_.push_back(shown);
    co_await shown->run();
}

} // namespace live_view
