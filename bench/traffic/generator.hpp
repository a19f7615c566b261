#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace bench {

/// What to send: numbered frames of ethertype 0x88b5, from number 0 on, the number in the eight bytes behind the
/// header.
struct traffic {
    std::uint64_t count = 0;
    std::size_t length = 60;
    std::uint64_t rate = 0; ///< frames a second; 0 for as fast as it goes
    std::array<std::uint8_t, 6> destination{};
    std::array<std::uint8_t, 6> source{};
};

/// Sends frames from an interface of the calling thread's namespace, on the calling thread.
class generator {
public:
    virtual ~generator() = default;
    virtual void send(traffic const& what) = 0;
    virtual char const* name() const noexcept = 0;
};

/// Frames that a BPF program sends from within the kernel, at up to 15 million a second: BPF_PROG_TEST_RUN with live
/// frames (Documentation/bpf/bpf_prog_run.rst). The receiving end needs GRO switched on. Throws where the kernel
/// refuses; needs the real root.
std::unique_ptr<generator> make_live_frames(std::string const& interface);

/// `sendmmsg` on a packet socket.
std::unique_ptr<generator> make_packet_socket(std::string const& interface);

/// The first of them that works.
std::unique_ptr<generator> make_generator(std::string const& interface);

} // namespace bench
