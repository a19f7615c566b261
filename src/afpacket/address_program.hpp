#pragma once

#include <netring_asio/filter.hpp>

#include <vector>

namespace netring_asio::afpacket::detail {

/// The program of a fanout group by address pairs (packet(7), PACKET_FANOUT_CBPF): a number that is the same for both
/// directions and for every fragment of what two hosts say to each other.
///
/// Looks through tags, IP in IP, GRE, VXLAN, Geneve and GTP-U without extensions, two tunnels deep. A fragment of a
/// tunnel's own packet is told by the tunnel's ends, as its later fragments could not be told otherwise. What is no IP
/// is 0. Classic BPF, because extended needs a privilege beyond that of capturing.
std::vector<filter::instruction> make_address_program();

/// The same by ports too, where TCP, UDP, UDP-Lite or SCTP follows an IP header at once. What is a fragment, or has
/// IPv6 extension headers, goes by its addresses.
std::vector<filter::instruction> make_flow_program();

/// `make_flow_program` for user space: over the bytes from the EtherType on.
std::vector<filter::instruction> make_flow_place_program();

/// Over these bytes: at what offset the IP header begins for which `make_flow_program` leaves ports out though there
/// may be some, 0 if there is none.
std::vector<filter::instruction> make_unplaced_program();

} // namespace netring_asio::afpacket::detail
