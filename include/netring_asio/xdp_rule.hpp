#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace netring_asio {

/// Frames that an AF_XDP program redirects: those for which everything that the rule names holds. An empty rule holds
/// for all.
///
/// A rule is written as a tcpdump expression and means what that means; without a VLAN it holds for untagged frames.
class xdp_rule {
public:
    xdp_rule() = default;

    /// "tcp", "udp", "icmp", or whatever pcap-filter(7) takes as a protocol.
    xdp_rule& protocol(std::string name) {
        protocol_ = std::move(name);
        return *this;
    }
    /// Ports from `first` to `last`, at either end.
    xdp_rule& ports(std::uint16_t first, std::uint16_t last) {
        return add("portrange " + std::to_string(first) + "-" + std::to_string(last));
    }
    xdp_rule& port(std::uint16_t value) { return add("port " + std::to_string(value)); }
    xdp_rule& source_port(std::uint16_t value) { return add("src port " + std::to_string(value)); }
    xdp_rule& destination_port(std::uint16_t value) { return add("dst port " + std::to_string(value)); }
    /// An IPv4 or IPv6 address or prefix, such as "10.1.0.0/16" or "fd00::/8".
    xdp_rule& source(std::string const& prefix) { return add(network("src ", prefix)); }
    xdp_rule& destination(std::string const& prefix) { return add(network("dst ", prefix)); }
    /// The identifier of the outermost tag.
    xdp_rule& vlan(std::uint16_t id) {
        vlan_ = id;
        return *this;
    }

    /// The same as a tcpdump expression; empty for all frames.
    std::string expression() const {
        auto text = vlan_ ? "vlan " + std::to_string(*vlan_) : std::string{};
        if (!protocol_.empty())
            text += (text.empty() ? "" : " and ") + protocol_;
        if (!conditions_.empty())
            text += (text.empty() ? "" : " and ") + conditions_;
        return text;
    }

private:
    static std::string network(char const* side, std::string const& prefix) {
        auto const v6 = prefix.find(':') != std::string::npos;
        auto const whole = prefix.find('/') == std::string::npos;
        return std::string{v6 ? "ip6 " : ""} + side + (whole ? "host " : "net ") + prefix;
    }
    xdp_rule& add(std::string const& condition) {
        conditions_ += (conditions_.empty() ? "" : " and ") + condition;
        return *this;
    }

    std::string protocol_;
    std::string conditions_;
    std::optional<std::uint16_t> vlan_;
};

} // namespace netring_asio
