#pragma once

#include <netring_asio/filter.hpp>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace netring_asio {

/// How the kernel spreads packets over the members of a fanout group (packet(7), PACKET_FANOUT).
///
/// With `hash` the fragments of a datagram go elsewhere than whole packets of the same flow; `defragment` mends that
/// for IPv4. With `addresses` they need no mending; with `flows` the `shards` do it, for IPv4 and IPv6 and in tunnels.
enum class fanout_mode : std::uint8_t {
    hash = 0,          ///< by flow hash: both directions and all packets of a flow reach one member
    load_balance = 1,  ///< round robin
    cpu = 2,           ///< by the CPU that received the packet
    rollover = 3,      ///< one member until it is full, then the next
    random = 4,        ///< at random
    queue_mapping = 5, ///< by the receive queue of the device
    classic_bpf = 6,   ///< a classic BPF program returns the member; set it with `program`
    extended_bpf = 7,  ///< an extended BPF program returns the member; set it with `program`
    flows = 254,     ///< as `addresses`, and by ports; fragments go by addresses, and `shards` hands them on: a program
    addresses = 255, ///< by the innermost pair of IP addresses, both directions and all fragments: a classic program
};

/// Membership in a fanout group.
///
/// The group's members must agree on mode and flags and be bound to the same interface. By default the kernel picks an
/// id that nobody uses, which `capture::fanout_id()` tells; give that number to the other members.
class fanout_options {
public:
    explicit fanout_options(fanout_mode mode = fanout_mode::hash) noexcept
        : mode_{mode} {}

    /// Join this group instead of making a new one with a unique id.
    fanout_options& id(std::uint16_t value) noexcept {
        id_ = value;
        return *this;
    }
    /// When the chosen member is full, try the next (not with `rollover` itself).
    fanout_options& roll_over(bool value) noexcept {
        roll_over_ = value;
        return *this;
    }
    /// Reassemble IPv4 fragments before choosing, so that they follow their flow.
    fanout_options& defragment(bool value) noexcept {
        defragment_ = value;
        return *this;
    }
    /// Members that the group may have, 1 to 65536; the kernel's default is 256. The first member decides.
    fanout_options& maximum_members(std::uint32_t value) noexcept {
        maximum_members_ = value;
        return *this;
    }
    /// The program of `classic_bpf`. It sees the packet *from the network header*.
    fanout_options& program(std::vector<filter::instruction> value) {
        classic_program_ = std::move(value);
        return *this;
    }
    /// The program of `extended_bpf`, a loaded socket filter; borrowed until the capture is open.
    fanout_options& program(int program_descriptor) noexcept {
        extended_program_ = program_descriptor;
        return *this;
    }

    fanout_mode mode() const noexcept { return mode_; }
    std::optional<std::uint16_t> id() const noexcept { return id_; }
    bool roll_over() const noexcept { return roll_over_; }
    bool defragment() const noexcept { return defragment_; }
    std::uint32_t maximum_members() const noexcept { return maximum_members_; }
    std::vector<filter::instruction> const& classic_program() const noexcept { return classic_program_; }
    int extended_program() const noexcept { return extended_program_; }

private:
    std::vector<filter::instruction> classic_program_;
    std::optional<std::uint16_t> id_;
    std::uint32_t maximum_members_ = 0;
    int extended_program_ = -1;
    fanout_mode mode_;
    bool roll_over_ = false;
    bool defragment_ = false;
};

} // namespace netring_asio
