#include <netring_asio/session/http1_message.hpp>

#include <algorithm>
#include <ostream>

namespace netring_asio::session::http1 {
namespace {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

void print_text(std::ostream& out, std::string_view text) {
    for (char const c : text)
        out << (c > 0x1f && c < 0x7f ? c : '?');
}

void print_rest(std::ostream& out, content const& value) {
    if (auto const host = value.fields["host"]; !host.empty()) {
        out << " (";
        print_text(out, host);
        out << ')';
    }
    out << ", " << value.body_size << " bytes" << (value.complete ? "" : ", incomplete")
        << (value.error ? ", malformed" : "");
}

} // namespace

std::string_view field_list::operator[](std::string_view name) const noexcept {
    for (std::size_t i = 0; i != size(); ++i) {
        auto const [n, value] = (*this)[i];
        if (std::equal(n.begin(), n.end(), name.begin(), name.end(),
                       [](char a, char b) { return lower(a) == lower(b); }))
            return value;
    }
    return {};
}

std::ostream& operator<<(std::ostream& out, request const& value) {
    out << "http " << value.method << ' ';
    print_text(out, value.target);
    print_rest(out, value);
    return out;
}

std::ostream& operator<<(std::ostream& out, response const& value) {
    out << "http " << value.status << ' ';
    print_text(out, value.reason);
    print_rest(out, value);
    if (value.latency)
        out << " after " << value.latency->count() / 1000 << " us";
    return out;
}

std::ostream& operator<<(std::ostream& out, body_piece const& value) {
    return out << "http body " << value.bytes.size() << " bytes at " << value.offset << (value.last ? ", last" : "");
}

} // namespace netring_asio::session::http1
