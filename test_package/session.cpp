#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/tls.hpp>

#include <iostream>
#include <span>
#include <string_view>

namespace session = netring_asio::session;

namespace {

struct print final : session::output<session::http1_parser::message_type> {
    void operator()(session::side, session::http1::message&& message) override {
        std::visit([](auto const& m) { std::cout << m << '\n'; }, message);
        ++messages;
    }
    int messages = 0;
};

} // namespace

int main() {
    session::http1_parser parser;
    print out;
    std::string_view const text = "GET / HTTP/1.1\r\n\r\n";
    auto const error =
        parser.feed(session::side::initiator, std::as_bytes(std::span{text.data(), text.size()}), {}, out);
    std::cout << session::tls::client_hello{}.ja3() << '\n';
    return error || out.messages != 1 ? 1 : 0;
}
