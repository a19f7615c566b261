#pragma once

#include <netring_asio/packet/packet_owner.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <utility>

namespace netring_asio {

/// A packet kept beyond its batch without a copy, made by `packet_batch::hold`.
///
/// A copyable handle. It pins the memory its packet lies in, on AF_PACKET the whole block. Sources therefore have a pin
/// budget, over which `hold` makes a copy instead. However long it is kept, it does not stop its source.
///
/// @par Lifetime
/// Independent of the batch, of the source and of its `io_context`.
///
/// @par Thread safety
/// Distinct handles may be used and destroyed on any thread, also where they share a packet.
class frame {
public:
    frame() = default;
    frame(packet_view const& packet, packet_owner_ptr owner, bool copied = false) noexcept
        : packet_{packet}
        , owner_{std::move(owner)}
        , copied_{copied} {}

    packet_view const& operator*() const noexcept { return packet_; }
    packet_view const* operator->() const noexcept { return &packet_; }
    explicit operator bool() const noexcept { return owner_ != nullptr; }

    /// The pin budget was used up, so this is a copy of the packet.
    bool copied() const noexcept { return copied_; }

    void reset() noexcept { *this = {}; }

private:
    packet_view packet_{};
    packet_owner_ptr owner_;
    bool copied_ = false;
};

inline frame packet_owner::hold(packet_view const& packet) { return {packet, packet_owner_ptr{this}}; }

} // namespace netring_asio
