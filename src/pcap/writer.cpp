#include "output.hpp"
#include <netring_asio/detail/vlan.hpp>
#include <netring_asio/pcap/writer.hpp>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace netring_asio::pcap {
namespace {

using netring_asio::detail::vlan_tag_size;

constexpr std::uint32_t longest_snap_length = 262144; // what other programs take
constexpr std::size_t longest_name = 255;

// Names and numbers of the pcapng specification.
enum block_type : std::uint32_t {
    section_header_block = 0x0a0d0d0a,
    interface_description_block = 1,
    interface_statistics_block = 5,
    enhanced_packet_block = 6,
};
enum option_code : std::uint16_t {
    opt_endofopt = 0,
    shb_userappl = 4,
    if_name = 2,
    if_tsresol = 9,
    isb_ifrecv = 4,
    isb_ifdrop = 5,
    epb_flags = 2,
};

constexpr std::size_t padding(std::size_t size) noexcept { return (4 - size % 4) % 4; }
constexpr std::size_t option_size(std::size_t size) noexcept { return size == 0 ? 0 : 4 + size + padding(size); }

std::uint64_t nanoseconds_since_epoch(timestamp time) noexcept {
    return static_cast<std::uint64_t>(std::max(time.time_since_epoch().count(), std::int64_t{0}));
}

/// Bits 0 and 1 tell the direction, 2 to 4 the kind of reception; 0 if nothing is known.
std::uint32_t flags_of(direction value) noexcept {
    constexpr std::uint32_t inbound = 1;
    constexpr std::uint32_t outbound = 2;
    switch (value) {
    case direction::host:
        return inbound | 1 << 2;
    case direction::multicast:
        return inbound | 2 << 2;
    case direction::broadcast:
        return inbound | 3 << 2;
    case direction::other_host:
        return inbound | 4 << 2;
    case direction::outgoing:
        return outbound;
    case direction::unknown:
        break;
    }
    return 0;
}

std::span<std::byte const> bytes_of(std::string_view text) noexcept { return std::as_bytes(std::span{text}); }

error_code validate(writer_options const& options) noexcept {
    bool const valid = options.snap_length() >= 1 && options.snap_length() <= longest_snap_length;
    return valid ? error_code{} : make_error_code(error::invalid_option);
}

void throw_if(error_code ec) {
    if (ec)
        throw system_error{ec};
}

} // namespace

class writer::impl {
public:
    impl(netring_asio::detail::unique_descriptor descriptor, writer_options const& options)
        : output_{std::move(descriptor)}
        , options_{options} {
        error_code ec; // the buffer has room
        if (options_.format() == file_format::pcapng)
            begin_section(ec);
        else if (options_.link())
            begin_classic_file(*options_.link(), ec);
    }

    void write(packet_view const& packet, error_code& ec) {
        options_.format() == file_format::pcapng ? write_block(packet, ec) : write_record(packet, ec);
    }

    void write_counters(std::int32_t interface_index, interface_counters const& counters, error_code& ec) {
        if (options_.format() != file_format::pcapng) {
            ec = error::unsupported_option;
            return;
        }
        auto const known = std::ranges::find(interfaces_, interface_index, &interface::index);
        auto const link = known != interfaces_.end() ? known->link : options_.link().value_or(link_type::ethernet);
        auto const number = find_interface({interface_index, link}, ec);
        if (ec)
            return;
        auto const size =
            begin_block(interface_statistics_block, 12 + option_size(8) + option_size(8) + option_size_of_end, ec);
        if (ec)
            return;
        output_.put(number);
        put_time(std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now()));
        put_option(isb_ifrecv, counters.received);
        put_option(isb_ifdrop, counters.dropped);
        end_options();
        end_block(size);
    }

    void flush(error_code& ec) noexcept { output_.flush(ec); }

    void close(error_code& ec) {
        ec = {};
        if (options_.format() == file_format::pcap && !file_link_)
            begin_classic_file(link_type::ethernet, ec);
        error_code closed;
        output_.close(closed);
        if (!ec)
            ec = closed;
    }

