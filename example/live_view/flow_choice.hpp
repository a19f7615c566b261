#pragma once

#include "packet_history.hpp"
#include <netring_asio/decode/decoder.hpp>
#include <netring_asio/flow/key.hpp>

#include <boost/unordered/unordered_flat_set.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <tuple>

namespace live_view {

/// Tells which of the packets that are remembered belong to certain flows. Later fragments have no ports: they belong
/// where the first fragment of their datagram does, whichever came first.
class flow_choice {
public:
    using key = netring_asio::flow::five_tuple_key;

    /// @param keys  valid as long as this object
    flow_choice(std::span<key const> keys, packet_history const& history) {
        for (auto const& one : keys)
            keys_.insert(bytes_of(one));
        for (auto const& packet : history)
            if (decode_(packet, headers_) && headers_.is_first_fragment() && has_key())
                datagrams_.emplace(datagram_of(headers_), packet.time);
    }

    bool operator()(netring_asio::packet_view const& packet) {
        if (!decode_(packet, headers_))
            return false;
        if (!headers_.is_later_fragment())
            return has_key();
        auto const [from, to] = datagrams_.equal_range(datagram_of(headers_));
        return std::any_of(
            from, to, [&](auto const& first) { return std::chrono::abs(packet.time - first.second) <= longest_life; });
    }

private:
    using headers = netring_asio::decode::headers;
    using address = netring_asio::decode::ip_address;
    using datagram = std::tuple<address, address, std::uint32_t, std::uint32_t, std::uint8_t>;

    static constexpr std::chrono::seconds longest_life{
        30}; // of a datagram in fragments: then its number may come again

    static std::string_view bytes_of(key const& k) { // it has no padding
        return {reinterpret_cast<char const*>(&k), sizeof k};
    }
    static datagram datagram_of(headers const& h) {
        return {h.source, h.destination, h.fragment_id, h.tunnel_id, h.ip_version};
    }
    bool has_key() const {
        auto const found = key_of_(headers_);
        return found && keys_.contains(bytes_of(found->key));
    }

    netring_asio::decode::decoder decode_;
    netring_asio::flow::five_tuple key_of_;
    headers headers_;
    boost::unordered_flat_set<std::string_view> keys_;
    std::multimap<datagram, netring_asio::timestamp> datagrams_;
};

} // namespace live_view
