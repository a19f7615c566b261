#pragma once

#include <netring_asio/subscription/detail/predicate.hpp>

#include <string>
#include <string_view>

namespace netring_asio::subscription::detail {

/// Reads a word as a value of a type, a range or a prefix of them; returns what is wrong, or nothing.
std::string read_value(field_type type, std::string_view word, value& out);
/// A value as an expression has it.
std::string print_value(field_type type, value const& what);

/// Whether values of a type have an order.
constexpr bool is_ordered(field_type type) noexcept {
    return type == field_type::number || type == field_type::duration;
}
constexpr bool is_text(field_type type) noexcept { return type == field_type::text || type == field_type::bytes; }

} // namespace netring_asio::subscription::detail
