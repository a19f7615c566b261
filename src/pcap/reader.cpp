#include "chunk_pool.hpp"
#include "input.hpp"
#include "validate.hpp"
#include <netring_asio/filter.hpp>
#include <netring_asio/pcap/reader.hpp>

#include <boost/system/errc.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include <pcap/pcap.h>

namespace netring_asio::pcap {
namespace {

namespace errc = boost::system::errc;

timestamp to_timestamp(timeval const& value) noexcept {
    // Classic files count unsigned seconds in 32 bits, and libpcap extends their sign.
    std::int64_t const seconds = value.tv_sec < 0 && value.tv_sec >= std::numeric_limits<std::int32_t>::min()
                                     ? value.tv_sec + (1LL << 32)
                                     : value.tv_sec;
    std::int64_t nanoseconds = 0;
    if (__builtin_mul_overflow(seconds, std::int64_t{1'000'000'000}, &nanoseconds) ||
        __builtin_add_overflow(nanoseconds, static_cast<std::int64_t>(value.tv_usec), &nanoseconds))
        return seconds < 0 ? timestamp::min() : timestamp::max();
    return timestamp{std::chrono::nanoseconds{nanoseconds}};
}

std::optional<link_type> known_link_type(int dlt) noexcept {
    switch (dlt) {
    case DLT_NULL:
        return link_type::null_loopback;
    case DLT_EN10MB:
        return link_type::ethernet;
    case 12: // raw IP has had three numbers
    case 14:
    case 101:
        return link_type::raw_ip;
    case DLT_LOOP:
        return link_type::loop;
    case DLT_LINUX_SLL:
        return link_type::linux_sll;
    case DLT_IPV4:
        return link_type::ipv4;
    case DLT_IPV6:
        return link_type::ipv6;
    case DLT_LINUX_SLL2:
        return link_type::linux_sll2;
    default:
        return std::nullopt;
    }
}

std::uint16_t big_endian_16(std::byte const* at) noexcept {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(at[0]) << 8 | std::to_integer<unsigned>(at[1]));
}

direction to_direction(unsigned packet_type) noexcept {
    return packet_type <= 4 ? static_cast<direction>(packet_type) : direction::unknown;
}

/// What the kernel told the capturing program, from the cooked header (LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2).
void read_cooked_header(packet_view& view) noexcept {
    auto const* const data = view.data.data();
    if (view.link == link_type::linux_sll && view.data.size() >= 16) {
        view.direction = to_direction(big_endian_16(data));
        view.protocol = big_endian_16(data + 14);
    } else if (view.link == link_type::linux_sll2 && view.data.size() >= 20) {
        view.protocol = big_endian_16(data);
        view.interface_index = static_cast<std::int32_t>(std::uint32_t{big_endian_16(data + 4)} << 16 |
                                                         std::uint32_t{big_endian_16(data + 6)});
        view.direction = to_direction(std::to_integer<unsigned>(data[10]));
    }
}

} // namespace

error_code detail::validate(reader_options const& options) noexcept {
    bool const valid = options.batch_packets() >= 1 && options.batch_packets() <= 65536 &&
                       options.batch_bytes() >= 4096 && options.batch_bytes() <= std::size_t{1} << 30;
    return valid ? error_code{} : make_error_code(error::invalid_option);
}

void detail::throw_open_error(error_code ec, reader_options const& options, link_type link) {
    if (ec == error::bad_filter)
        filter{options.filter(), link}; // says what is wrong, and where
    if (options.path().empty())
        throw system_error{ec};
    throw system_error{ec, options.path().string()};
}

class reader::impl {
public:
    impl(detail::unique_descriptor descriptor, reader_options const& options,
         std::shared_ptr<detail::reader_counters> counters, error_code& ec)
        : batch_packets_{options.batch_packets()}
        , counters_{std::move(counters)}
        , pool_{new detail::chunk_pool{options.batch_packets(), options.batch_bytes(), options.pin_budget(), counters_}}
        , input_{std::move(descriptor), options.stop_token(), ec} {
        if (ec)
            return;
        char text[PCAP_ERRBUF_SIZE] = "";
        pcap_.reset(::pcap_fopen_offline_with_tstamp_precision(input_.stream(), PCAP_TSTAMP_PRECISION_NANO, text));
        if (pcap_ == nullptr) {
            ec = classify(text, input_.stream());
            return;
        }
        input_.release_stream();
        auto const dlt = ::pcap_datalink(pcap_.get());
        auto const link = known_link_type(dlt);
        if (!link && !options.any_link_type()) {
            ec = error::unsupported_link_type;
            return;
        }
        link_ = link.value_or(static_cast<link_type>(dlt));
        counters_->link.store(static_cast<int>(link_), std::memory_order_release);
        if (!options.filter().empty())
            filter_ = filter::compile(options.filter(), link_, filter::whole_packet, ec);
    }

    std::size_t read_some(packet_batch& batch, error_code& ec) {
        batch.reset();
        ec = {};
        boost::intrusive_ptr<detail::chunk> chunk;
        std::uint64_t packets = 0;
        std::uint64_t bytes = 0;
        std::uint64_t filtered = 0;
        for (std::size_t looked_at = 0; looked_at != batch_packets_; ++looked_at) {
            if (!fetched_ && (at_end_ || (packets != 0 && !input_.has_next()) || !fetch()))
                break;
            auto packet = view();
            if (filter_ && !filter_->apply(packet)) {
                fetched_ = false;
                ++filtered;
                continue;
            }
            if (chunk == nullptr)
                chunk = pool_->take();
            if (!chunk->append(packet))
                break;
            fetched_ = false;
            ++packets;
            bytes += packet.data.size();
        }
        counters_->filtered.fetch_add(filtered, std::memory_order_relaxed);
        if (packets != 0) {
            counters_->packets.fetch_add(packets, std::memory_order_relaxed);
            counters_->bytes.fetch_add(bytes, std::memory_order_relaxed);
            batch = chunk->batch(sequence_++);
        } else if (at_end_) {
            ec = end_;
        }
        return batch.size();
    }

