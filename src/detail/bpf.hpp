#pragma once

#include <cstdint>

#include <linux/bpf_common.h>

// The part of classic BPF that <linux/bpf_common.h> leaves to <linux/filter.h>, which does not go with <pcap/bpf.h>.
namespace netring_asio::detail::bpf {

inline constexpr std::uint32_t scratch_words = 16;
/// What a filter returns to take a frame uncut.
inline constexpr std::uint32_t everything = 0xffffffff;

inline constexpr std::uint16_t ret_a = 0x10;
inline constexpr std::uint16_t tax = 0x00;
inline constexpr std::uint16_t txa = 0x80;

/// The kernel's ancillary loads: an absolute load from these offsets reads metadata.
namespace ancillary {
inline constexpr std::uint32_t first = 0xfffff000;
inline constexpr std::uint32_t protocol = first;
inline constexpr std::uint32_t packet_type = first + 4;
inline constexpr std::uint32_t interface_index = first + 8;
inline constexpr std::uint32_t hardware_type = first + 28;
inline constexpr std::uint32_t vlan_tci = first + 44;
inline constexpr std::uint32_t vlan_present = first + 48;
inline constexpr std::uint32_t vlan_tpid = first + 60;
} // namespace ancillary

/// Offsets from here on are no offsets to the kernel, but negative numbers.
inline constexpr std::uint32_t first_negative = 0x80000000;

constexpr bool is_absolute_load(std::uint16_t code) noexcept {
    return BPF_CLASS(code) == BPF_LD && BPF_MODE(code) == BPF_ABS;
}
constexpr bool is_conditional_jump(std::uint16_t code) noexcept {
    return BPF_CLASS(code) == BPF_JMP && BPF_OP(code) != BPF_JA;
}
constexpr bool is_jump(std::uint16_t code) noexcept { return code == (BPF_JMP | BPF_JA); }

/// The metadata that a `packet_view` has as well, and that means the same on every packet.
constexpr bool is_portable_ancillary(std::uint32_t k) noexcept {
    return k == ancillary::packet_type || k == ancillary::interface_index;
}

} // namespace netring_asio::detail::bpf
