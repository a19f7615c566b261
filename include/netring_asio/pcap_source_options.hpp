#pragma once

#include <netring_asio/pcap/reader_options.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace netring_asio {

/// How a `pcap_source` is opened. Every setting has a default that works; values are checked by `open`.
class pcap_source_options {
public:
    pcap_source_options() = default;
    /// Reads the file at `path`; "-" is standard input.
    explicit pcap_source_options(std::filesystem::path path)
        : reader_{std::move(path)} {}
    /// Reads as these options say.
    explicit pcap_source_options(pcap::reader_options reader)
        : reader_{std::move(reader)} {}

    /// Delivers packets as fast as they are asked for. The default.
    pcap_source_options& full_speed() noexcept {
        speed_.reset();
        return *this;
    }
    /// Delivers each packet as long after the one before as was recorded, from the first receive on. Packets that are
    /// due come together. A consumer that falls behind catches up, unless by more than a second: after such a pause the
    /// replay goes on from there.
    pcap_source_options& as_recorded() noexcept { return speed(1.0); }
    /// As `as_recorded`, with the gaps divided by `factor`, from 0.001 to 1000000.
    pcap_source_options& speed(double factor) noexcept {
        speed_ = factor;
        return *this;
    }
    /// The longest recorded gap to wait for, more than zero; longer ones are shortened to it.
    pcap_source_options& max_gap(std::chrono::nanoseconds value) noexcept {
        max_gap_ = value;
        return *this;
    }
    /// Batches that are read ahead of the consumer, 1 to 1024. Only of pipes, by a thread; files are read on demand.
    pcap_source_options& read_ahead(std::size_t batches) noexcept {
        read_ahead_ = batches;
        return *this;
    }

    /// As the setters of `pcap::reader_options`.
    pcap_source_options& path(std::filesystem::path value) {
        reader_.path(std::move(value));
        return *this;
    }
    pcap_source_options& batch_packets(std::size_t value) noexcept {
        reader_.batch_packets(value);
        return *this;
    }
    pcap_source_options& batch_bytes(std::size_t value) noexcept {
        reader_.batch_bytes(value);
        return *this;
    }
    pcap_source_options& filter(std::string expression) {
        reader_.filter(std::move(expression));
        return *this;
    }
    pcap_source_options& pin_budget(std::size_t batches) noexcept {
        reader_.pin_budget(batches);
        return *this;
    }
    pcap_source_options& any_link_type(bool value = true) noexcept {
        reader_.any_link_type(value);
        return *this;
    }

    pcap::reader_options const& reader() const noexcept { return reader_; }
    std::optional<double> speed() const noexcept { return speed_; } ///< none for full speed
    std::chrono::nanoseconds max_gap() const noexcept { return max_gap_; }
    std::size_t read_ahead() const noexcept { return read_ahead_; }

private:
    pcap::reader_options reader_;
    std::optional<double> speed_;
    std::chrono::nanoseconds max_gap_ = std::chrono::minutes{1};
    std::size_t read_ahead_ = 8;
};

} // namespace netring_asio
