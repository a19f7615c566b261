#pragma once

#include <netring_asio/session/parser.hpp>

#include <chrono>
#include <cstddef>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace test {

namespace nr = netring_asio;
namespace session = netring_asio::session;

constexpr nr::timestamp epoch{std::chrono::seconds{1'700'000'000}};

/// What one side sent at once.
struct sent {
    session::side from;
    std::string bytes;
};

/// Feeds a parser, and keeps what it makes.
template <class Parser>
class recorder final : session::output<typename Parser::message_type> {
public:
    using message_type = typename Parser::message_type;

    explicit recorder(Parser parser = Parser{})
        : parser_{std::move(parser)} {}

    nr::error_code feed(session::side from, std::string_view bytes) {
        auto const data = std::as_bytes(std::span{bytes.data(), bytes.size()});
        if (bytes.empty() || error || is_done())
            return error;
        if constexpr (session::stream_parser<Parser>)
            error = parser_.feed(from, data, time, *this);
        else
            error = parser_.datagram(from, data, time, *this);
        return error;
    }
    nr::error_code gap(session::side from, std::uint64_t length) {
        return error = parser_.gap(from, length, time, *this);
    }
    void finish() {
        if (error || is_done())
            return;
        for (auto const from : {session::side::initiator, session::side::responder})
            if constexpr (requires { nr::error_code{parser_.finish(from, time, *this)}; })
                error = parser_.finish(from, time, *this);
            else
                parser_.finish(from, time, *this);
    }
    nr::error_code cut(session::side from, std::string_view bytes) {
        return parser_.cut_datagram(from, std::as_bytes(std::span{bytes.data(), bytes.size()}), time, *this);
    }
    void tick() { parser_.tick(time, *this); }
    std::size_t held() const { return parser_.held(); }

    bool is_done() const {
        if constexpr (requires { parser_.done(); })
            return parser_.done();
        else
            return false;
    }
    template <class Message>
    Message const& at(std::size_t i) const {
        return std::get<Message>(messages.at(i).second);
    }

    std::vector<std::pair<session::side, message_type>> messages;
    nr::error_code error;
    nr::timestamp time = epoch;

private:
    void operator()(session::side from, message_type&& message) override {
        messages.emplace_back(from, std::move(message));
    }
    Parser parser_;
};

} // namespace test
