#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/pcap/writer_options.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace netring_asio::pcap {

/// What an interface counted, for the statistics of a pcapng file.
struct interface_counters {
    std::uint64_t received = 0;
    std::uint64_t dropped = 0;
};

/// Writes a capture file. VLAN tags that were taken out of the packets are put back where they were.
///
/// In a pcapng file each interface index and link type becomes an interface of the file, and the direction of a packet
/// is kept. tcpdump and other users of libpcap read it as long as there is one link type; Wireshark reads all.
///
/// Bytes are collected in a buffer and written when that is full, by `flush`, and by `close`. An error of the system,
/// such as a full disk, is therefore told by a later call than the one whose packet does not fit, and by `close` at the
/// latest. A packet whose call failed is not in the file; everything before it is kept, and the call may be repeated.
/// Writing blocks as the file does, and raises SIGPIPE on a pipe that nobody reads, unless the program ignores it. It
/// allocates nothing but for a new interface.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
class NETRING_ASIO_API writer {
public:
    writer() noexcept;
    /// @throws system_error with what `open` reports.
    explicit writer(writer_options const& options);
    writer(writer&&) noexcept;
    writer& operator=(writer&&) noexcept;
    /// Closes the file. Errors are not told: call `close` for them.
    ~writer();

    /// Opens `options.path()`. Errors: `error::invalid_option`, `error::already_open`, and those of the system.
    void open(writer_options const& options);
    void open(writer_options const& options, error_code& ec);

    /// Writes to a descriptor opened elsewhere. It belongs to the writer from here on, also where that fails.
    void assign(int descriptor, writer_options const& options);
    void assign(int descriptor, writer_options const& options, error_code& ec);

    bool is_open() const noexcept { return impl_ != nullptr; }

    /// Writes a packet. Errors: `error::mixed_link_types` where a classic file has another link type,
    /// `error::not_open`, and those of the system.
    void write(packet_view const& packet);
    void write(packet_view const& packet, error_code& ec);

    /// Writes the packets of a batch and returns their number, up to the first that failed.
    std::size_t write(packet_batch const& batch);
    std::size_t write(packet_batch const& batch, error_code& ec);

    /// Puts what an interface counted until now into a pcapng file; readers show the last.
    /// Errors: `error::unsupported_option` for a classic file, `error::not_open`, and those of the system.
    void write_counters(std::int32_t interface_index, interface_counters const& counters);
    void write_counters(std::int32_t interface_index, interface_counters const& counters, error_code& ec);

    /// Hands to the system what was written so far.
    void flush();
    void flush(error_code& ec);

    /// Flushes and closes. The file is closed also where that fails; the packets that were not written are then lost.
    void close();
    void close(error_code& ec);

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace netring_asio::pcap
