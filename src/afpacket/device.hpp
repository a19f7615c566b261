#pragma once

#include "../detail/unique_descriptor.hpp"
#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <cstddef>
#include <optional>
#include <string>

namespace netring_asio::afpacket::detail {

using netring_asio::detail::unique_descriptor;

/// What opening a packet socket needs to know of a network device.
struct device {
    std::string name;
    int index = 0;
    unsigned short hardware_type = 0; // ARPHRD_*
};

enum class link_state { up, down, removed };

/// The header that packets of a device of this ARPHRD_* type are captured with. Devices with link headers of their own
/// are captured as Linux cooked packets.
link_type capture_link(unsigned short hardware_type) noexcept;

// These ask in the network namespace of `socket`, whichever the calling thread is in.

NETRING_ASIO_API device find_device(int socket, std::string const& name, error_code& ec);
NETRING_ASIO_API device find_device(int socket, int index, error_code& ec);
NETRING_ASIO_API link_state query_link(int socket, int index) noexcept;
/// The same for a packet socket that is bound to the device: removed as well where the socket has lost it, for a device
/// that went to another namespace and came back has the index that it had.
NETRING_ASIO_API link_state query_bound_link(int socket, int index) noexcept;
/// Whether frames for it are discarded without an error: it is being taken down, or has no carrier.
bool discards_frames(int socket, int index) noexcept;
/// The MTU, or nothing if the device is gone.
NETRING_ASIO_API std::optional<std::size_t> query_mtu(int socket, int index) noexcept;

/// Whether the device stamps received packets by its own clock; switches that on where it can.
bool enable_hardware_timestamps(int socket, std::string const& name) noexcept;

/// A socket that becomes readable when any link of the calling thread's namespace changes. It is a doorbell only: it
/// may overflow, and the state is read anew each time.
NETRING_ASIO_API unique_descriptor open_link_events(error_code& ec);

/// Empties the socket of `open_link_events`.
NETRING_ASIO_API void drain_link_events(int socket) noexcept;

} // namespace netring_asio::afpacket::detail
