#pragma once

#include <netring_asio/detail/api.hpp>

#include <cstdint>
#include <span>
#include <string_view>

/// What is wanted of packets, connections and sessions, declared instead of programmed.
namespace netring_asio::subscription {

/// Protocols and fields that an expression may name. `all_fields()` lists them with their names.
enum class field : std::uint8_t {
    // Protocols
    ethernet,
    vlan,
    arp,
    ip,
    ipv4,
    ipv6,
    tcp,
    udp,
    sctp,
    icmp,
    icmpv6,
    tls,
    http,
    dns,
    quic,
    // The same for all packets of a connection
    ip_addr,
    ipv4_addr,
    ipv6_addr,
    tcp_port,
    udp_port,
    // Of a packet
    frame_length,
    ethernet_src,
    ethernet_dst,
    ethernet_addr,
    ethernet_type,
    vlan_id,
    vlan_priority,
    ip_src_addr,
    ip_dst_addr,
    ip_length,
    ip_hop_limit,
    ip_fragment,
    ipv4_src_addr,
    ipv4_dst_addr,
    ipv4_header_length,
    ipv4_dscp,
    ipv4_ecn,
    ipv4_total_length,
    ipv4_identification,
    ipv4_df,
    ipv4_mf,
    ipv4_fragment_offset,
    ipv4_time_to_live,
    ipv4_protocol,
    ipv4_header_checksum,
    ipv6_src_addr,
    ipv6_dst_addr,
    ipv6_dscp,
    ipv6_ecn,
    ipv6_flow_label,
    ipv6_payload_length,
    ipv6_next_header,
    ipv6_hop_limit,
    tcp_src_port,
    tcp_dst_port,
    tcp_seq_no,
    tcp_ack_no,
    tcp_data_offset,
    tcp_flags,
    tcp_fin,
    tcp_syn,
    tcp_rst,
    tcp_psh,
    tcp_ack,
    tcp_urg,
    tcp_ece,
    tcp_cwr,
    tcp_synack,
    tcp_window,
    tcp_checksum,
    tcp_urgent_pointer,
    tcp_length,
    tcp_payload,
    udp_src_port,
    udp_dst_port,
    udp_length,
    udp_checksum,
    udp_payload,
    icmp_type,
    icmp_code,
    icmpv6_type,
    icmpv6_code,
    // Of a connection
    conn_orig_addr,
    conn_resp_addr,
    conn_orig_port,
    conn_resp_port,
    conn_service,
    conn_packets,
    conn_bytes,
    conn_orig_packets,
    conn_resp_packets,
    conn_orig_bytes,
    conn_resp_bytes,
    conn_duration,
    conn_state,
    conn_history,
    // Of a session
    tls_sni,
    tls_alpn,
    tls_client_version,
    tls_client_cipher,
    tls_ja3,
    tls_ja4,
    tls_version,
    tls_cipher,
    tls_ja3s,
    http_method,
    http_uri,
    http_host,
    http_user_agent,
    http_cookie,
    http_request_version,
    http_request_type,
    http_status_code,
    http_status_msg,
    http_response_type,
    http_response_length,
    dns_id,
    dns_response,
    dns_opcode,
    dns_response_code,
    dns_query_domain,
    dns_query_type,
    dns_answer_addr,
    dns_answers,
    quic_version,
    quic_sni,
    quic_alpn,
    quic_ja4,
};

/// What the values of a field are.
enum class field_type : std::uint8_t {
    protocol, ///< none: a packet, connection or session has it or not
    flag,
    number,
    duration,
    mac_address,
    ipv4_address,
    ipv6_address,
    ip_address,
    text,
    bytes,
};

/// When the values of a field are known.
enum class stage : std::uint8_t {
    tuple,      ///< with the first packet of a connection, and for all others
    frame,      ///< with each packet, for that packet
    connection, ///< when the connection has ended; a lower bound of a counter as soon as it is reached
    session,    ///< with the messages of the connection
};

/// A field as it is registered.
struct field_info {
    subscription::field field;
    std::string_view name;
    field_type type;
    subscription::stage stage;
    subscription::field protocol; ///< what it belongs to; of a field of connections itself
};

/// All fields, by the number of their enumerator.
NETRING_ASIO_API std::span<field_info const> all_fields() noexcept;
inline field_info const& info(field of) noexcept { return all_fields()[static_cast<std::size_t>(of)]; }

} // namespace netring_asio::subscription
