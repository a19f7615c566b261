#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace netring_asio::pcap {

/// The two capture file formats, both with nanosecond times.
enum class file_format : std::uint8_t {
    pcapng, ///< with interfaces, directions and counters (draft-ietf-opsawg-pcapng)
    pcap,   ///< classic: packets of one link type, and nothing else (draft-ietf-opsawg-pcap)
};

/// How a capture file is written. Every setting has a default that works; values are checked by `open`.
class writer_options {
public:
    writer_options() = default;
    /// Writes the file at `path`, which is made, or overwritten if it exists; "-" is standard output.
    explicit writer_options(std::filesystem::path path)
        : path_{std::move(path)} {}

    writer_options& path(std::filesystem::path value) {
        path_ = std::move(value);
        return *this;
    }
    writer_options& format(file_format value) noexcept {
        format_ = value;
        return *this;
    }
    /// Bytes to write of each packet, its VLAN tag counted, 1 to 262144. The length it had on the wire is kept.
    writer_options& snap_length(std::uint32_t value) noexcept {
        snap_length_ = value;
        return *this;
    }
    /// The link type of the file or interface, for where no packet tells it: by default that of the first packet,
    /// Ethernet if there is none. A classic file has its header from the start only if this is set.
    writer_options& link(link_type value) noexcept {
        link_ = value;
        return *this;
    }
    /// Names the interfaces in a pcapng file: called once with the index of each, for instance to ask `if_indextoname`;
    /// an empty name leaves it out.
    writer_options& interface_names(std::function<std::string(std::int32_t index)> value) {
        interface_names_ = std::move(value);
        return *this;
    }

    std::filesystem::path const& path() const noexcept { return path_; }
    file_format format() const noexcept { return format_; }
    std::uint32_t snap_length() const noexcept { return snap_length_; }
    std::optional<link_type> link() const noexcept { return link_; }
    std::function<std::string(std::int32_t)> const& interface_names() const noexcept { return interface_names_; }

private:
    std::filesystem::path path_;
    std::function<std::string(std::int32_t)> interface_names_;
    std::optional<link_type> link_;
    std::uint32_t snap_length_ = 262144;
    file_format format_ = file_format::pcapng;
};

} // namespace netring_asio::pcap
