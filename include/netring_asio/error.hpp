#pragma once

#include <netring_asio/detail/api.hpp>

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <type_traits>

namespace netring_asio {

using error_code = boost::system::error_code;
using system_error = boost::system::system_error;

/// What can go wrong beyond what the operating system reports.
///
/// Failures of system calls keep their `errno` in `boost::system::system_category()`; everything that the library
/// itself finds out is a value of this enumeration in `error_category()`. `message()` says what to do about it.
enum class error {
    /// A second operation of the same direction was started on one object. Equal to `errc::operation_in_progress`.
    operation_in_progress = 1,
    /// The object is not open. Equal to `errc::bad_file_descriptor`.
    not_open,
    /// The object is open already; close it first. Equal to `errc::already_connected`.
    already_open,
    /// The process lacks CAP_NET_RAW (or, for options that say so, CAP_NET_ADMIN). Equal to
    /// `errc::operation_not_permitted`.
    missing_privilege,
    /// No interface has this name or index in the network namespace asked for. Equal to `errc::no_such_device`.
    no_such_interface,
    /// The interface went down while it was in use. Equal to `errc::network_down`.
    interface_down,
    /// The interface was removed while it was in use. Equal to `errc::no_such_device`.
    interface_removed,
    /// No network namespace has this name or path. Equal to `errc::no_such_file_or_directory`.
    no_such_namespace,
    /// Block size, count or frame size do not make a ring that the kernel accepts. Equal to `errc::invalid_argument`.
    invalid_ring_geometry,
    /// An option has a value outside its documented range. Equal to `errc::invalid_argument`.
    invalid_option,
    /// Two options exclude one another. Equal to `errc::invalid_argument`.
    conflicting_options,
    /// The running kernel or the device does not support an option. Equal to `errc::operation_not_supported`.
    unsupported_option,
    /// The kernel had no memory for the ring, not even for the smallest that the options allow.
    /// Equal to `errc::not_enough_memory`.
    no_ring_memory,
    /// The text is not a filter expression. Equal to `errc::invalid_argument`.
    bad_filter,
    /// The compiled filter has more instructions than the kernel takes. Equal to `errc::value_too_large`.
    filter_too_long,
    /// The fanout group exists with another type, protocol or device. Equal to `errc::address_in_use`.
    fanout_conflict,
    /// The file is no pcap or pcapng file, or is damaged. Equal to `errc::bad_message`.
    bad_capture_file,
    /// The file ends within a packet; everything before it was delivered. Equal to `errc::bad_message`.
    truncated_capture_file,
    /// The link type cannot be decoded or written. Equal to `errc::not_supported`.
    unsupported_link_type,
    /// A file with several link types or snap lengths: classic pcap cannot hold them, and libpcap does not read them
    /// from
    /// pcapng. Equal to `errc::not_supported`.
    mixed_link_types,
    /// A frame is longer than the device or the ring takes. Equal to `errc::message_size`.
    frame_too_long,
    /// A frame is shorter than the link header. Equal to `errc::message_size`.
    frame_too_short,
    /// A frame is reserved in the transmit ring and neither committed nor dropped yet. Equal to
    /// `errc::device_or_resource_busy`.
    frame_reserved,
    /// A checksum or segmentation that cannot be left to the kernel: the injector was not opened with `offload`, or the
    /// frame is none of TCP or UDP, or within a tunnel. Equal to `errc::not_supported`.
    invalid_offload,
    /// Another AF_XDP socket has the queue of the interface. Equal to `errc::device_or_resource_busy`.
    queue_busy,
    /// Another XDP program is attached to the interface. Equal to `errc::device_or_resource_busy`.
    program_attached,
    /// The filter cannot be turned into a program for the place where it is to run. Equal to `errc::not_supported`.
    unsupported_filter,
    /// A synchronous operation reached its time limit. Equal to `errc::timed_out`.
    timed_out,
    /// What a flow carries is not what its parser takes. Equal to `errc::bad_message`.
    malformed_message,
    /// A message is longer than the parser's limit. Equal to `errc::message_size`.
    message_too_long,
    /// Bytes of a stream were not captured and are not expected any more. Equal to `errc::no_message_available`.
    stream_gap,
    /// Who reads a conversation was too slow for a live source, and the rest was not kept. Equal to
    /// `errc::no_buffer_space`.
    reader_too_slow,
    /// A consumer of a conversation failed with an exception that carries no error code. Equal to `errc::io_error`.
    consumer_failed,
    /// The text is no expression of subscriptions. Equal to `errc::invalid_argument`.
    bad_expression,
};

/// The category of `error`; its name is "netring_asio".
NETRING_ASIO_API boost::system::error_category const& error_category() noexcept;

inline error_code make_error_code(error value) noexcept { return {static_cast<int>(value), error_category()}; }

} // namespace netring_asio

template <>
struct boost::system::is_error_code_enum<netring_asio::error> : std::true_type {};
