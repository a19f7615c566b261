#pragma once

#include <netring_asio/subscription/expression.hpp>

#include <string>
#include <string_view>

namespace netring_asio::subscription::detail {

inline constexpr std::size_t max_text = 1 << 16;

/// Throws a `problem`.
expression read_expression(std::string_view text);
/// Compiles the regular expression of a predicate; returns what is wrong, or nothing.
std::string compile(predicate& what);

} // namespace netring_asio::subscription::detail
