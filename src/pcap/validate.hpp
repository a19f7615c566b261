#pragma once

#include <netring_asio/error.hpp>
#include <netring_asio/pcap/reader_options.hpp>

namespace netring_asio::pcap::detail {

/// Whether all values lie in their documented ranges.
error_code validate(reader_options const& options) noexcept;

} // namespace netring_asio::pcap::detail
