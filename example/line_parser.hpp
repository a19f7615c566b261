#pragma once

#include <netring_asio/session/parser.hpp>

#include <array>
#include <string>
#include <string_view>

/// Lines of text, as SMTP, POP and FTP send them.
class line_parser {
public:
    using message_type = std::string;
    static constexpr std::string_view name = "lines";

    netring_asio::error_code feed(netring_asio::session::side from, std::span<std::byte const> bytes,
                                  netring_asio::timestamp, netring_asio::session::output<std::string>& out) {
        auto& line = lines_[index(from)];
        for (auto const byte : bytes) {
            if (byte == std::byte{'\n'}) {
                out(from, line);
                line.clear();
            } else if (line.size() == 1000) {
                return netring_asio::error::message_too_long;
            } else if (byte != std::byte{'\r'}) {
                line += static_cast<char>(byte);
            }
        }
        return {};
    }

private:
    std::array<std::string, 2> lines_; // one of each side that is not complete yet
};
