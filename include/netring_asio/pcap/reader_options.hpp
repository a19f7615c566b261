#pragma once

#include <cstddef>
#include <filesystem>
#include <stop_token>
#include <string>
#include <utility>

namespace netring_asio::pcap {

/// How a capture file is read. Every setting has a default that works; values are checked by `open`.
class reader_options {
public:
    reader_options() = default;
    /// Reads the file at `path`; "-" is standard input.
    explicit reader_options(std::filesystem::path path)
        : path_{std::move(path)} {}

    reader_options& path(std::filesystem::path value) {
        path_ = std::move(value);
        return *this;
    }
    /// Packets in a batch at most, 1 to 65536.
    reader_options& batch_packets(std::size_t value) noexcept {
        batch_packets_ = value;
        return *this;
    }
    /// Bytes in a batch at most, 4 KiB to 1 GiB; a packet longer than that comes in a batch of its own.
    reader_options& batch_bytes(std::size_t value) noexcept {
        batch_bytes_ = value;
        return *this;
    }
    /// Delivers only what this tcpdump expression accepts (pcap-filter(7)); the empty one accepts everything. Compiled
    /// when the link type is known.
    reader_options& filter(std::string expression) {
        filter_ = std::move(expression);
        return *this;
    }
    /// Batches whose memory frames may pin at once; above it `hold` copies.
    reader_options& pin_budget(std::size_t batches) noexcept {
        pin_budget_ = batches;
        return *this;
    }
    /// Reads files of link types outside `link_type` too; `packet_view::link` is then libpcap's DLT number.
    reader_options& any_link_type(bool value = true) noexcept {
        any_link_type_ = value;
        return *this;
    }
    /// Ends a wait for a pipe with `errc::operation_canceled`, from any thread. The file cannot be read on afterwards.
    reader_options& stop_token(std::stop_token value) noexcept {
        stop_token_ = std::move(value);
        return *this;
    }

    std::filesystem::path const& path() const noexcept { return path_; }
    std::size_t batch_packets() const noexcept { return batch_packets_; }
    std::size_t batch_bytes() const noexcept { return batch_bytes_; }
    std::string const& filter() const noexcept { return filter_; }
    std::size_t pin_budget() const noexcept { return pin_budget_; }
    bool any_link_type() const noexcept { return any_link_type_; }
    std::stop_token const& stop_token() const noexcept { return stop_token_; }

private:
    std::filesystem::path path_;
    std::string filter_;
    std::stop_token stop_token_;
    std::size_t batch_packets_ = 512;
    std::size_t batch_bytes_ = std::size_t{256} << 10;
    std::size_t pin_budget_ = 64;
    bool any_link_type_ = false;
};

} // namespace netring_asio::pcap
