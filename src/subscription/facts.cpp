#include "facts.hpp"

#include "pattern.hpp"

#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <cstring>
#include <ostream>
#include <sstream>

namespace netring_asio::subscription::detail {
namespace {

namespace tls = netring_asio::session::tls;
namespace http1 = netring_asio::session::http1;
namespace dns = netring_asio::session::dns;
namespace quic = netring_asio::session::quic;

bool within(decode::ip_address const& address, address_prefix const& prefix) noexcept {
    auto const whole = prefix.bits / 8U;
    if (std::memcmp(address.bytes.data(), prefix.address.bytes.data(), whole) != 0)
        return false;
    auto const rest = prefix.bits % 8U;
    return rest == 0 || ((address.bytes[whole] ^ prefix.address.bytes[whole]) >> (8 - rest)) == 0;
}

/// Takes the values of a field.
class values {
public:
    explicit values(predicate const& asked) noexcept
        : asked_{asked} {}

    void operator()(std::uint64_t number) noexcept {
        found_.seen = true;
        if (asked_.how == relation::present) {
            found_.hit = found_.hit || number != 0 || info(asked_.field).type != field_type::flag;
            return;
        }
        for (auto const& v : asked_.values) {
            auto const* const range = std::get_if<number_range>(&v);
            found_.hit = found_.hit || (range != nullptr && range->low <= number && number <= range->high);
        }
    }
    void operator()(decode::ip_address const& address) noexcept {
        found_.seen = true;
        found_.hit =
            found_.hit || asked_.how == relation::present || std::ranges::any_of(asked_.values, [&](value const& v) {
                auto const* const prefix = std::get_if<address_prefix>(&v);
                return prefix != nullptr && within(address, *prefix);
            });
    }
    void operator()(std::string_view text) {
        found_.seen = true;
        found_.hit = found_.hit || asked_.how == relation::present || suits(text);
    }
    /// What is not there when empty.
    void unless_empty(std::string_view text) {
        if (!text.empty())
            (*this)(text);
    }

    finding found() const noexcept { return found_; }

private:
    bool suits(std::string_view text) const {
        if (asked_.how == relation::matches)
            return asked_.regular->found_in(text);
        return std::ranges::any_of(asked_.values, [&](value const& v) {
            auto const& wanted = std::get<std::string>(v);
            return asked_.how == relation::equal ? text == wanted : text.find(wanted) != text.npos;
        });
    }

