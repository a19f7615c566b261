#pragma once

#include <netring_asio/session/parser.hpp>

#include <charconv>
#include <string>
#include <string_view>
#include <utility>

/// How much a host logs to a server of syslog (RFC 5424), told about once a second where there is anything.
class syslog_parser {
public:
    using message_type = std::string;
    static constexpr std::string_view name = "syslog";

    netring_asio::error_code datagram(netring_asio::session::side, std::span<std::byte const> bytes,
                                      netring_asio::timestamp, netring_asio::session::output<std::string>&) {
        auto const* const text = reinterpret_cast<char const*>(bytes.data());
        unsigned priority = 0;
        if (bytes.size() < 3 || text[0] != '<' ||
            std::from_chars(text + 1, text + bytes.size(), priority).ec != std::errc{})
            return netring_asio::error::malformed_message;
        ++lines_;
        errors_ += priority % 8 <= 3 ? 1 : 0; // the severity: error or worse
        return {};
    }

    void tick(netring_asio::timestamp, netring_asio::session::output<std::string>& out) {
        if (lines_ != 0)
            out(netring_asio::session::side::initiator, std::to_string(std::exchange(lines_, 0)) + " lines, " +
                                                            std::to_string(std::exchange(errors_, 0)) + " errors");
    }
    bool waits() const noexcept { return lines_ != 0; }

private:
    unsigned lines_ = 0;
    unsigned errors_ = 0;
};
