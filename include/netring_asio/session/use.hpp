#pragma once

#include <netring_asio/session/parser.hpp>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace netring_asio::session {

/// What chooses a parser for a flow.
enum class choice : std::uint8_t {
    by_port,
    by_content,          ///< what the parser's `probe` says
    by_port_and_content, ///< both
    by_port_or_content,  ///< content where it tells; the port where no parser recognises the content
};

/// A parser, and the flows that it is for.
///
/// A copy of the parser is made for each flow. Of several that content speaks for, the first one that was named is
/// taken.
template <class Parser>
    requires stream_parser<Parser> || datagram_parser<Parser>
class use {
public:
    using parser_type = Parser;
    static constexpr bool has_probe = requires(side from, std::span<std::byte const> bytes) {
        { Parser::probe(from, bytes) } -> std::same_as<match>;
    };

    explicit use(Parser prototype = Parser{})
        : prototype_{std::move(prototype)} {}

    /// Ports of either end that speak for it. Without, only content does.
    use& ports(std::initializer_list<std::uint16_t> values) { return ports(std::vector<std::uint16_t>{values}); }
    use& ports(std::vector<std::uint16_t> values) {
        ports_ = std::move(values);
        if (!chosen_)
            by_ = has_probe ? choice::by_port_or_content : choice::by_port;
        return *this;
    }
    /// What has to speak for it. Default: content, and with ports either; ports alone where the parser has no `probe`.
    /// Without a `probe` content cannot speak for it.
    use& chosen(choice value) noexcept {
        by_ = value;
        chosen_ = true;
        return *this;
    }

    Parser const& prototype() const noexcept { return prototype_; }
    std::vector<std::uint16_t> const& ports() const noexcept { return ports_; }
    choice chosen() const noexcept { return by_; }
    bool has_port(std::uint16_t port) const noexcept {
        return std::find(ports_.begin(), ports_.end(), port) != ports_.end();
    }

private:
    Parser prototype_;
    std::vector<std::uint16_t> ports_;
    choice by_ = has_probe ? choice::by_content : choice::by_port;
    bool chosen_ = false;
};

} // namespace netring_asio::session
