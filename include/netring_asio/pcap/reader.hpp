#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/pcap/reader_options.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace netring_asio::pcap {

/// What a reader did since it was opened. Totals never go back.
struct reader_statistics {
    std::uint64_t packets = 0;      ///< packets delivered
    std::uint64_t bytes = 0;        ///< captured bytes of these
    std::uint64_t filtered = 0;     ///< packets that the filter rejected
    std::uint64_t copied = 0;       ///< frames that `hold` copied because the pin budget was used up
    std::size_t pinned_batches = 0; ///< batches that frames hold now
};

namespace detail {
struct reader_counters;
}

/// Reads a capture file: classic pcap or pcapng, of micro- or nanoseconds, in either byte order (libpcap).
///
/// Times are in nanoseconds; those that do not fit are clamped. VLAN tags are where the file has them, in the data. For
/// Linux cooked packets, `protocol`, `direction` and (version 2) `interface_index` come from the cooked header.
/// `wire_length` is never less than the bytes there are.
///
/// libpcap reads pcapng files of one link type and one snap length only (`error::mixed_link_types`), and does not tell
/// the interface of a packet.
///
/// @par Lifetime
/// Batches and frames own their memory, which comes back to a pool when the last of them goes: they may outlive the
/// reader, in any number and order. Reading allocates only while more batches are alive than ever before.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, but for `statistics` and `link`. Batches and frames may be released
/// on any thread.
class NETRING_ASIO_API reader {
public:
    /// An error at opening is `error::bad_capture_file`, `error::truncated_capture_file` for a file that ends in its
    /// header, `error::unsupported_link_type`, `error::invalid_option`, those of `filter::compile`, or what the system
    /// says of the file. The throwing forms say what is wrong with a filter, and where.
    reader();
    explicit reader(reader_options const& options);
    reader(reader&&) noexcept;
    reader& operator=(reader&&) noexcept;
    ~reader();

    /// Opens `options.path()`. On a pipe it waits for the file header.
    void open(reader_options const& options);
    void open(reader_options const& options, error_code& ec);

    /// Reads from a descriptor opened elsewhere, at its current position. It belongs to the reader from here on, also
    /// where that fails.
    void assign(int descriptor, reader_options const& options);
    void assign(int descriptor, reader_options const& options, error_code& ec);

    bool is_open() const noexcept { return impl_ != nullptr; }
    void close() noexcept;

    /// Fills the batch with the next packets, at least one unless the file ends; what it held is released first.
    ///
    /// Returns their number. Packets that the filter rejects are passed over. The end of the file is 0 without an
    /// error. A file that is cut off or damaged delivers all packets before that and then, with each call,
    /// `error::truncated_capture_file` or `error::bad_capture_file`. On a pipe it waits for the first packet only.
    std::size_t read(packet_batch& batch);
    std::size_t read(packet_batch& batch, error_code& ec);

    /// As `read`, but gives up after looking at `batch_packets()` packets: 0 without an error means the end only if
    /// `at_end()`.
    std::size_t read_some(packet_batch& batch, error_code& ec);
    bool at_end() const noexcept;

    /// The link type of the packets, as soon as the file header was read.
    std::optional<link_type> link() const noexcept;

    reader_statistics statistics() const noexcept;

private:
    class impl;
    std::shared_ptr<detail::reader_counters> counters_;
    std::unique_ptr<impl> impl_;
};

} // namespace netring_asio::pcap
