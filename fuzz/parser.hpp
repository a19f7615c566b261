#pragma once

#include <netring_asio/session/parser.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <span>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// Feeds what a fuzzer makes to parsers.
namespace fuzz {

namespace session = netring_asio::session;
using bytes = std::span<std::byte const>;

/// What a parser makes, as text.
template <class Message>
class text_output final : public session::output<Message> {
public:
    void operator()(session::side from, Message&& message) override {
        text_ << static_cast<int>(from) << ' ';
        if constexpr (requires { std::variant_size<Message>::value; })
            std::visit([this](auto const& m) { text_ << m; }, message);
        else
            text_ << message;
        text_ << '\n';
    }
    std::ostringstream& text() noexcept { return text_; }

private:
    std::ostringstream text_;
};

/// What one side sends at once, or a gap where there are no bytes.
struct part {
    session::side from;
    std::size_t gap;
    bytes content;
};

/// Parts behind a byte each of side and kind and one of length; every part reaches to the next or to the end.
inline std::vector<part> split(bytes input) {
    std::vector<part> result;
    while (input.size() > 2) {
        auto const kind = std::to_integer<unsigned>(input[0]);
        auto const length = std::to_integer<std::size_t>(input[1]) * ((kind & 2) != 0 ? 64 : 1);
        auto const from = (kind & 1) != 0 ? session::side::responder : session::side::initiator;
        input = input.subspan(2);
        if ((kind & 0xfc) == 0xfc) {
            result.push_back({from, length, {}});
            continue;
        }
        auto const content = input.first(std::min(input.size(), length));
        input = input.subspan(content.size());
        if (!content.empty())
            result.push_back({from, 0, content});
    }
    return result;
}

template <class Parser>
std::string parsed(std::vector<part> const& parts, std::size_t cut) {
    Parser parser;
    text_output<typename Parser::message_type> out;
    auto& sink = static_cast<session::output<typename Parser::message_type>&>(out);
    netring_asio::timestamp time{};
    netring_asio::error_code error;
    auto const open = [&] {
        if constexpr (requires { parser.done(); })
            return !error && !parser.done();
        else
            return !error;
    };
    for (auto const& p : parts) {
        time += std::chrono::seconds{1};
        if (p.gap != 0) {
            if constexpr (requires { parser.gap(p.from, p.gap, time, sink); })
                if (open())
                    error = parser.gap(p.from, p.gap, time, sink);
            continue;
        }
        for (auto rest = p.content; !rest.empty() && open();) {
            auto const piece = rest.first(std::min(rest.size(), cut));
            rest = rest.subspan(piece.size());
            error = parser.feed(p.from, piece, time, sink);
        }
    }
    if constexpr (requires { parser.finish(session::side::initiator, time, sink); })
        if (open()) {
            parser.finish(session::side::initiator, time, sink);
            parser.finish(session::side::responder, time, sink);
        }
    out.text() << error.message();
    return out.text().str();
}

/// A parser of streams must make the same however its bytes are cut.
template <class Parser>
void streams(bytes input) {
    auto const parts = split(input);
    auto const whole = parsed<Parser>(parts, std::size_t{1} << 30);
    for (std::size_t const cut : {1, 7})
        if (auto const other = parsed<Parser>(parts, cut); other != whole) {
            std::cerr << "whole:\n" << whole << "\ncut into pieces of " << cut << ":\n" << other << '\n';
            std::abort();
        }
}

template <class Parser>
void datagrams(bytes input) {
    Parser parser;
    text_output<typename Parser::message_type> out;
    netring_asio::timestamp time{};
    for (auto const& p : split(input)) {
        time += std::chrono::seconds{1};
        parser.datagram(p.from, p.content, time, out);
        static_cast<void>(Parser::probe(p.from, p.content));
    }
}

} // namespace fuzz
