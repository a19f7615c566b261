#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/beast/http/message.hpp>

#include <string>
#include <string_view>

namespace live_view {

/// Says who may look.
///
/// On a loopback address everybody on this machine may, with a browser that was sent to that very address: a page from
/// elsewhere can make a browser ask, but then says so in Origin, or in Host where it made its own name mean this
/// machine. On any other address a token is needed, given once in the address and then as a cookie.
class gate {
public:
    static constexpr std::string_view cookie = "live_view_token";

    /// @param token of hexadecimal digits; if empty, one is made where the address needs one
    gate(boost::asio::ip::address const& listening, std::string token);

    /// What has to be added to the page's address: empty, or a query.
    std::string query() const { return token_.empty() ? "" : "?token=" + token_; }
    std::string const& token() const noexcept { return token_; }

    template <class Body, class Fields>
    bool admits(boost::beast::http::request<Body, Fields> const& request) const {
        namespace http = boost::beast::http;
        return admits(request[http::field::host], request[http::field::origin], request.target(),
                      request[http::field::cookie]);
    }
    bool admits(std::string_view host, std::string_view origin, std::string_view target,
                std::string_view cookies) const;

private:
    std::string token_;
};

} // namespace live_view
