#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/pcap/writer.hpp>
#include <netring_asio/pcap/writer_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>

namespace netring_asio::pcap {

/// When a `rotating_writer` begins a new file.
class rotation_options {
public:
    rotation_options() = default;
    /// Files are named `PREFIX-TIME-NUMBER.pcapng`: the time of the first packet, in UTC to the nanosecond, and a
    /// number that goes up from 000001.
    explicit rotation_options(std::filesystem::path prefix)
        : prefix_{std::move(prefix)} {}

    rotation_options& prefix(std::filesystem::path value) {
        prefix_ = std::move(value);
        return *this;
    }
    /// Format, snap length and names of interfaces; its path does not count.
    rotation_options& writing(writer_options value) {
        writing_ = std::move(value);
        return *this;
    }
    /// No file grows beyond so many bytes, at least 1 MiB. Default 1 GiB.
    rotation_options& max_size(std::uint64_t value) noexcept { return max_size_ = value, *this; }
    /// No file covers more packet time than this. Default: no limit.
    rotation_options& max_duration(std::chrono::nanoseconds value) noexcept { return max_duration_ = value, *this; }

    std::filesystem::path const& prefix() const noexcept { return prefix_; }
    writer_options const& writing() const noexcept { return writing_; }
    std::uint64_t max_size() const noexcept { return max_size_; }
    std::optional<std::chrono::nanoseconds> const& max_duration() const noexcept { return max_duration_; }

private:
    std::filesystem::path prefix_;
    writer_options writing_;
    std::uint64_t max_size_ = std::uint64_t{1} << 30;
    std::optional<std::chrono::nanoseconds> max_duration_;
};

/// Writes capture files one after the other, and never over one that exists.
///
/// A file is made when its first packet comes.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
class NETRING_ASIO_API rotating_writer {
public:
    /// @throws system_error with `error::invalid_option` for an empty prefix or files of less than 1 MiB.
    explicit rotating_writer(rotation_options options);

    /// Writes a packet. Errors: what `writer::write` and making a file report. The next packet is tried in a new file.
    void write(packet_view const& packet);
    void write(packet_view const& packet, error_code& ec);

    /// Hands to the system what was written so far.
    void flush();
    void flush(error_code& ec);
    /// Closes the file; the next packet begins another. Tells of what could not be written, as the destructor cannot.
    void close();
    void close(error_code& ec);

    /// The file that is written, or was last.
    std::filesystem::path const& path() const noexcept { return path_; }
    std::uint64_t files() const noexcept { return files_; }
    rotation_options const& options() const noexcept { return options_; }

private:
    void next(timestamp time, error_code& ec);
    void throw_if(error_code const& ec) const;

    rotation_options options_;
    writer writer_;
    std::filesystem::path path_;
    std::uint64_t size_ = 0;
    std::uint64_t files_ = 0;
    std::uint64_t number_ = 0;
    timestamp begun_{};
};

} // namespace netring_asio::pcap
