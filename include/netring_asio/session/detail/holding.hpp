#pragma once

#include <netring_asio/session/parser.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <variant>
#include <vector>

namespace netring_asio::session::detail {

/// Bytes or a gap that came before a parser was chosen.
struct held_bytes {
    side from;
    std::uint64_t offset;
    std::uint64_t gap; // or, if 0, bytes
    timestamp time;
    std::vector<std::byte> bytes;
};

/// What a parser says that it holds.
template <class... Parsers>
std::size_t held_by(std::variant<Parsers...> const& chosen) {
    return std::visit(
        [](auto const& parser) -> std::size_t {
            if constexpr (requires { parser.held(); })
                return parser.held();
            else
                return 0;
        },
        chosen);
}

/// Whether a parser has a use for `tick`.
template <class... Parsers>
bool waits_for_time(std::variant<Parsers...> const& chosen) noexcept {
    return std::visit(
        []<class P>(P const& parser) {
            if constexpr (requires { parser.waits(); })
                return parser.waits();
            else if constexpr (!std::is_same_v<P, std::monostate>)
                return requires(P& p, output<typename P::message_type>& out) { p.tick(timestamp{}, out); };
            else
                return false;
        },
        chosen);
}

} // namespace netring_asio::session::detail
