#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/subscription/expression.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The fields for expressions written in C++, which the compiler checks.
/// @code
/// fields::tcp_port.in({80, 443}) && !fields::tls_sni.matches("example")
/// @endcode
namespace netring_asio::subscription::fields {

namespace detail {
using namespace subscription::detail;

struct any_field {
    field id;

    /// The field is there; a flag is set.
    operator expression() const { return make(relation::present, {}); }
    friend expression operator&&(any_field a, expression const& b) { return expression{a} && b; }
    friend expression operator||(any_field a, expression const& b) { return expression{a} || b; }
    friend expression operator!(any_field a) { return !expression{a}; }

protected:
    expression make(relation how, std::vector<value> values, bool negated = false) const {
        return make_expression({id, how, negated, std::move(values), nullptr});
    }
};

/// Addresses are given as text, with or without the length of a prefix; throws where it is no address of this kind.
NETRING_ASIO_API std::vector<value> addresses(field id, std::initializer_list<std::string_view> texts);
} // namespace detail

struct protocol : detail::any_field {};
struct flag : detail::any_field {};

/// Of durations the number is nanoseconds.
struct number : detail::any_field {
    using range = std::pair<std::uint64_t, std::uint64_t>; ///< both ends belong to it
    static constexpr auto most = std::numeric_limits<std::uint64_t>::max();

    expression in(range r) const { return make(detail::relation::equal, {detail::number_range{r.first, r.second}}); }
    expression in(std::initializer_list<std::uint64_t> values) const {
        std::vector<detail::value> list;
        for (auto const v : values)
            list.emplace_back(detail::number_range{v, v});
        return make(detail::relation::equal, std::move(list));
    }
    friend expression operator==(number f, std::uint64_t v) { return f.in(range{v, v}); }
    friend expression operator!=(number f, std::uint64_t v) {
        return f.make(detail::relation::equal, {detail::number_range{v, v}}, true);
    }
    friend expression operator<(number f, std::uint64_t v) { return f.in(v == 0 ? range{1, 0} : range{0, v - 1}); }
    friend expression operator<=(number f, std::uint64_t v) { return f.in(range{0, v}); }
    friend expression operator>(number f, std::uint64_t v) {
        return f.in(v == most ? range{1, 0} : range{v + 1, most});
    }
    friend expression operator>=(number f, std::uint64_t v) { return f.in(range{v, most}); }
};

struct duration : detail::any_field {
    using nanoseconds = std::chrono::nanoseconds;

    friend expression operator<(duration f, nanoseconds v) { return number{{f.id}} < count(v); }
    friend expression operator<=(duration f, nanoseconds v) { return number{{f.id}} <= count(v); }
    friend expression operator>(duration f, nanoseconds v) { return number{{f.id}} > count(v); }
    friend expression operator>=(duration f, nanoseconds v) { return number{{f.id}} >= count(v); }

private:
    static std::uint64_t count(nanoseconds v) noexcept {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(v.count(), 0));
    }
};

struct address : detail::any_field {
    expression in(std::initializer_list<std::string_view> texts) const {
        return make(detail::relation::equal, detail::addresses(id, texts));
    }
    friend expression operator==(address f, std::string_view text) { return f.in({text}); }
    friend expression operator!=(address f, std::string_view text) {
        return f.make(detail::relation::equal, detail::addresses(f.id, {text}), true);
    }
};

struct text : detail::any_field {
    expression in(std::initializer_list<std::string_view> values) const {
        std::vector<detail::value> list;
        for (auto const v : values)
            list.emplace_back(std::string{v});
        return make(detail::relation::equal, std::move(list));
    }
    expression contains(std::string_view part) const { return make(detail::relation::contains, {std::string{part}}); }
    /// Throws where it is no regular expression.
    expression matches(std::string_view pattern) const {
        return make(detail::relation::matches, {std::string{pattern}});
    }
    friend expression operator==(text f, std::string_view v) { return f.in({v}); }
    friend expression operator!=(text f, std::string_view v) {
        return f.make(detail::relation::equal, {std::string{v}}, true);
    }
};

