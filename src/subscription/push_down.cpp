// The filter before the engine: whatever the subscriptions may need passes, and what is plainly of no use does not.

#include "engine_impl.hpp"

#include <array>

namespace netring_asio::subscription {
namespace {

using detail::node;
using detail::node_kind;
using detail::predicate;

constexpr std::size_t max_terms = 64; // libpcap's optimiser takes seconds for hundreds

std::string number_term(std::string_view protocol, detail::number_range const& range) {
    if (range.low > 65535)
        return "less 0";
    auto const high = std::min<std::uint64_t>(range.high, 65535);
    if (range.low == high)
        return std::string{protocol} + " port " + std::to_string(high);
    return std::string{protocol} + " portrange " + std::to_string(range.low) + "-" + std::to_string(high);
}

/// Of TCP and UDP over IP that is no fragment and in no tunnel: a filter of at least what may match; empty for all.
class approximation {
public:
    /// `positive`: of the part itself, else of its negation.
    std::string operator()(node const& n, bool positive) {
        switch (n.kind) {
        case node_kind::everything:
            return positive ? "" : nothing;
        case node_kind::predicate:
            return term(n.what, positive);
        case node_kind::negation:
            return (*this)(*n.children.front(), !positive);
        default:
            return joined(n, (n.kind == node_kind::conjunction) == positive, positive);
        }
    }
    bool too_long() const noexcept { return terms_ > max_terms; }

private:
    static constexpr auto nothing = "less 0";

    std::string joined(node const& n, bool all, bool positive) {
        std::string result;
        for (auto const& child : n.children) {
            auto const part = (*this)(*child, positive);
            if (part.empty()) {
                if (all)
                    continue;
                return {};
            }
            result += (result.empty() ? "(" : all ? " and (" : " or (") + part + ")";
        }
        return result;
    }

    std::string term(predicate const& p, bool positive) {
        ++terms_;
        std::string result;
        switch (p.field) {
        case field::ipv4:
            result = "ip";
            break;
        case field::ipv6:
            result = "ip6";
            break;
        case field::tcp:
        case field::udp:
            result = info(p.field).name;
            break;
        case field::icmp:
        case field::icmpv6:
        case field::sctp:
        case field::arp:
            return positive ? nothing : "";
        case field::tcp_port:
        case field::udp_port:
        case field::ip_addr:
        case field::ipv4_addr:
        case field::ipv6_addr:
            return positive && !p.negated && p.how == relation::equal ? ends(p) : protocol(p, positive);
        default:
            return protocol(p, positive);
        }
        return positive ? result : "not " + result;
    }

    using relation = detail::relation;

    /// All that a field needs is its protocol.
    std::string protocol(predicate const& p, bool positive) {
        if (!positive)
            return {};
        switch (info(p.field).protocol) {
        case field::ipv4:
            return "ip";
        case field::ipv6:
            return "ip6";
        case field::tcp:
        case field::tls:
        case field::http:
            return "tcp";
        case field::udp:
        case field::quic:
            return "udp";
        case field::icmp:
        case field::icmpv6:
            return nothing;
        default:
            return {};
        }
    }

    std::string ends(predicate const& p) {
        std::string result;
        for (auto const& v : p.values) {
            ++terms_;
            result += result.empty() ? "" : " or ";
            if (auto const* const range = std::get_if<detail::number_range>(&v)) {
                result += number_term(p.field == field::tcp_port ? "tcp" : "udp", *range);
            } else if (auto const* const prefix = std::get_if<detail::address_prefix>(&v)) {
                bool const v4 = prefix->bits >= 96 && prefix->address.is_v4_mapped();
                if (!v4 && prefix->bits < 8 + 88 && p.field != field::ipv6_addr)
                    return {}; // may be mapped addresses
                result += v4 ? "ip net " : "ip6 net ";
                result += prefix->address.to_string(v4 ? 4 : 6) + "/" + std::to_string(prefix->bits - (v4 ? 96 : 0));
            }
        }
        return result;
    }

    std::size_t terms_ = 0;
};

/// What an engine may open, and a filter by addresses and ports of the outermost headers would not let through.
constexpr auto always = "not (tcp or udp) or ip[6:2] & 0x3fff != 0 or ip6[6] = 44";
constexpr std::array<std::uint16_t, 6> tunnel_ports{4789, 8472, 6081, 2152, 3544, 6635};

} // namespace

bool engine::impl::may_carry(decode::headers const& h) noexcept {
    return h.protocol == decode::protocol::udp && std::ranges::any_of(tunnel_ports, [&](std::uint16_t port) {
               return port == h.source_port || port == h.destination_port;
           });
}

std::string engine::impl::needed() const {
    std::string result = always;
    for (auto const port : tunnel_ports)
        result += " or udp port " + std::to_string(port);
    approximation approximate;
    for (std::size_t slot = 0; slot != registry_.slots(); ++slot)
        if (auto const& s = registry_[slot]; s.to) {
            auto const one = approximate(s.wanted.root(), true);
            if (one.empty() || approximate.too_long())
                return {};
            result += " or (" + one + ")";
        }
    return result;
}

} // namespace netring_asio::subscription
