#pragma once

#include <netring_asio/filter.hpp>

#include <span>
#include <string>

namespace netring_asio::detail {

/// Whether the kernel would attach a program and libpcap's interpreter would run it with the same meaning.
/// Returns what is wrong, empty if nothing.
std::string check_program(std::span<filter::instruction const> program);

} // namespace netring_asio::detail
