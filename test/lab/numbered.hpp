#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <lab/lab.hpp>
#include <optional>
#include <span>
#include <vector>

namespace lab {

/// Ethertype of the test frames: for local experiments, so that no protocol stack looks at them.
inline constexpr std::uint16_t numbered_ethertype = 0x88b5;

/// The number that a frame carries in the eight bytes after its ethertype, or nothing for any other frame.
std::optional<std::uint64_t> frame_number(std::span<std::byte const> frame) noexcept;

/// Frames to send: numbered from `first` on without a gap.
struct numbered {
    std::uint64_t count = 1;
    std::size_t size = 60;  ///< whole frame without checksum, at least 22
    std::uint64_t rate = 0; ///< frames a second; 0 sends as fast as the device takes them
    std::uint64_t first = 0;
};

/// Sends numbered frames through a plain packet socket on an interface of the calling thread's namespace.
/// Throws where the device refuses a frame; returns when the last was handed to it.
void send_numbered(std::string const& interface, std::span<std::uint8_t const, 6> destination, numbered const& frames);

/// The same from one side to the other, on the calling thread.
void send_numbered(side const& from, side const& to, numbered const& frames);

/// The same by another process, for traffic beside the test's own thread.
process start_sender(side const& from, side const& to, numbered const& frames);

/// Receives numbered frames through a plain packet socket, from its construction on.
class numbered_receiver {
public:
    explicit numbered_receiver(side const& at);
    ~numbered_receiver();
    numbered_receiver(numbered_receiver const&) = delete;
    numbered_receiver& operator=(numbered_receiver const&) = delete;

    /// The numbers in order of arrival: returns once there are `count`, or when none came for `limit`.
    std::vector<std::uint64_t> receive(std::size_t count, std::chrono::milliseconds limit = std::chrono::seconds{2});

private:
    int socket_;
};

} // namespace lab
