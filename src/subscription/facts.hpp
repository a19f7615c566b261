#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/subscription/detail/predicate.hpp>
#include <netring_asio/subscription/items.hpp>

#include <string_view>

namespace netring_asio::subscription::detail {

/// What values were found.
struct finding {
    bool seen = false; // any
    bool hit = false;  // one that the predicate asks for

    friend finding operator|(finding a, finding b) noexcept { return {a.seen || b.seen, a.hit || b.hit}; }
};

inline bool verdict(predicate const& p, finding f) noexcept { return p.negated ? f.seen && !f.hit : f.hit; }

finding look(predicate const& p, decode::headers const& packet);
finding look_at_ends(predicate const& p, flow::endpoint const& initiator, flow::endpoint const& responder);
finding look_at_text(predicate const& p, std::string_view text);
finding look_at_number(predicate const& p, std::uint64_t number);
finding look(predicate const& p, flow::flow_stats const& connection);
finding look(predicate const& p, netring_asio::session::tls::client_hello const& hello);
finding look(predicate const& p, netring_asio::session::tls::server_hello const& hello);
finding look(predicate const& p, netring_asio::session::http1::request const& request);
finding look(predicate const& p, netring_asio::session::http1::response const& response);
finding look(predicate const& p, netring_asio::session::dns::message const& message);
finding look(predicate const& p, netring_asio::session::quic::initial const& initial);
finding look(predicate const& p, message const& whole);

} // namespace netring_asio::subscription::detail
