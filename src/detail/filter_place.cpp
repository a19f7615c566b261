#include "filter_place.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

namespace netring_asio::detail {
namespace {

bool in_word(char c) noexcept {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-' || c == ':' ||
           c == '\\';
}

/// Words and operators. Inside brackets a colon separates offset and size, elsewhere it belongs to an address.
std::vector<filter_place> tokens_of(std::string_view text) {
    std::vector<filter_place> tokens;
    bool brackets = false;
    for (std::size_t at = 0; at < text.size();) {
        if (std::isspace(static_cast<unsigned char>(text[at])) != 0) {
            ++at;
            continue;
        }
        auto const belongs = [&](char c) { return in_word(c) && !(brackets && c == ':'); };
        auto end = at + 1;
        if (belongs(text[at]) && text[at] != '-')
            while (end < text.size() && belongs(text[end]))
                ++end;
        else if (end < text.size() && std::string_view{"&|<>=!"}.find(text[at]) != std::string_view::npos &&
                 (text[end] == text[at] || text[end] == '='))
            ++end;
        brackets = text[at] == '[' || (brackets && text[at] != ']');
        tokens.push_back({at, end - at});
        at = end;
    }
    return tokens;
}

} // namespace

filter_place filter_place::find(std::string_view expression, std::string const& message,
                                compile_function const& compile) {
    auto const tokens = tokens_of(expression);
    auto const prefix = [&](filter_place const& last) {
        return std::string{expression.substr(0, last.offset + last.length)};
    };
    // The scanner refuses this number with a message of its own as soon as the parser asks for it, so the message of
    // "PREFIX 99999999999" tells whether the parser got through the prefix.
    std::string const probe = " 99999999999";
    bool const in_grammar = message.find("syntax error") != std::string::npos;
    auto const reports = [&](filter_place const& last) {
        return compile(in_grammar ? prefix(last) + probe : prefix(last)) == message;
    };
    auto const found =
        std::partition_point(tokens.begin(), tokens.end(), [&](filter_place const& last) { return !reports(last); });
    return found != tokens.end() ? *found : filter_place{expression.size(), 0};
}

} // namespace netring_asio::detail
