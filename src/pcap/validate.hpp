#pragma once

#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>
#include <netring_asio/pcap/reader_options.hpp>

namespace netring_asio::pcap::detail {

/// Whether all values lie in their documented ranges.
error_code validate(reader_options const& options) noexcept;

/// Throws an error of opening with the words that explain it.
[[noreturn]] void throw_open_error(error_code ec, reader_options const& options, link_type link);

} // namespace netring_asio::pcap::detail
