#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace netring_asio::detail {

/// Compiles a text and returns libpcap's message, empty on success.
using compile_function = std::function<std::string(std::string const& text)>;

/// Where in an expression the error is that `message` reports: libpcap tells only what is wrong.
struct filter_place {
    std::size_t offset = 0;
    std::size_t length = 0; ///< 0 if the text ends too early

    static filter_place find(std::string_view expression, std::string const& message, compile_function const& compile);
};

} // namespace netring_asio::detail
