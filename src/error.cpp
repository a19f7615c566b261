#include <netring_asio/error.hpp>

#include <boost/system/errc.hpp>

#include <string>

namespace netring_asio {
namespace {

namespace errc = boost::system::errc;

struct description {
    errc::errc_t condition;
    char const* message;
};

description describe(int value) noexcept {
    switch (static_cast<error>(value)) {
    case error::operation_in_progress:
        return {errc::operation_in_progress,
                "an operation of this direction is pending on the object; await or cancel it first"};
    case error::not_open:
        return {errc::bad_file_descriptor, "the object is not open; call open() first"};
    case error::already_open:
        return {errc::already_connected, "the object is open; call close() first"};
    case error::missing_privilege:
        return {errc::operation_not_permitted,
                "packet sockets need CAP_NET_RAW: run as root, 'setcap cap_net_raw+ep PROGRAM', or in 'unshare -Urn'"};
    case error::no_such_interface:
        return {errc::no_such_device, "no such interface in this network namespace; 'ip link' lists them"};
    case error::interface_down:
        return {errc::network_down, "the interface is down; 'ip link set NAME up', after which the object goes on"};
    case error::interface_removed:
        return {errc::no_such_device, "the interface was removed; close and open again"};
    case error::no_such_namespace:
        return {errc::no_such_file_or_directory, "no such network namespace; 'ip netns list' lists the named ones"};
    case error::invalid_ring_geometry:
        return {errc::invalid_argument, "block size: a multiple of the page size, the ring at most 4 GiB; transmit "
                                        "frame size: a multiple of 16 from 80 to 1 MiB, the ring at most 1 GiB"};
    case error::invalid_option:
        return {errc::invalid_argument, "an option is outside its documented range"};
    case error::conflicting_options:
        return {errc::invalid_argument, "two options exclude one another"};
    case error::unsupported_option:
        return {errc::operation_not_supported, "the running kernel or the device does not support an option"};
    case error::no_ring_memory:
        return {errc::not_enough_memory, "no memory for the smallest ring allowed; ask for fewer or smaller blocks"};
    case error::bad_filter:
        return {errc::invalid_argument, "the filter expression does not compile; see pcap-filter(7)"};
    case error::filter_too_long:
        return {errc::value_too_large, "the filter has more instructions than the kernel takes (4096); simplify it"};
    case error::fanout_conflict:
        return {errc::address_in_use,
                "the fanout group exists with another mode, flags, protocol or device; use another id or a unique one"};
    case error::bad_capture_file:
        return {errc::bad_message, "not a pcap or pcapng file, or a damaged one"};
    case error::truncated_capture_file:
        return {errc::bad_message, "the capture file ends within a packet; everything before it was read"};
    case error::unsupported_link_type:
        return {errc::not_supported, "this link type cannot be decoded or written"};
    case error::mixed_link_types:
        return {errc::not_supported,
                "several link types or snap lengths in one capture file: write pcapng, and split by "
                "interface what is to be read ('tshark -r IN -Y frame.interface_id==N -w OUT')"};
    case error::frame_too_long:
        return {errc::message_size, "the frame is longer than the device or the ring takes"};
    case error::frame_too_short:
        return {errc::message_size, "the frame is shorter than its link header"};
    case error::frame_reserved:
        return {errc::device_or_resource_busy, "a frame is reserved in the ring; commit or drop it first"};
    case error::invalid_offload:
        return {errc::not_supported, "the kernel cannot finish this frame: open the injector with offload(true), and "
                                     "describe a TCP or UDP frame that is in no tunnel"};
    case error::queue_busy:
        return {errc::device_or_resource_busy,
                "another AF_XDP socket has this queue of the interface; close it, or ask for other queues"};
    case error::program_attached:
        return {
            errc::device_or_resource_busy,
            "another XDP program is attached to the interface; 'ip link show' tells its id. Detach it, or share the "
            "interface through libxdp's dispatcher"};
    case error::unsupported_filter:
        return {errc::not_supported, "XDP cannot judge by this filter: packets that it follows header by header "
                                     "(protochain), their direction, or tags that the device took out"};
    case error::timed_out:
        return {errc::timed_out, "the time limit of a synchronous operation was reached"};
    case error::malformed_message:
        return {errc::bad_message,
                "the flow carries something else, or a damaged message; choose parsers by content too"};
    case error::message_too_long:
        return {errc::message_size,
                "a message is longer than the parser's options allow; raise the limit if it is one"};
    case error::stream_gap:
        return {errc::no_message_available,
                "bytes of the stream were not captured; look for drops in the source's statistics"};
    case error::reader_too_slow:
        return {errc::no_buffer_space, "the conversation was read too slowly, and its rest was not kept; read faster, "
                                       "raise max_queued, or pause the source instead"};
    case error::consumer_failed:
        return {errc::io_error, "a consumer threw an exception that is no system_error"};
    case error::bad_expression:
        return {errc::invalid_argument,
                "not an expression of subscriptions; the exception, or the problem given beside the error, tells what "
                "is wrong where"};
    }
    return {errc::invalid_argument, "unknown netring_asio error"};
}

struct category final : boost::system::error_category {
    char const* name() const noexcept override { return "netring_asio"; }
    std::string message(int value) const override { return describe(value).message; }
    boost::system::error_condition default_error_condition(int value) const noexcept override {
        return errc::make_error_condition(describe(value).condition);
    }
};

} // namespace

boost::system::error_category const& error_category() noexcept {
    static category const instance;
    return instance;
}

} // namespace netring_asio
