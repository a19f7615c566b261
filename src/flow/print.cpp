#include <netring_asio/flow/event.hpp>

#include <ctime>
#include <iomanip>
#include <ostream>
#include <string>

namespace netring_asio::flow {
namespace {

char const* protocol_name(std::uint8_t number) noexcept {
    switch (number) {
    case decode::protocol::icmp:
        return "icmp";
    case decode::protocol::tcp:
        return "tcp";
    case decode::protocol::udp:
        return "udp";
    case decode::protocol::gre:
        return "gre";
    case decode::protocol::esp:
        return "esp";
    case decode::protocol::icmpv6:
        return "icmp6";
    case decode::protocol::sctp:
        return "sctp";
    default:
        return nullptr;
    }
}

void print(std::ostream& out, endpoint const& e, int ip_version) {
    auto const address = e.address.to_string(ip_version);
    if (e.port == 0)
        out << address;
    else if (ip_version == 6)
        out << '[' << address << "]:" << e.port;
    else
        out << address << ':' << e.port;
}

} // namespace

void print(std::ostream& out, five_tuple_key const& key, orientation way) {
    if (auto const* name = protocol_name(key.protocol))
        out << name;
    else
        out << "ip-" << static_cast<unsigned>(key.protocol);
    auto const forward = way == orientation::a_to_b;
    print(out << ' ', forward ? key.a : key.b, key.ip_version);
    print(out << " > ", forward ? key.b : key.a, key.ip_version);
}

std::ostream& operator<<(std::ostream& out, five_tuple_key const& key) {
    print(out, key, orientation::a_to_b);
    return out;
}

std::ostream& operator<<(std::ostream& out, mac_address const& address) {
    auto const flags = out.flags(std::ios::hex);
    auto const fill = out.fill('0');
    for (std::size_t i = 0; i != address.bytes.size(); ++i)
        out << (i == 0 ? "" : ":") << std::setw(2) << static_cast<unsigned>(address.bytes[i]);
    out.fill(fill);
    out.flags(flags);
    return out;
}

void print(std::ostream& out, ip_pair_key const& key, orientation way) {
    auto const forward = way == orientation::a_to_b;
    out << (forward ? key.a : key.b).to_string(key.ip_version) << " > "
        << (forward ? key.b : key.a).to_string(key.ip_version);
}

std::ostream& operator<<(std::ostream& out, ip_pair_key const& key) {
    print(out, key, orientation::a_to_b);
    return out;
}

void print(std::ostream& out, mac_pair_key const& key, orientation way) {
    auto const forward = way == orientation::a_to_b;
    out << (forward ? key.a : key.b) << " > " << (forward ? key.b : key.a);
}

std::ostream& operator<<(std::ostream& out, mac_pair_key const& key) {
    print(out, key, orientation::a_to_b);
    return out;
}

std::ostream& operator<<(std::ostream& out, event_kind kind) {
    switch (kind) {
    case event_kind::started:
        return out << "started";
    case event_kind::established:
        return out << "established";
    case event_kind::ended:
        return out << "ended";
    case event_kind::late:
        return out << "late";
    }
    return out;
}

std::ostream& operator<<(std::ostream& out, end_reason reason) {
    switch (reason) {
    case end_reason::none:
        return out << "none";
    case end_reason::fin:
        return out << "fin";
    case end_reason::rst:
        return out << "rst";
    case end_reason::idle:
        return out << "idle";
    case end_reason::active_timeout:
        return out << "active timeout";
    case end_reason::evicted:
        return out << "evicted";
    case end_reason::reused:
        return out << "reused";
    case end_reason::flushed:
        return out << "flushed";
    }
    return out;
}

namespace detail {

void print_vlans(std::ostream& out, std::array<std::uint16_t, 2> const& vlans) {
    if (vlans[0] != 0 || vlans[1] != 0)
        out << " vlan " << vlans[0];
    if (vlans[1] != 0)
        out << '.' << vlans[1];
}

void print_tunnel(std::ostream& out, decode::tunnel kind, std::uint32_t id) {
    static constexpr char const* names[] = {"",     "ip-in-ip", "gre",    "erspan", "etherip",
                                            "mpls", "vxlan",    "geneve", "gtp-u",  "teredo"};
    if (kind != decode::tunnel::none)
        out << " in " << names[static_cast<std::size_t>(kind)] << ' ' << id;
}

void print_head(std::ostream& out, event_kind kind, end_reason reason, timestamp time) {
    auto const seconds = std::chrono::floor<std::chrono::seconds>(time);
    auto const whole = static_cast<std::time_t>(seconds.time_since_epoch().count());
    std::tm parts{};
    gmtime_r(&whole, &parts);
    auto const microseconds = std::chrono::floor<std::chrono::microseconds>(time - seconds).count();
    auto const fill = out.fill('0');
    out << std::put_time(&parts, "%F %T.") << std::setw(6) << microseconds;
    out.fill(fill);
    out << ' ' << kind << ' ';
    if (reason != end_reason::none)
        out << '(' << reason << ") ";
}

void print_stats(std::ostream& out, event_kind kind, flow_stats const& stats) {
    if (kind != event_kind::ended && kind != event_kind::late)
        return;
    auto const duration = std::chrono::duration<double>(stats.last_time - stats.first_time).count();
    auto const print_direction = [&out](char const* arrow, direction_stats const& d) {
        out << ' ' << arrow << ' ' << d.packets << " packets " << d.wire_bytes << " bytes";
    };
    print_direction(" ->", stats.forward);
    print_direction("<-", stats.reverse);
    auto const precision = out.precision(3);
    auto const flags = out.setf(std::ios::fixed, std::ios::floatfield);
    out << "  " << duration << " s";
    out.flags(flags);
    out.precision(precision);
    out << "  " << stats.state;
    if (!stats.history.empty())
        out << ' ' << stats.history;
}

} // namespace detail
} // namespace netring_asio::flow
