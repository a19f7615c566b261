#pragma once

#include "ebpf.hpp"
#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/filter.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace netring_asio::afxdp::detail {

/// What an XDP program is made of.
struct xdp_code {
    std::span<filter const> filters{}; ///< it redirects what one of them accepts
    bool multi_buffer = false;         ///< it looks beyond the first buffer of a frame
    /// The BTF id of bpf_xdp_metadata_rx_vlan_tag, by which it sees tags that the device took out.
    std::optional<std::int32_t> tag_function{};
    /// Whether it writes `rx_metadata` before each frame, by the tag's function and these.
    bool metadata = false;
    std::optional<std::int32_t> time_function{}, hash_function{};
    int map = -1;      ///< the XSKMAP; without one the program returns XDP_TX for what it would redirect
    int counters = -1; ///< a per-CPU array: frames passed; those of them for a queue that is not open; those bypassed
    int bypass = -1;   ///< the map of connections whose frames it passes
};

/// Whether the verdict depends on tags: it cannot be had where they are out of sight.
NETRING_ASIO_API bool looks_at_tags(filter const& wanted) noexcept;

/// Translates classic into extended BPF (Documentation/networking/filter.rst): each filter is a run of instructions
/// with A and X in registers, every load checked against the end of the frame, which is what libpcap's interpreter
/// does, so that the verdict is the same.
///
/// @par Errors
/// `error::unsupported_filter` (backward jumps, packet types, what cannot be decided in the kernel),
/// `filter_too_long`.
NETRING_ASIO_API std::vector<bpf_insn> make_xdp_program(xdp_code const& code, error_code& ec);

} // namespace netring_asio::afxdp::detail
