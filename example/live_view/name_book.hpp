#pragma once

#include "bounded_map.hpp"
#include <netring_asio/decode/ip_address.hpp>
#include <netring_asio/session/dns_message.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace live_view {

struct address_hash {
    std::size_t operator()(netring_asio::decode::ip_address const& address) const noexcept {
        return boost::hash_range(address.bytes.begin(), address.bytes.end());
    }
};

/// Names of addresses and of flows, as DNS answers and ClientHellos tell them.
class name_book {
public:
    using address = netring_asio::decode::ip_address;

    /// What was asked for names the addresses of the answer, whatever aliases are in between.
    void learn(netring_asio::session::dns::message const& message) {
        if (!message.is_response)
            return;
        for (auto const& answer : message.answers)
            if (auto const* found = std::get_if<address>(&answer.data))
                addresses_.put(*found, message.questions.empty() ? answer.name : message.questions[0].name);
    }
    /// The server that a connection asked for.
    void learn(std::uint64_t flow, address const& server, std::string const& name) {
        if (name.empty())
            return;
        flows_.put(flow, name);
        servers_.put(server, name);
    }

    /// Numbers of flows begin anew.
    void forget_flows() { flows_ = bounded_map<std::uint64_t, std::string>{capacity}; }

    /// Empty if there is none.
    std::string_view of(address const& who) const {
        auto const* name = addresses_.find(who);
        if (!name)
            name = servers_.find(who);
        return name ? std::string_view{*name} : std::string_view{};
    }
    std::string_view of_flow(std::uint64_t id) const {
        auto const* name = flows_.find(id);
        return name ? std::string_view{*name} : std::string_view{};
    }

private:
    static constexpr std::size_t capacity = 65'536;
    bounded_map<address, std::string, address_hash> addresses_{capacity};
    bounded_map<address, std::string, address_hash> servers_{capacity};
    bounded_map<std::uint64_t, std::string> flows_{capacity};
};

} // namespace live_view