inline constexpr protocol ethernet{{field::ethernet}};
inline constexpr protocol vlan{{field::vlan}};
inline constexpr protocol arp{{field::arp}};
inline constexpr protocol ip{{field::ip}};
inline constexpr protocol ipv4{{field::ipv4}};
inline constexpr protocol ipv6{{field::ipv6}};
inline constexpr protocol tcp{{field::tcp}};
inline constexpr protocol udp{{field::udp}};
inline constexpr protocol sctp{{field::sctp}};
inline constexpr protocol icmp{{field::icmp}};
inline constexpr protocol icmpv6{{field::icmpv6}};
inline constexpr protocol tls{{field::tls}};
inline constexpr protocol http{{field::http}};
inline constexpr protocol dns{{field::dns}};
inline constexpr protocol quic{{field::quic}};
inline constexpr address ip_addr{{field::ip_addr}};
inline constexpr address ipv4_addr{{field::ipv4_addr}};
inline constexpr address ipv6_addr{{field::ipv6_addr}};
inline constexpr number tcp_port{{field::tcp_port}};
inline constexpr number udp_port{{field::udp_port}};
inline constexpr number frame_length{{field::frame_length}};
inline constexpr address ethernet_src{{field::ethernet_src}};
inline constexpr address ethernet_dst{{field::ethernet_dst}};
inline constexpr address ethernet_addr{{field::ethernet_addr}};
inline constexpr number ethernet_type{{field::ethernet_type}};
inline constexpr number vlan_id{{field::vlan_id}};
inline constexpr number vlan_priority{{field::vlan_priority}};
inline constexpr address ip_src_addr{{field::ip_src_addr}};
inline constexpr address ip_dst_addr{{field::ip_dst_addr}};
inline constexpr number ip_length{{field::ip_length}};
inline constexpr number ip_hop_limit{{field::ip_hop_limit}};
inline constexpr flag ip_fragment{{field::ip_fragment}};
inline constexpr address ipv4_src_addr{{field::ipv4_src_addr}};
inline constexpr address ipv4_dst_addr{{field::ipv4_dst_addr}};
inline constexpr number ipv4_header_length{{field::ipv4_header_length}};
inline constexpr number ipv4_dscp{{field::ipv4_dscp}};
inline constexpr number ipv4_ecn{{field::ipv4_ecn}};
inline constexpr number ipv4_total_length{{field::ipv4_total_length}};
inline constexpr number ipv4_identification{{field::ipv4_identification}};
inline constexpr flag ipv4_df{{field::ipv4_df}};
inline constexpr flag ipv4_mf{{field::ipv4_mf}};
inline constexpr number ipv4_fragment_offset{{field::ipv4_fragment_offset}};
inline constexpr number ipv4_time_to_live{{field::ipv4_time_to_live}};
inline constexpr number ipv4_protocol{{field::ipv4_protocol}};
inline constexpr number ipv4_header_checksum{{field::ipv4_header_checksum}};
inline constexpr address ipv6_src_addr{{field::ipv6_src_addr}};
inline constexpr address ipv6_dst_addr{{field::ipv6_dst_addr}};
inline constexpr number ipv6_dscp{{field::ipv6_dscp}};
inline constexpr number ipv6_ecn{{field::ipv6_ecn}};
inline constexpr number ipv6_flow_label{{field::ipv6_flow_label}};
inline constexpr number ipv6_payload_length{{field::ipv6_payload_length}};
inline constexpr number ipv6_next_header{{field::ipv6_next_header}};
inline constexpr number ipv6_hop_limit{{field::ipv6_hop_limit}};
inline constexpr number tcp_src_port{{field::tcp_src_port}};
inline constexpr number tcp_dst_port{{field::tcp_dst_port}};
inline constexpr number tcp_seq_no{{field::tcp_seq_no}};
inline constexpr number tcp_ack_no{{field::tcp_ack_no}};
inline constexpr number tcp_data_offset{{field::tcp_data_offset}};
inline constexpr number tcp_flags{{field::tcp_flags}};
inline constexpr flag tcp_fin{{field::tcp_fin}};
inline constexpr flag tcp_syn{{field::tcp_syn}};
inline constexpr flag tcp_rst{{field::tcp_rst}};
inline constexpr flag tcp_psh{{field::tcp_psh}};
inline constexpr flag tcp_ack{{field::tcp_ack}};
inline constexpr flag tcp_urg{{field::tcp_urg}};
inline constexpr flag tcp_ece{{field::tcp_ece}};
inline constexpr flag tcp_cwr{{field::tcp_cwr}};
inline constexpr flag tcp_synack{{field::tcp_synack}};
inline constexpr number tcp_window{{field::tcp_window}};
inline constexpr number tcp_checksum{{field::tcp_checksum}};
inline constexpr number tcp_urgent_pointer{{field::tcp_urgent_pointer}};
inline constexpr number tcp_length{{field::tcp_length}};
inline constexpr text tcp_payload{{field::tcp_payload}};
inline constexpr number udp_src_port{{field::udp_src_port}};
inline constexpr number udp_dst_port{{field::udp_dst_port}};
inline constexpr number udp_length{{field::udp_length}};
inline constexpr number udp_checksum{{field::udp_checksum}};
inline constexpr text udp_payload{{field::udp_payload}};
inline constexpr number icmp_type{{field::icmp_type}};
inline constexpr number icmp_code{{field::icmp_code}};
inline constexpr number icmpv6_type{{field::icmpv6_type}};
inline constexpr number icmpv6_code{{field::icmpv6_code}};
inline constexpr address conn_orig_addr{{field::conn_orig_addr}};
inline constexpr address conn_resp_addr{{field::conn_resp_addr}};
inline constexpr number conn_orig_port{{field::conn_orig_port}};
inline constexpr number conn_resp_port{{field::conn_resp_port}};
inline constexpr text conn_service{{field::conn_service}};
inline constexpr number conn_packets{{field::conn_packets}};
inline constexpr number conn_bytes{{field::conn_bytes}};
inline constexpr number conn_orig_packets{{field::conn_orig_packets}};
inline constexpr number conn_resp_packets{{field::conn_resp_packets}};
inline constexpr number conn_orig_bytes{{field::conn_orig_bytes}};
inline constexpr number conn_resp_bytes{{field::conn_resp_bytes}};
inline constexpr duration conn_duration{{field::conn_duration}};
inline constexpr text conn_state{{field::conn_state}};
inline constexpr text conn_history{{field::conn_history}};
inline constexpr text tls_sni{{field::tls_sni}};
inline constexpr text tls_alpn{{field::tls_alpn}};
inline constexpr number tls_client_version{{field::tls_client_version}};
inline constexpr number tls_client_cipher{{field::tls_client_cipher}};
inline constexpr text tls_ja3{{field::tls_ja3}};
inline constexpr text tls_ja4{{field::tls_ja4}};
inline constexpr number tls_version{{field::tls_version}};
inline constexpr number tls_cipher{{field::tls_cipher}};
inline constexpr text tls_ja3s{{field::tls_ja3s}};
inline constexpr text http_method{{field::http_method}};
inline constexpr text http_uri{{field::http_uri}};
inline constexpr text http_host{{field::http_host}};
inline constexpr text http_user_agent{{field::http_user_agent}};
inline constexpr text http_cookie{{field::http_cookie}};
inline constexpr number http_request_version{{field::http_request_version}};
inline constexpr text http_request_type{{field::http_request_type}};
inline constexpr number http_status_code{{field::http_status_code}};
inline constexpr text http_status_msg{{field::http_status_msg}};
inline constexpr text http_response_type{{field::http_response_type}};
inline constexpr number http_response_length{{field::http_response_length}};
inline constexpr number dns_id{{field::dns_id}};
inline constexpr flag dns_response{{field::dns_response}};
inline constexpr number dns_opcode{{field::dns_opcode}};
inline constexpr number dns_response_code{{field::dns_response_code}};
inline constexpr text dns_query_domain{{field::dns_query_domain}};
inline constexpr number dns_query_type{{field::dns_query_type}};
inline constexpr address dns_answer_addr{{field::dns_answer_addr}};
inline constexpr number dns_answers{{field::dns_answers}};
inline constexpr number quic_version{{field::quic_version}};
inline constexpr text quic_sni{{field::quic_sni}};
inline constexpr text quic_alpn{{field::quic_alpn}};
inline constexpr text quic_ja4{{field::quic_ja4}};

} // namespace netring_asio::subscription::fields
