#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace bench {

/// What every candidate does: sends numbered frames, each copied from memory of its own, 128 to a system call.
struct sending {
    std::string interface;
    std::size_t length = 60;
    std::uint64_t count = 0;
    bool bypass = false; ///< of the queueing discipline
};

inline constexpr std::size_t burst = 128;
inline constexpr std::size_t ring_frames = 512;
inline constexpr std::size_t ring_frame_size = 2048;

/// The frames of a burst, of an ethertype that nobody answers.
class frame_burst {
public:
    explicit frame_burst(std::size_t length)
        : length_{length}
        , bytes_(length * burst) {
        for (std::size_t i = 0; i != burst; ++i) {
            auto const frame = (*this)[i];
            frame[0] = frame[6] = std::byte{2};
            frame[12] = std::byte{0x88};
            frame[13] = std::byte{0xb5};
        }
    }
    std::span<std::byte> operator[](std::size_t i) noexcept { return {bytes_.data() + i * length_, length_}; }
    /// Writes their numbers into them, as every candidate does before it sends a burst.
    void number(std::uint64_t first) noexcept {
        for (std::size_t i = 0; i != burst; ++i, ++first)
            std::memcpy((*this)[i].data() + 14, &first, sizeof first);
    }

private:
    std::size_t length_;
    std::vector<std::byte> bytes_;
};

/// The least that a program must do to send through a TPACKET_V3 ring.
void send_by_ring_loop(sending const& what);
/// `sendmmsg` on a packet socket.
void send_by_messages(sending const& what);
/// `injector::async_send_frames` in a coroutine.
void send_by_injector(sending const& what);
/// `injector::try_reserve` and `flush`, in a coroutine that waits for room with `async_reserve`.
void send_by_reservation(sending const& what);

} // namespace bench
