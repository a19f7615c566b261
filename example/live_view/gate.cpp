#include "gate.hpp"

#include <array>
#include <cstddef>
#include <random>

namespace live_view {
namespace {

std::string make_token() {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::random_device random;
    std::string token;
    for (int i = 0; i != 32; ++i)
        token += digits[random() % digits.size()];
    return token;
}

bool is_loopback(std::string_view host) {
    auto const port = host.rfind(':');
    if (port != std::string_view::npos && host.find(']', port) == std::string_view::npos)
        host = host.substr(0, port);
    if (host == "localhost" || host == "[::1]")
        return true;
    boost::system::error_code not_an_address;
    auto const address = boost::asio::ip::make_address(std::string{host}, not_an_address);
    return !not_an_address && address.is_loopback();
}

/// Takes as long for any two texts of one length.
bool same(std::string_view a, std::string_view b) {
    unsigned difference = a.size() != b.size();
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
        difference |= static_cast<unsigned>(a[i] ^ b[i]);
    return difference == 0;
}

/// The value behind `name=` in a list.
std::string_view value_of(std::string_view list, std::string_view name, std::string_view separators) {
    while (!list.empty()) {
        auto const end = list.find_first_of(separators);
        auto const item = list.substr(0, end);
        if (item.starts_with(name) && item.substr(name.size()).starts_with('='))
            return item.substr(name.size() + 1);
        list = end == std::string_view::npos ? "" : list.substr(end + 1);
    }
    return {};
}

} // namespace

gate::gate(boost::asio::ip::address const& listening, std::string token)
    : token_{token.empty() && !listening.is_loopback() ? make_token() : std::move(token)} {}

bool gate::admits(std::string_view host, std::string_view origin, std::string_view target,
                  std::string_view cookies) const {
    if (!origin.empty() && origin != "http://" + std::string{host})
        return false;
    if (token_.empty())
        return is_loopback(host);
    auto const query = target.find('?');
    auto const given = query == std::string_view::npos ? "" : value_of(target.substr(query + 1), "token", "&");
    return same(given, token_) || same(value_of(cookies, cookie, "; "), token_);
}

} // namespace live_view
