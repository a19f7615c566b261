#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <utility>
#include <vector>

namespace netring_asio {

/// A packet with its own copy of the bytes.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
class owned_packet {
public:
    owned_packet() = default;
    explicit owned_packet(packet_view const& packet) { assign(packet); }
    owned_packet(owned_packet const& other) { assign(other.view_); }
    owned_packet(owned_packet&& other) noexcept
        : bytes_{std::move(other.bytes_)}
        , view_{std::exchange(other.view_, {})} {}
    owned_packet& operator=(owned_packet const& other) {
        if (this != &other)
            assign(other.view_);
        return *this;
    }
    owned_packet& operator=(owned_packet&& other) noexcept {
        bytes_ = std::move(other.bytes_);
        view_ = std::exchange(other.view_, {});
        return *this;
    }

    /// Copies a packet, reusing the memory of the one before. The packet must not be a view of this object.
    void assign(packet_view const& packet) {
        bytes_.assign(packet.data.begin(), packet.data.end());
        view_ = packet;
        view_.data = bytes_;
    }

    packet_view const& view() const noexcept { return view_; }
    operator packet_view const&() const noexcept { return view_; }
    packet_view const* operator->() const noexcept { return &view_; }

private:
    std::vector<std::byte> bytes_;
    packet_view view_{};
};

} // namespace netring_asio