private:
    struct interface {
        std::int32_t index;
        link_type link;
        friend bool operator==(interface const&, interface const&) = default;
    };

    static constexpr std::size_t option_size_of_end = 4;

    /// What of a packet goes into the file.
    struct extent {
        packet_view packet;     // cut, so that it fits
        bool tagged;            // its tag is put back
        std::uint32_t captured; // bytes in the file
        std::uint32_t wire;
    };

    extent extent_of(packet_view const& packet) const noexcept {
        auto const snap = std::size_t{options_.snap_length()};
        extent result{packet, netring_asio::detail::can_insert_tag(packet), 0, 0};
        result.packet.data = packet.data.first(std::min(packet.data.size(), std::max(snap, std::size_t{64})));
        auto const size = result.packet.data.size() + (result.tagged ? vlan_tag_size : 0);
        result.captured = static_cast<std::uint32_t>(std::min(size, snap));
        auto const missing = std::numeric_limits<std::uint32_t>::max() - packet.wire_length;
        result.wire = packet.wire_length + (packet.vlan ? std::min<std::uint32_t>(vlan_tag_size, missing) : 0);
        return result;
    }

    void put_bytes(extent const& part) noexcept {
        auto const size = part.packet.data.size() + (part.tagged ? vlan_tag_size : 0);
        if (part.tagged)
            netring_asio::detail::insert_tag(part.packet, output_.skip(size));
        else
            output_.put(part.packet.data);
        output_.drop(size - part.captured);
    }

    void begin_classic_file(link_type link, error_code& ec) noexcept {
        if (!output_.begin(24, ec))
            return;
        output_.put(std::uint32_t{0xa1b23c4d}); // nanoseconds
        output_.put(std::uint16_t{2});
        output_.put(std::uint16_t{4});
        output_.put_zeros(8);
        output_.put(options_.snap_length());
        output_.put(std::uint32_t{static_cast<std::uint16_t>(link)});
        output_.commit();
        file_link_ = link;
    }

    void write_record(packet_view const& packet, error_code& ec) noexcept {
        ec = {};
        if (!file_link_)
            begin_classic_file(packet.link, ec);
        if (!ec && packet.link != *file_link_)
            ec = error::mixed_link_types;
        auto const part = extent_of(packet);
        if (ec || !output_.begin(16 + part.packet.data.size() + vlan_tag_size, ec))
            return;
        auto const time = nanoseconds_since_epoch(packet.time);
        auto const last_second = std::uint64_t{std::numeric_limits<std::uint32_t>::max()};
        output_.put(static_cast<std::uint32_t>(std::min(time / 1'000'000'000, last_second)));
        output_.put(static_cast<std::uint32_t>(time % 1'000'000'000));
        output_.put(part.captured);
        output_.put(part.wire);
        put_bytes(part);
        output_.commit();
    }

    void begin_section(error_code& ec) noexcept {
        constexpr std::string_view name = "netring_asio";
        auto const size = begin_block(section_header_block, 16 + option_size(name.size()) + option_size_of_end, ec);
        output_.put(std::uint32_t{0x1a2b3c4d});
        output_.put(std::uint16_t{1});
        output_.put(std::uint16_t{0});
        output_.put(~std::uint64_t{0}); // the length of the section is not known
        put_option(shb_userappl, bytes_of(name));
        end_options();
        end_block(size);
    }

    std::uint32_t find_interface(interface const& wanted, error_code& ec) {
        auto const found = std::ranges::find(interfaces_, wanted);
        auto const number = static_cast<std::uint32_t>(found - interfaces_.begin());
        ec = {};
        if (found == interfaces_.end())
            describe_interface(wanted, ec);
        return number;
    }

    void describe_interface(interface const& added, error_code& ec) {
        auto name = options_.interface_names() ? options_.interface_names()(added.index) : std::string{};
        name.resize(std::min(name.size(), longest_name));
        interfaces_.reserve(interfaces_.size() + 1);
        auto const size = begin_block(interface_description_block,
                                      8 + option_size(name.size()) + option_size(1) + option_size_of_end, ec);
        if (ec)
            return;
        output_.put(static_cast<std::uint16_t>(added.link));
        output_.put(std::uint16_t{0});
        output_.put(options_.snap_length());
        put_option(if_name, bytes_of(name));
        put_option(if_tsresol, std::uint8_t{9});
        end_options();
        end_block(size);
        interfaces_.push_back(added);
    }

    void write_block(packet_view const& packet, error_code& ec) {
        auto const number = find_interface({packet.interface_index, packet.link}, ec);
        if (ec)
            return;
        auto const part = extent_of(packet);
        auto const flags = flags_of(packet.direction);
        auto const options = flags != 0 ? option_size(sizeof flags) + option_size_of_end : 0;
        auto const size = begin_block(enhanced_packet_block, 20 + part.captured + padding(part.captured) + options, ec);
        if (ec)
            return;
        output_.put(number);
        put_time(packet.time);
        output_.put(part.captured);
        output_.put(part.wire);
        put_bytes(part);
        output_.put_zeros(padding(part.captured));
        if (flags != 0) {
            put_option(epb_flags, flags);
            end_options();
        }
        end_block(size);
    }

    /// Returns the length of the block, which stands at both of its ends.
    std::uint32_t begin_block(block_type type, std::size_t body, error_code& ec) noexcept {
        auto const size = static_cast<std::uint32_t>(body + 12);
        if (output_.begin(size + 128, ec)) { // a packet is cut only after it was put
            output_.put(std::uint32_t{type});
            output_.put(size);
        }
        return size;
    }
    void end_block(std::uint32_t size) noexcept {
        output_.put(size);
        output_.commit();
    }

    void put_option(option_code code, std::span<std::byte const> value) noexcept {
        if (value.empty())
            return;
        output_.put(std::uint16_t{code});
        output_.put(static_cast<std::uint16_t>(value.size()));
        output_.put(value);
        output_.put_zeros(padding(value.size()));
    }
    template <class Integer>
        requires std::is_integral_v<Integer>
    void put_option(option_code code, Integer value) noexcept {
        put_option(code, std::as_bytes(std::span{&value, 1}));
    }
    void end_options() noexcept { output_.put(std::uint32_t{opt_endofopt}); }

    void put_time(timestamp time) noexcept {
        auto const value = nanoseconds_since_epoch(time);
        output_.put(static_cast<std::uint32_t>(value >> 32));
        output_.put(static_cast<std::uint32_t>(value));
    }

    detail::output output_;
    writer_options const options_;
    std::optional<link_type> file_link_; // of a classic file that has its header
    std::vector<interface> interfaces_;  // of a pcapng file, in the order of their numbers
};

writer::writer() noexcept = default;
writer::writer(writer_options const& options) { open(options); }
writer::writer(writer&&) noexcept = default;
writer& writer::operator=(writer&& other) noexcept {
    writer moved{std::move(other)};
    impl_.swap(moved.impl_);
    return *this;
}
writer::~writer() {
    error_code ignored;
    close(ignored);
}

void writer::open(writer_options const& options) {
    error_code ec;
    open(options, ec);
    if (ec)
        throw system_error{ec, options.path().string()};
}

void writer::open(writer_options const& options, error_code& ec) {
    ec = is_open() ? make_error_code(error::already_open) : validate(options); // before the file is overwritten
    if (ec)
        return;
    int const descriptor = options.path() == "-"
                               ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                               : ::open(options.path().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0)
        ec.assign(errno, boost::system::system_category());
    else
        assign(descriptor, options, ec);
}

void writer::assign(int descriptor, writer_options const& options) {
    error_code ec;
    assign(descriptor, options, ec);
    throw_if(ec);
}

void writer::assign(int descriptor, writer_options const& options, error_code& ec) {
    netring_asio::detail::unique_descriptor owned{descriptor};
    ec = is_open() ? make_error_code(error::already_open) : validate(options);
    if (!ec)
        impl_ = std::make_unique<impl>(std::move(owned), options);
}

void writer::write(packet_view const& packet) {
    error_code ec;
    write(packet, ec);
    throw_if(ec);
}

void writer::write(packet_view const& packet, error_code& ec) {
    if (is_open())
        impl_->write(packet, ec); // NOLINT(*Move): an open writer has one
    else
        ec = error::not_open;
}

std::size_t writer::write(packet_batch const& batch) {
    error_code ec;
    auto const count = write(batch, ec);
    throw_if(ec);
    return count;
}

std::size_t writer::write(packet_batch const& batch, error_code& ec) {
    ec = {};
    std::size_t count = 0;
    for (auto const& packet : batch) {
        write(packet, ec);
        if (ec)
            break;
        ++count;
    }
    return count;
}

void writer::write_counters(std::int32_t interface_index, interface_counters const& counters) {
    error_code ec;
    write_counters(interface_index, counters, ec);
    throw_if(ec);
}

void writer::write_counters(std::int32_t interface_index, interface_counters const& counters, error_code& ec) {
    if (is_open())
        impl_->write_counters(interface_index, counters, ec);
    else
        ec = error::not_open;
}

void writer::flush() {
    error_code ec;
    flush(ec);
    throw_if(ec);
}

void writer::flush(error_code& ec) {
    if (is_open())
        impl_->flush(ec);
    else
        ec = error::not_open;
}

void writer::close() {
    error_code ec;
    close(ec);
    throw_if(ec);
}

void writer::close(error_code& ec) {
    ec = {};
    if (auto const closing = std::move(impl_))
        closing->close(ec);
}

} // namespace netring_asio::pcap
