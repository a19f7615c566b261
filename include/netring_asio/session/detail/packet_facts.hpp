#pragma once

#include <netring_asio/decode/headers.hpp>
#include <netring_asio/flow/tracker.hpp>

#include <algorithm>
#include <cstddef>

namespace netring_asio::session::detail {

/// Which way a packet of a flow went.
template <class Key>
flow::orientation way_of(typename flow::packet_observer<Key>::flow const& of, decode::headers const& h) noexcept {
    if constexpr (requires { of.orientation; })
        return of.orientation;
    else if constexpr (requires(Key const& key) { key.a == flow::endpoint{}; })
        return of.key.a == flow::endpoint{h.source, h.source_port} ? flow::orientation::a_to_b
                                                                   : flow::orientation::b_to_a;
    else
        return of.from_initiator ? flow::orientation::a_to_b : flow::orientation::b_to_a;
}

/// What the datagram carried: of a first fragment only its UDP header says (RFC 768).
inline std::size_t full_size(decode::headers const& h) noexcept {
    std::size_t told = 0;
    for (auto const byte : h.data.subspan(std::min<std::size_t>(h.transport_offset + 4U, h.data.size() - 2), 2))
        told = told << 8 | std::to_integer<std::size_t>(byte);
    return std::max<std::size_t>(h.payload_length, std::max<std::size_t>(told, 8) - 8);
}

} // namespace netring_asio::session::detail