    predicate const& asked_;
    finding found_;
};

std::string_view text_of(std::span<std::byte const> bytes) noexcept {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

/// Bytes of a header, where they were captured.
class raw {
public:
    raw(decode::headers const& h, std::size_t offset, std::size_t size) noexcept
        : bytes_{offset + size <= h.data.size() ? h.data.data() + offset : nullptr} {}
    explicit operator bool() const noexcept { return bytes_ != nullptr; }
    std::uint64_t u8(std::size_t at) const noexcept { return std::to_integer<std::uint8_t>(bytes_[at]); }
    std::uint64_t u16(std::size_t at) const noexcept { return u8(at) << 8 | u8(at + 1); }
    std::uint64_t u24(std::size_t at) const noexcept { return u16(at) << 8 | u8(at + 2); }
    std::uint64_t u48(std::size_t at) const noexcept { return u24(at) << 24 | u24(at + 3); }

private:
    std::byte const* bytes_;
};

void ethernet(values& out, field f, decode::headers const& h) {
    if (f == field::arp)
        return h.ether_type == 0x0806 ? out(std::uint64_t{1}) : void();
    if (!h.has_ethernet)
        return;
    raw const header{h, h.link_offset, 14};
    if (!header)
        return;
    if (f == field::ethernet)
        out(std::uint64_t{1});
    if (f == field::ethernet_type)
        out(std::uint64_t{h.ether_type});
    if (f == field::ethernet_src || f == field::ethernet_addr)
        out(header.u48(6));
    if (f == field::ethernet_dst || f == field::ethernet_addr)
        out(header.u48(0));
}

void vlans(values& out, field f, decode::headers const& h) {
    for (std::size_t i = 0; i != std::min<std::size_t>(h.vlan_count, h.vlans.size()); ++i)
        out(f == field::vlan            ? std::uint64_t{1}
            : f == field::vlan_priority ? std::uint64_t{h.vlans[i].priority()}
                                        : std::uint64_t{h.vlans[i].id()});
}

void ipv4(values& out, field f, decode::headers const& h) {
    raw const header{h, h.ip_offset, 20};
    if (!header)
        return;
    switch (f) {
    case field::ipv4_header_length:
        return out((header.u8(0) & 15) * 4);
    case field::ipv4_total_length:
        return out(header.u16(2));
    case field::ipv4_identification:
        return out(header.u16(4));
    case field::ipv4_df:
        return out(header.u8(6) >> 6 & 1);
    case field::ipv4_mf:
        return out(header.u8(6) >> 5 & 1);
    case field::ipv4_fragment_offset:
        return out(header.u16(6) & 0x1fff);
    case field::ipv4_protocol:
        return out(header.u8(9));
    case field::ipv4_header_checksum:
        return out(header.u16(10));
    default:
        return;
    }
}

void ipv6(values& out, field f, decode::headers const& h) {
    raw const header{h, h.ip_offset, 40};
    if (!header)
        return;
    if (f == field::ipv6_flow_label)
        out(header.u24(1) & 0xfffff);
    if (f == field::ipv6_payload_length)
        out(header.u16(4));
    if (f == field::ipv6_next_header)
        out(header.u8(6));
}

void ip(values& out, field f, decode::headers const& h) {
    switch (f) {
    case field::ip:
    case field::ipv4:
    case field::ipv6:
        return out(std::uint64_t{1});
    case field::ip_addr:
    case field::ipv4_addr:
    case field::ipv6_addr:
        out(h.source);
        return out(h.destination);
    case field::ip_src_addr:
    case field::ipv4_src_addr:
    case field::ipv6_src_addr:
        return out(h.source);
    case field::ip_dst_addr:
    case field::ipv4_dst_addr:
    case field::ipv6_dst_addr:
        return out(h.destination);
    case field::ip_length:
        return out(std::uint64_t{h.ip_length});
    case field::ip_hop_limit:
    case field::ipv4_time_to_live:
    case field::ipv6_hop_limit:
        return out(std::uint64_t{h.hop_limit});
    case field::ip_fragment:
        return out(std::uint64_t{h.is_fragment});
    case field::ipv4_dscp:
    case field::ipv6_dscp:
        return out(std::uint64_t{h.traffic_class} >> 2);
    case field::ipv4_ecn:
    case field::ipv6_ecn:
        return out(std::uint64_t{h.traffic_class} & 3);
    default:
        return h.ip_version == 4 ? ipv4(out, f, h) : ipv6(out, f, h);
    }
}

void tcp(values& out, field f, decode::headers const& h) {
    auto const flag = [&](std::uint8_t bits) { out(std::uint64_t{(h.tcp_flags & bits) == bits}); };
    switch (f) {
    case field::tcp:
        return out(std::uint64_t{1});
    case field::tcp_port:
        out(std::uint64_t{h.source_port});
        return out(std::uint64_t{h.destination_port});
    case field::tcp_src_port:
        return out(std::uint64_t{h.source_port});
    case field::tcp_dst_port:
        return out(std::uint64_t{h.destination_port});
    default:
        break;
    }
    if (!h.has_tcp)
        return;
    switch (f) {
    case field::tcp_seq_no:
        return out(std::uint64_t{h.sequence});
    case field::tcp_ack_no:
        return out(std::uint64_t{h.acknowledgment});
    case field::tcp_data_offset:
        return out(std::uint64_t{h.tcp_header_length} / 4);
    case field::tcp_flags:
        return out(std::uint64_t{h.tcp_flags});
    case field::tcp_fin:
        return flag(decode::tcp_flag::fin);
    case field::tcp_syn:
        return flag(decode::tcp_flag::syn);
    case field::tcp_rst:
        return flag(decode::tcp_flag::rst);
    case field::tcp_psh:
        return flag(decode::tcp_flag::psh);
    case field::tcp_ack:
        return flag(decode::tcp_flag::ack);
    case field::tcp_urg:
        return flag(decode::tcp_flag::urg);
    case field::tcp_ece:
        return flag(decode::tcp_flag::ece);
    case field::tcp_cwr:
        return flag(decode::tcp_flag::cwr);
    case field::tcp_synack:
        return flag(decode::tcp_flag::syn | decode::tcp_flag::ack);
    case field::tcp_window:
        return out(std::uint64_t{h.window});
    case field::tcp_length:
        return out(std::uint64_t{h.payload_length});
    case field::tcp_payload:
        return h.payload().empty() ? void() : out(text_of(h.payload()));
    case field::tcp_checksum:
    case field::tcp_urgent_pointer:
        if (raw const header{h, h.transport_offset, 20}; header)
            out(header.u16(f == field::tcp_checksum ? 16 : 18));
        return;
    default:
        return;
    }
}

void udp(values& out, field f, decode::headers const& h) {
    switch (f) {
    case field::udp:
        return out(std::uint64_t{1});
    case field::udp_port:
        out(std::uint64_t{h.source_port});
        return out(std::uint64_t{h.destination_port});
    case field::udp_src_port:
        return out(std::uint64_t{h.source_port});
    case field::udp_dst_port:
        return out(std::uint64_t{h.destination_port});
    case field::udp_payload:
        return h.payload().empty() ? void() : out(text_of(h.payload()));
    default:
        if (raw const header{h, h.transport_offset, 8}; header && !h.is_later_fragment())
            out(header.u16(f == field::udp_length ? 4 : 6));
    }
}

void icmp(values& out, field f, decode::headers const& h) {
    if (f == field::icmp || f == field::icmpv6)
        out(std::uint64_t{1});
    else if (h.has_icmp)
        out(f == field::icmp_type || f == field::icmpv6_type ? std::uint64_t{h.icmp_type} : std::uint64_t{h.icmp_code});
}

void domains(values& out, dns::message const& m) {
    for (auto const& q : m.questions)
        out(std::string_view{q.name});
}

} // namespace

finding look(predicate const& p, decode::headers const& h) {
    values out{p};
    switch (info(p.field).protocol) {
    case field::frame_length:
        out(std::uint64_t{h.wire_length});
        break;
    case field::ethernet:
    case field::arp:
        ethernet(out, p.field, h);
        break;
    case field::vlan:
        vlans(out, p.field, h);
        break;
    case field::ip:
        if (h.has_ip())
            ip(out, p.field, h);
        break;
    case field::ipv4:
        if (h.ip_version == 4)
            ip(out, p.field, h);
        break;
    case field::ipv6:
        if (h.ip_version == 6)
            ip(out, p.field, h);
        break;
    case field::tcp:
        if (h.protocol == decode::protocol::tcp && h.has_ports)
            tcp(out, p.field, h);
        break;
    case field::udp:
        if (h.protocol == decode::protocol::udp && h.has_ports)
            udp(out, p.field, h);
        break;
    case field::sctp:
        if (h.protocol == decode::protocol::sctp)
            out(std::uint64_t{1});
        break;
    case field::icmp:
        if (h.protocol == decode::protocol::icmp && h.ip_version == 4)
            icmp(out, p.field, h);
        break;
    case field::icmpv6:
        if (h.protocol == decode::protocol::icmpv6 && h.ip_version == 6)
            icmp(out, p.field, h);
        break;
    default:
        break;
    }
    return out.found();
}

finding look_at_ends(predicate const& p, flow::endpoint const& initiator, flow::endpoint const& responder) {
    values out{p};
    if (p.field == field::conn_orig_addr || p.field == field::conn_resp_addr)
        out(p.field == field::conn_orig_addr ? initiator.address : responder.address);
    else
        out(std::uint64_t{p.field == field::conn_orig_port ? initiator.port : responder.port});
    return out.found();
}

finding look_at_text(predicate const& p, std::string_view text) {
    values out{p};
    out(text);
    return out.found();
}

finding look_at_number(predicate const& p, std::uint64_t number) {
    values out{p};
    out(number);
    return out.found();
}

finding look(predicate const& p, flow::flow_stats const& s) {
    values out{p};
    switch (p.field) {
    case field::conn_packets:
        out(s.packets());
        break;
    case field::conn_bytes:
        out(s.wire_bytes());
        break;
    case field::conn_orig_packets:
        out(s.forward.packets);
        break;
    case field::conn_resp_packets:
        out(s.reverse.packets);
        break;
    case field::conn_orig_bytes:
        out(s.forward.wire_bytes);
        break;
    case field::conn_resp_bytes:
        out(s.reverse.wire_bytes);
        break;
    case field::conn_duration:
        out(static_cast<std::uint64_t>(std::max<std::int64_t>((s.last_time - s.first_time).count(), 0)));
        break;
    case field::conn_state: {
        std::ostringstream name;
        name << s.state;
        out(std::string_view{name.str()});
        break;
    }
    case field::conn_history:
        out(std::string_view{s.history.str()});
        break;
    default:
        break;
    }
    return out.found();
}

finding look(predicate const& p, tls::client_hello const& hello) {
    values out{p};
    switch (p.field) {
    case field::tls_sni:
    case field::quic_sni:
        out.unless_empty(hello.server_name);
        break;
    case field::tls_alpn:
    case field::quic_alpn:
        for (auto const& name : hello.application_protocols)
            out(std::string_view{name});
        break;
    case field::tls_client_version:
        out(std::uint64_t{hello.version});
        for (auto const version : hello.supported_versions)
            out(std::uint64_t{version});
        break;
    case field::tls_client_cipher:
        for (auto const suite : hello.cipher_suites)
            out(std::uint64_t{suite});
        break;
    case field::tls_ja3:
        out(std::string_view{hello.ja3()});
        break;
    case field::tls_ja4:
        out(std::string_view{hello.ja4()});
        break;
    default:
        break;
    }
    return out.found();
}

finding look(predicate const& p, tls::server_hello const& hello) {
    values out{p};
    if (p.field == field::tls_version)
        out(std::uint64_t{hello.version});
    if (p.field == field::tls_cipher)
        out(std::uint64_t{hello.cipher_suite});
    if (p.field == field::tls_ja3s)
        out(std::string_view{hello.ja3s()});
    return out.found();
}

finding look(predicate const& p, http1::request const& r) {
    values out{p};
    switch (p.field) {
    case field::http_method:
        out(std::string_view{r.method});
        break;
    case field::http_uri:
        out(std::string_view{r.target});
        break;
    case field::http_host:
        out.unless_empty(r.fields["Host"]);
        break;
    case field::http_user_agent:
        out.unless_empty(r.fields["User-Agent"]);
        break;
    case field::http_cookie:
        out.unless_empty(r.fields["Cookie"]);
        break;
    case field::http_request_type:
        out.unless_empty(r.fields["Content-Type"]);
        break;
    case field::http_request_version:
        out(std::uint64_t{r.version});
        break;
    default:
        break;
    }
    return out.found();
}

finding look(predicate const& p, http1::response const& r) {
    values out{p};
    switch (p.field) {
    case field::http_status_code:
        out(std::uint64_t{r.status});
        break;
    case field::http_status_msg:
        out(std::string_view{r.reason});
        break;
    case field::http_response_type:
        out.unless_empty(r.fields["Content-Type"]);
        break;
    case field::http_response_length:
        out(r.body_size);
        break;
    default:
        break;
    }
    return out.found();
}

finding look(predicate const& p, dns::message const& m) {
    values out{p};
    switch (p.field) {
    case field::dns_id:
        out(std::uint64_t{m.id});
        break;
    case field::dns_response:
        out(std::uint64_t{m.is_response});
        break;
    case field::dns_opcode:
        out(std::uint64_t{m.opcode});
        break;
    case field::dns_response_code:
        if (m.is_response)
            out(std::uint64_t{m.response_code});
        break;
    case field::dns_query_domain:
        domains(out, m);
        break;
    case field::dns_query_type:
        for (auto const& q : m.questions)
            out(static_cast<std::uint64_t>(q.type));
        break;
    case field::dns_answer_addr:
        for (auto const& r : m.answers)
            if (auto const* const address = std::get_if<decode::ip_address>(&r.data))
                out(*address);
        break;
    case field::dns_answers:
        out(std::uint64_t{m.answers.size()});
        break;
    default:
        break;
    }
    return out.found();
}

finding look(predicate const& p, quic::initial const& initial) {
    values out{p};
    if (p.field == field::quic_version)
        out(std::uint64_t{initial.version});
    if (p.field == field::quic_ja4)
        out(std::string_view{initial.ja4()});
    if (p.field == field::quic_sni || p.field == field::quic_alpn)
        return look(p, initial.hello);
    return out.found();
}

finding look(predicate const& p, message const& whole) {
    struct visitor {
        predicate const& p;
        finding protocol(field of) const { return {p.field == of, p.field == of}; }
        finding operator()(tls::handshake const& h) const {
            return protocol(field::tls) | (h.client ? look(p, *h.client) : finding{}) |
                   (h.server ? look(p, *h.server) : finding{});
        }
        finding operator()(http_exchange const& e) const {
            return protocol(field::http) | look(p, e.request) | (e.response ? look(p, *e.response) : finding{});
        }
        finding operator()(dns::message const& m) const { return protocol(field::dns) | look(p, m); }
        finding operator()(quic::initial const& i) const { return protocol(field::quic) | look(p, i); }
    };
    return std::visit(visitor{p}, whole);
}

} // namespace netring_asio::subscription::detail
