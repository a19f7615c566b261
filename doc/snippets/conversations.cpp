// What the page on sessions shows of conversations, several consumers and recording.
#include <netring_asio/broadcast.hpp>
#include <netring_asio/capture.hpp>
#include <netring_asio/conversation_stream.hpp>
#include <netring_asio/deduplicated.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session_stream.hpp>
#include <netring_asio/tapped.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <chrono>
#include <utility>

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

namespace snippets {

using info_type = nr::conversation_stream<nr::capture>::info_type;
net::posix::stream_descriptor& file_of(info_type const& info, nr::session::side side);

net::awaitable<void> read(nr::capture capture) {
    nr::conversation_stream conversations{nr::flow_stream{std::move(capture)}, nr::conversation_options{}.ports({80})};
    decltype(conversations)::conversation conversation;
    co_await conversations.async_accept(conversation, net::use_awaitable);
    auto client = conversation.initiator();
    beast::flat_buffer buffer;
    http::request<http::string_body> request;
    co_await http::async_read(client, buffer, request, net::use_awaitable);
}

net::awaitable<void> keep(nr::conversation_stream<nr::capture>& conversations) {
    co_await conversations.async_consume(
        [](info_type const& info, nr::session::side side) {
            return [&file = file_of(info, side)](nr::chunk const& c) -> net::awaitable<void> {
                co_await net::async_write(file, net::buffer(c.bytes.data(), c.bytes.size()), net::use_awaitable);
            };
        },
        net::use_awaitable);
}

net::awaitable<void> share(nr::flow_stream<nr::capture> flows) {
    nr::broadcast events{std::move(flows)};
    auto log = events.subscribe();
    auto alerts = events.subscribe();
    decltype(log)::event_batch batch;
    co_await log.async_receive(batch, net::use_awaitable);
}

void record(nr::capture capture) {
    nr::pcap::recorder_options const files{nr::pcap::rotation_options{"/var/log/web"}.max_duration(1h)};
    nr::flow_stream flows{nr::tapped{nr::deduplicated{std::move(capture)}, files}};
    nr::session_stream sessions{std::move(flows), nr::session::use{nr::session::http1_parser{}}};
    auto const written = sessions.source().recorder().statistics().written;
    static_cast<void>(written);
}

} // namespace snippets
