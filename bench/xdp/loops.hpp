#pragma once

#include "../receive/receiver.hpp"
#include "../transmit/sender.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace bench {

/// What every candidate gets.
inline constexpr std::uint32_t xdp_ring = 65'536; ///< places to receive; twice as many chunks
inline constexpr std::uint32_t xdp_send_ring = 2048;
inline constexpr std::uint32_t xdp_batch = 256;
inline constexpr std::chrono::microseconds latency_budget{500};

/// One way to send, under measurement: each frame copied from memory of its own, a burst to a system call.
class sender {
public:
    virtual ~sender() = default;
    virtual void send(frame_burst& frames, std::uint64_t count) = 0;
};

/// One way to forward, in place.
class forwarder {
public:
    virtual ~forwarder() = default;
    /// Forwards this many frames, which are in the ring already.
    virtual void forward(std::uint64_t count) = 0;
};

/// The hand-written minimum over libxdp, in `bench/floor`.
std::unique_ptr<receiver> make_xdp_loop(std::string const& interface, block_timeout);
std::unique_ptr<sender> make_xdp_send_loop(std::string const& interface);
std::unique_ptr<forwarder> make_xdp_forward_loop(std::string const& from, std::string const& to);
/// The same, which sleeps for the latency budget before it polls.
std::unique_ptr<receiver> make_xdp_sleeper(std::string const& interface, block_timeout);

/// `xdp_socket` in a coroutine: `async_receive`; with a latency budget; `async_send_frames`; `forward`.
std::unique_ptr<receiver> make_xdp_socket(std::string const& interface, block_timeout);
std::unique_ptr<receiver> make_xdp_moderated(std::string const& interface, block_timeout);
std::unique_ptr<sender> make_xdp_socket_sender(std::string const& interface);
std::unique_ptr<forwarder> make_xdp_socket_forwarder(std::string const& from, std::string const& to);
/// `injector::async_send_frames` in a coroutine.
std::unique_ptr<sender> make_injector_sender(std::string const& interface);

} // namespace bench
