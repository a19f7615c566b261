#include "http1_mending.hpp"

#include <algorithm>
#include <initializer_list>

namespace netring_asio::session::http1 {
namespace {

constexpr char lower_case(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }
bool is_token_character(char c) noexcept {
    return c > 0x20 && c < 0x7f && std::string_view{"()<>@,;:\\\"/[]?={}"}.find(c) == std::string_view::npos;
}

constexpr char printable(char c) noexcept {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f ? ' ' : c;
}

/// A value without blanks around it.
std::string plain(std::string_view text) {
    std::string result{text};
    std::ranges::transform(result, result.begin(), printable);
    auto const first = result.find_first_not_of(" \t");
    return first == result.npos ? std::string{} : result.substr(first, result.find_last_not_of(" \t") + 1 - first);
}

bool is_field(std::string_view line, std::string_view name) noexcept {
    return line.size() > name.size() && line[name.size()] == ':' &&
           std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) { return a == lower_case(b); });
}

/// Calls `f(line)` for each line, without its end, up to the empty one.
template <class F>
void for_each_line(std::string_view head, F f) {
    for (auto end = head.find("\r\n"); end != head.npos && end != 0; end = head.find("\r\n")) {
        f(head.substr(0, end));
        head.remove_prefix(end + 2);
    }
}

/// Whether chunks frame the body: the last coding of all that are named (RFC 9112, 6.3).
bool is_chunked(field_list const& fields) {
    std::string_view last;
    for (std::size_t i = 0; i != fields.size(); ++i) {
        auto const [name, value] = fields[i];
        if (std::ranges::equal(name, std::string_view{"transfer-encoding"}, {}, lower_case))
            last = value.substr(value.rfind(',') + 1);
    }
    last.remove_prefix(std::min(last.find_first_not_of(" \t"), last.size()));
    return std::ranges::equal(last, std::string_view{"chunked"}, {}, lower_case);
}

/// The head without some fields.
std::string without(std::string_view head, std::initializer_list<std::string_view> names) {
    std::string result;
    bool dropped = false;
    for_each_line(head, [&](std::string_view line) {
        if (!is_blank(line.front()))
            dropped = std::ranges::any_of(names, [&](auto name) { return is_field(line, name); });
        if (!dropped)
            (result += line) += "\r\n";
    });
    return result += "\r\n";
}

unsigned version_of(std::string_view text) noexcept { return text == "HTTP/1.1" ? 11 : text == "HTTP/1.0" ? 10 : 0; }

bool mend_request_line(std::string_view line, mended_head& to) {
    auto const method = line.substr(0, line.find(' '));
    if (!is_method(method))
        return false;
    auto target = line.substr(std::min(method.size() + 1, line.size()));
    if (auto const at = target.rfind(" HTTP/"); at != target.npos) {
        to.version = version_of(target.substr(at + 1));
        target = target.substr(0, at);
    } else if (target.starts_with("HTTP/")) {
        to.version = version_of(target);
        target = {};
    }
    to.method = method;
    to.target = target;
    to.text = to.method + (to.version == 10 ? " / HTTP/1.0\r\n" : " / HTTP/1.1\r\n");
    return true;
}

bool mend_status_line(std::string_view line, mended_head& to) {
    if (!line.starts_with("HTTP/"))
        return false;
    auto rest = line.substr(std::min(line.find(' '), line.size()));
    to.version = version_of(line.substr(0, line.size() - rest.size()));
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    if (rest.size() < 3 || !std::all_of(rest.begin(), rest.begin() + 3, is_digit))
        return false;
    to.text = (to.version == 10 ? "HTTP/1.0 " : "HTTP/1.1 ") + std::string{rest.substr(0, 3)} + ' ';
    for (char const c : rest.substr(std::min<std::size_t>(rest.size(), 3 + (rest.size() > 3 && rest[3] == ' '))))
        to.text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    to.text += "\r\n";
    return true;
}

} // namespace

bool is_method(std::string_view text) noexcept {
    return text.size() >= 3 && text.size() <= 20 &&
           std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; });
}

std::optional<mended_head> mend(std::string_view head, bool is_request) {
    mended_head result;
    auto const first = head.substr(0, head.find("\r\n"));
    if (!(is_request ? mend_request_line(first, result) : mend_status_line(first, result)))
        return {};
    head.remove_prefix(std::min(first.size() + 2, head.size()));
    bool kept = false; // the line before, which one that begins with a blank belongs to
    std::string_view field;
    std::string value;
    auto const append = [&] {
        if (!field.empty())
            result.fields.append(field, value);
    };
    for_each_line(head, [&](std::string_view line) {
        if (!is_blank(line.front())) {
            auto const colon = line.find(':');
            auto name = line.substr(0, colon);
            while (!name.empty() && is_blank(name.back()))
                name.remove_suffix(1);
            append();
            auto const is_named = colon != line.npos && std::all_of(name.begin(), name.end(), is_token_character);
            field = is_named ? name : std::string_view{};
            value = is_named ? plain(line.substr(colon + 1)) : std::string{};
            kept = !field.empty();
            if (kept)
                result.text += name;
            line.remove_prefix(std::min(colon, line.size()));
        } else {
            (value += ' ') += plain(line);
            if (kept)
                result.text.resize(result.text.size() - 2); // Beast limits what it unfolds
        }
        if (!kept)
            return;
        for (char const c : line)
            result.text += printable(c);
        result.text += "\r\n";
    });
    append();
    result.text += "\r\n";
    if (is_chunked(result.fields))
        result.text = without(result.text, {"content-length"});
    return result;
}

std::string without_framing(std::string_view head) {
    // All that Beast looks into.
    return without(head, {"content-length", "transfer-encoding", "connection", "proxy-connection", "upgrade"});
}

} // namespace netring_asio::session::http1
