#pragma once

#include "../tally.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace bench {

/// The ring that every candidate gets. libpcap chooses its own block size; the memory is the same.
inline constexpr std::size_t ring_size = std::size_t{64} << 20;
inline constexpr std::size_t block_size = std::size_t{1} << 20;

/// How long a packet may wait in a block that is not full.
using block_timeout = std::chrono::duration<int, std::milli>;

/// One way to receive packets, under measurement.
class receiver {
public:
    virtual ~receiver() = default;

    /// Counts packets, asleep while there are none, until the process gets SIGINT.
    virtual void run() = 0;
    /// Counts this many packets, which are in the ring already.
    virtual void drain(std::uint64_t packets) = 0;
    /// Packets that the kernel dropped since the ring was opened.
    virtual std::uint64_t dropped() = 0;

    tally counted;
};

/// The hand-written minimum that the others are measured against.
std::unique_ptr<receiver> make_tpacket_loop(std::string const& interface, block_timeout timeout);
/// `pcap_dispatch`.
std::unique_ptr<receiver> make_pcap_loop(std::string const& interface, block_timeout timeout);
/// `capture::async_receive` with a callback.
std::unique_ptr<receiver> make_capture_callbacks(std::string const& interface, block_timeout timeout);
/// `capture::async_receive` in a coroutine.
std::unique_ptr<receiver> make_capture_coroutine(std::string const& interface, block_timeout timeout);

struct candidate {
    char const* name;
    std::unique_ptr<receiver> (*make)(std::string const& interface, block_timeout timeout);
};

} // namespace bench
