#pragma once

#include <netring_asio/session/parser.hpp>

#include <cstddef>
#include <cstdint>
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

} // namespace netring_asio::session::detail
