#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/pcap/rotating_writer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace netring_asio::pcap {

/// What a `recorder` writes, and when.
class recorder_options {
public:
    recorder_options() = default;
    explicit recorder_options(rotation_options files)
        : files_{std::move(files)} {}
    /// As `rotation_options{prefix}`.
    explicit recorder_options(std::filesystem::path prefix)
        : files_{std::move(prefix)} {}

    recorder_options& files(rotation_options value) {
        files_ = std::move(value);
        return *this;
    }
    /// Writes nothing until `trigger`, and then also the packets before: up to so many bytes of memory of them, and no
    /// older than `duration` if that is given.
    recorder_options& pre_trigger(std::size_t bytes,
                                  std::optional<std::chrono::nanoseconds> duration = std::nullopt) noexcept {
        before_bytes_ = bytes;
        before_ = duration;
        return *this;
    }
    /// With `pre_trigger`: how long after the last trigger packets are written; then it waits for the next one.
    /// Default: until `arm`.
    recorder_options& post_trigger(std::chrono::nanoseconds value) noexcept { return after_ = value, *this; }
    /// Called when writing failed. What failed is counted, and recording goes on.
    recorder_options& on_error(std::function<void(error_code)> value) {
        on_error_ = std::move(value);
        return *this;
    }

    rotation_options const& files() const noexcept { return files_; }
    std::size_t pre_trigger_bytes() const noexcept { return before_bytes_; }
    std::optional<std::chrono::nanoseconds> const& pre_trigger_duration() const noexcept { return before_; }
    std::optional<std::chrono::nanoseconds> const& post_trigger() const noexcept { return after_; }
    std::function<void(error_code)> const& on_error() const noexcept { return on_error_; }

private:
    rotation_options files_;
    std::size_t before_bytes_ = 0;
    std::optional<std::chrono::nanoseconds> before_;
    std::optional<std::chrono::nanoseconds> after_;
    std::function<void(error_code)> on_error_;
};

/// Counters of a `recorder`. Every packet is written, waiting, forgotten or failed.
struct recorder_statistics {
    std::uint64_t packets = 0;   ///< that it saw
    std::uint64_t written = 0;   ///< of these, put into files
    std::uint64_t waiting = 0;   ///< kept for a trigger now
    std::uint64_t forgotten = 0; ///< came before a trigger, and too early for it
    std::uint64_t failed = 0;    ///< could not be written
    std::uint64_t files = 0;
    std::uint64_t triggers = 0;
};

/// Records packets to files: all of them, or those around a trigger.
///
/// Writing blocks as the file does. Allocates its ring when it is made, and nothing per packet.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
class NETRING_ASIO_API recorder {
public:
    /// @throws system_error with what `rotating_writer` reports.
    explicit recorder(recorder_options options);
    recorder(recorder&&) noexcept;
    recorder& operator=(recorder&&) noexcept;
    /// Closes the file. Packets that wait for a trigger are forgotten.
    ~recorder();

    void record(packet_batch const& packets);
    void record(packet_view const& packet);

    /// Writes what waits, and what comes from now on.
    void trigger();
    /// Closes the file and waits for the next trigger, where `pre_trigger` was given.
    void arm();
    bool triggered() const noexcept;
    /// Hands to the system what was written so far.
    void flush();

    std::filesystem::path const& path() const noexcept;
    recorder_statistics statistics() const noexcept;
    recorder_options const& options() const noexcept;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace netring_asio::pcap
