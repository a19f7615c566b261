#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace netring_asio {

/// One of the two interfaces of a bridge.
enum class bridge_side : std::uint8_t { left, right };

/// What becomes of a packet.
enum class bridge_verdict : std::uint8_t { forward, drop };

/// A packet on its way through a bridge, as its filter sees and may change it.
///
/// @par Lifetime
/// Valid during the call of the filter.
class NETRING_ASIO_API bridge_packet {
public:
    /// Where it came from.
    bridge_side from() const noexcept { return from_; }

    /// The packet as it is sent if nothing else is done: what arrived, or the changed copy.
    packet_view const& view() const noexcept { return view_; }
    packet_view const* operator->() const noexcept { return &view_; }

    /// The bytes of a copy, to be changed. It is made by the first call, in memory that serves again.
    ///
    /// A checksum that is `checksum_state::partial` is finished after the change; any other is for the filter to
    /// correct. While it is partial, and in a frame that is to be cut into segments, `view().offload` must go on to
    /// tell where the headers are.
    std::span<std::byte> modify();

    /// Makes the copy shorter, or longer by bytes that are 0. Spans obtained before are void.
    void resize(std::size_t size);

    /// Replaces the tag that stands beside the bytes, and is put into the frame when it is sent; `{}` takes it away.
    void set_vlan(vlan_tag value) noexcept { view_.vlan = value; }

    /// Used by the bridge: for the next packet.
    void assign(bridge_side from, packet_view const& packet) noexcept {
        from_ = from;
        view_ = packet;
        copied_ = false;
    }

private:
    packet_view view_;
    std::vector<std::byte> copy_;
    bridge_side from_ = bridge_side::left;
    bool copied_ = false;
};

} // namespace netring_asio
