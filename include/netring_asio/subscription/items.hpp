#pragma once

#include <netring_asio/flow/event.hpp>
#include <netring_asio/packet/frame.hpp>
#include <netring_asio/session/dns_message.hpp>
#include <netring_asio/session/http1_message.hpp>
#include <netring_asio/session/quic.hpp>
#include <netring_asio/session/tls_message.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace netring_asio::subscription {

/// A frame that a subscription asked for, and the connection that it belongs to. The frame says on which interface it
/// came, `flow::community_id(key)` what other tools call the connection.
struct packet {
    netring_asio::frame frame;
    flow::five_tuple_key key{};      ///< of the connection
    std::uint64_t connection = 0;    ///< unique within one engine; 0 of what belongs to none, as ARP
    flow::orientation orientation{}; ///< of the frame
};

/// A connection that a subscription asked for.
struct connection {
    /// How it went. Where the connection goes on, `kind` is `established`; state and history are then those before
    /// the packet that decided.
    flow::event flow;
    std::string_view service;         ///< the protocol found in it: "tls", "http", "dns", "quic", or nothing
    bool partial = false;             ///< packets of it were passed over (see `engine::bypass`), and are in no counter
    std::int32_t interface_index = 0; ///< where the first packet that was looked at came; as in `packet_view`
};

/// A request and its response.
struct http_exchange {
    session::http1::request request;
    std::optional<session::http1::response> response; ///< the final one; nothing if it did not come
};

using message = std::variant<session::tls::handshake, http_exchange, session::dns::message, session::quic::initial>;

/// What a connection carried, and a subscription asked for.
struct session {
    flow::five_tuple_key key{};       ///< of the connection
    std::uint64_t connection = 0;     ///< as in `packet`
    flow::orientation orientation{};  ///< from the connection's initiator to its responder
    timestamp time{};                 ///< packet time when it was complete
    std::int32_t interface_index = 0; ///< as in `connection`
    subscription::message message;

    flow::endpoint const& initiator() const noexcept {
        return orientation == flow::orientation::a_to_b ? key.a : key.b;
    }
    flow::endpoint const& responder() const noexcept {
        return orientation == flow::orientation::a_to_b ? key.b : key.a;
    }
};

} // namespace netring_asio::subscription
