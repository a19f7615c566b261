#pragma once

#include "ebpf.hpp"

#include <array>
#include <cstdint>
#include <type_traits>

namespace netring_asio::afxdp::detail {

/// The key of the bypass map: one direction of a connection, as in its frames.
struct bypass_direction {
    std::array<std::uint8_t, 16> source, destination;
    std::array<std::uint8_t, 4> ports; // of source and destination
    std::uint8_t protocol;
    std::array<std::uint8_t, 3> zero;
};
static_assert(sizeof(bypass_direction) == 40 && std::has_unique_object_representations_v<bypass_direction>);

/// Its value, in nanoseconds of CLOCK_MONOTONIC.
struct bypass_times {
    std::uint64_t until;
    std::uint64_t last; // frame that passed
};

/// Jumps to `passed` with the frame of a connection in the map; goes on with any other. `context` and `data` hold what
/// they are called, and `spare` and `other` nothing.
struct bypass_registers {
    std::uint8_t context, data, spare, other;
};
void skip_bypassed(ebpf_assembler& out, int map, bypass_registers const& in, ebpf_assembler::label passed);

} // namespace netring_asio::afxdp::detail