    bool at_end() const noexcept { return at_end_ && !fetched_; }

private:
    struct close_pcap {
        void operator()(pcap_t* handle) const noexcept { ::pcap_close(handle); }
    };

    bool fetch() noexcept {
        auto const result = ::pcap_next_ex(pcap_.get(), &header_, &data_);
        fetched_ = result == 1;
        if (!fetched_) {
            at_end_ = true;
            if (result != PCAP_ERROR_BREAK) // which is the end of the file
                end_ = classify(::pcap_geterr(pcap_.get()), ::pcap_file(pcap_.get()));
        }
        return fetched_;
    }

    packet_view view() const noexcept {
        packet_view view;
        view.data = {reinterpret_cast<std::byte const*>(data_), header_->caplen};
        view.wire_length = std::max(header_->len, header_->caplen);
        view.link = link_;
        view.time = to_timestamp(header_->ts);
        read_cooked_header(view);
        return view;
    }

    /// libpcap tells its errors in words only.
    error_code classify(std::string_view text, std::FILE* stream) const noexcept {
        if (input_.failure())
            return input_.failure();
        if (std::ferror(stream) != 0)
            return {errno != 0 ? errno : EIO, boost::system::system_category()};
        if (std::feof(stream) != 0)
            return error::truncated_capture_file;
        if (text.find("of the first interface") != text.npos)
            return error::mixed_link_types;
        if (text.find("out of memory") != text.npos)
            return make_error_code(errc::not_enough_memory);
        return error::bad_capture_file;
    }

    std::size_t const batch_packets_;
    std::shared_ptr<detail::reader_counters> const counters_;
    boost::intrusive_ptr<detail::chunk_pool> const pool_;
    detail::input input_;
    std::unique_ptr<pcap_t, close_pcap> pcap_; // reads from input_
    link_type link_ = link_type::ethernet;
    std::optional<filter> filter_;
    std::uint64_t sequence_ = 0;
    pcap_pkthdr* header_ = nullptr;
    unsigned char const* data_ = nullptr;
    bool fetched_ = false; // header_ and data_ are a packet that is in no batch yet
    bool at_end_ = false;
    error_code end_; // why, unless it is the end of the file
};

reader::reader()
    : counters_{std::make_shared<detail::reader_counters>()} {}
reader::reader(reader_options const& options)
    : reader{} {
    open(options);
}
reader::reader(reader&&) noexcept = default;
reader& reader::operator=(reader&&) noexcept = default;
reader::~reader() = default;

void reader::open(reader_options const& options) {
    error_code ec;
    open(options, ec);
    if (ec)
        detail::throw_open_error(ec, options, link().value_or(link_type::ethernet));
}

void reader::open(reader_options const& options, error_code& ec) {
    if (is_open()) {
        ec = error::already_open;
        return;
    }
    auto descriptor = detail::open_input(options.path(), ec);
    if (!ec)
        assign(descriptor.release(), options, ec);
}

void reader::assign(int descriptor, reader_options const& options) {
    error_code ec;
    assign(descriptor, options, ec);
    if (ec)
        detail::throw_open_error(ec, options, link().value_or(link_type::ethernet));
}

void reader::assign(int descriptor, reader_options const& options, error_code& ec) {
    detail::unique_descriptor owned{descriptor};
    ec = is_open() ? make_error_code(error::already_open) : detail::validate(options);
    if (ec)
        return;
    if (counters_ == nullptr || link())
        counters_ = std::make_shared<detail::reader_counters>(); // frames of the file before may count in the old ones
    auto opened = std::make_unique<impl>(std::move(owned), options, counters_, ec);
    if (!ec)
        impl_ = std::move(opened);
}

void reader::close() noexcept { impl_.reset(); }

std::size_t reader::read(packet_batch& batch) {
    error_code ec;
    auto const count = read(batch, ec);
    if (ec)
        throw system_error{ec};
    return count;
}

std::size_t reader::read(packet_batch& batch, error_code& ec) {
    std::size_t count = 0;
    do {
        count = read_some(batch, ec);
    } while (count == 0 && !ec && !at_end());
    return count;
}

std::size_t reader::read_some(packet_batch& batch, error_code& ec) {
    if (!is_open()) {
        batch.reset();
        ec = error::not_open;
        return 0;
    }
    return impl_->read_some(batch, ec);
}

bool reader::at_end() const noexcept { return impl_ == nullptr || impl_->at_end(); }

std::optional<link_type> reader::link() const noexcept {
    int const link = counters_ ? counters_->link.load(std::memory_order_acquire) : detail::reader_counters::no_link;
    return link == detail::reader_counters::no_link ? std::nullopt : std::optional{static_cast<link_type>(link)};
}

reader_statistics reader::statistics() const noexcept {
    reader_statistics result;
    if (counters_ != nullptr) {
        result.packets = counters_->packets.load(std::memory_order_relaxed);
        result.bytes = counters_->bytes.load(std::memory_order_relaxed);
        result.filtered = counters_->filtered.load(std::memory_order_relaxed);
        result.copied = counters_->copied.load(std::memory_order_relaxed);
        result.pinned_batches = counters_->pinned.load(std::memory_order_relaxed);
    }
    return result;
}

} // namespace netring_asio::pcap
