#include <netring_asio/export/ipfix_encoder.hpp>

#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace netring_asio::exports {
namespace {

constexpr std::uint16_t version = 10;
constexpr std::size_t set_header = 4;
constexpr std::uint16_t template_set = 2;
constexpr std::uint16_t first_template = 256;     // 256 for IPv4, 257 for IPv6; biflows 258 and 259
constexpr std::uint32_t reverse_elements = 29305; // RFC 5103

// IANA: IPFIX Information Elements
namespace element {
constexpr std::uint16_t octets = 1;
constexpr std::uint16_t packets = 2;
constexpr std::uint16_t protocol = 4;
constexpr std::uint16_t tcp_flags = 6;
constexpr std::uint16_t source_port = 7;
constexpr std::uint16_t source_ipv4 = 8;
constexpr std::uint16_t destination_port = 11;
constexpr std::uint16_t destination_ipv4 = 12;
constexpr std::uint16_t source_ipv6 = 27;
constexpr std::uint16_t destination_ipv6 = 28;
constexpr std::uint16_t end_reason = 136;
constexpr std::uint16_t flow_id = 148;
constexpr std::uint16_t start_milliseconds = 152;
constexpr std::uint16_t end_milliseconds = 153;
constexpr std::uint16_t tcp_sequence = 184;
constexpr std::uint16_t tcp_window_scale = 238;
constexpr std::uint16_t biflow_direction = 239;
constexpr std::uint16_t layer_2_octets = 352;
} // namespace element

// Of the enterprise number that the user gives.
namespace own_element {
constexpr std::uint16_t payload_octets = 1;
constexpr std::uint16_t retransmitted = 2;
constexpr std::uint16_t out_of_order = 3;
constexpr std::uint16_t missed_octets = 4;
constexpr std::uint16_t zero_windows = 5;
constexpr std::uint16_t segment_size = 6;
constexpr std::uint16_t reverse = 32; // added for the other direction
constexpr std::uint16_t round_trip = 64;
constexpr std::uint16_t state = 65;
constexpr std::uint16_t history = 66;
} // namespace own_element

class byte_writer {
public:
    explicit byte_writer(std::vector<std::byte>& out)
        : out_{out} {}
    void number(std::uint64_t value, std::size_t size) {
        for (auto shift = 8 * size; shift != 0; shift -= 8)
            out_.push_back(static_cast<std::byte>(value >> (shift - 8)));
    }
    void bytes(void const* from, std::size_t size) {
        auto const* const at = static_cast<std::byte const*>(from);
        out_.insert(out_.end(), at, at + size);
    }
    void text(std::string_view value, std::size_t size) {
        auto const taken = std::min(value.size(), size);
        bytes(value.data(), taken);
        out_.resize(out_.size() + size - taken);
    }

private:
    std::vector<std::byte>& out_;
};

/// Takes the fields of a record down as a template, or else as values.
class template_sink {
public:
    explicit template_sink(std::vector<std::byte>& out)
        : out_{out} {}
    void number(std::uint16_t id, std::size_t size, std::uint64_t, std::uint32_t enterprise = 0) {
        describe(id, size, enterprise);
    }
    void address(std::uint16_t id, std::size_t size, decode::ip_address const&) { describe(id, size, 0); }
    void text(std::uint16_t id, std::size_t size, std::string_view, std::uint32_t enterprise) {
        describe(id, size, enterprise);
    }
    std::size_t count() const noexcept { return count_; }
    std::size_t record_size() const noexcept { return record_size_; }

private:
    void describe(std::uint16_t id, std::size_t size, std::uint32_t enterprise) {
        out_.number(id | (enterprise != 0 ? 0x8000U : 0U), 2);
        out_.number(size, 2);
        if (enterprise != 0)
            out_.number(enterprise, 4);
        ++count_;
        record_size_ += size;
    }
    byte_writer out_;
    std::size_t count_ = 0;
    std::size_t record_size_ = 0;
};

class value_sink {
public:
    explicit value_sink(std::vector<std::byte>& out)
        : out_{out} {}
    void number(std::uint16_t, std::size_t size, std::uint64_t value, std::uint32_t = 0) { out_.number(value, size); }
    void address(std::uint16_t, std::size_t size, decode::ip_address const& value) {
        out_.bytes(value.bytes.data() + value.bytes.size() - size, size);
    }
    void text(std::uint16_t, std::size_t size, std::string_view value, std::uint32_t) { out_.text(value, size); }

private:
    byte_writer out_;
};

// RFC 5102, 5.11.3
std::uint8_t end_reason(flow::end_reason reason) noexcept {
    switch (reason) {
    case flow::end_reason::idle:
        return 1;
    case flow::end_reason::active_timeout:
        return 2;
    case flow::end_reason::flushed:
        return 4;
    case flow::end_reason::evicted:
        return 5;
    default:
        return 3;
    }
}

std::uint64_t milliseconds(timestamp time) noexcept {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

template <class Sink>
void counters(Sink& sink, flow::direction_stats const& d, bool reverse, std::uint32_t own) {
    auto const enterprise = reverse ? reverse_elements : 0;
    sink.number(element::octets, 8, d.ip_bytes, enterprise);
    sink.number(element::packets, 8, d.packets, enterprise);
    sink.number(element::layer_2_octets, 8, d.wire_bytes, enterprise);
    sink.number(element::tcp_flags, 2, d.tcp_flags, enterprise);
    sink.number(element::tcp_sequence, 4, d.initial_sequence.value_or(0), enterprise);
    sink.number(element::tcp_window_scale, 2, d.window_scale.value_or(0), enterprise);
    if (own == 0)
        return;
    auto const id = [reverse](std::uint16_t value) {
        return static_cast<std::uint16_t>(value + (reverse ? own_element::reverse : 0));
    };
    sink.number(id(own_element::payload_octets), 8, d.payload_bytes, own);
    sink.number(id(own_element::retransmitted), 8, d.retransmitted, own);
    sink.number(id(own_element::out_of_order), 8, d.out_of_order, own);
    sink.number(id(own_element::missed_octets), 8, d.missed_bytes, own);
    sink.number(id(own_element::zero_windows), 8, d.zero_windows, own);
    sink.number(id(own_element::segment_size), 2, d.maximum_segment_size.value_or(0), own);
}

// The one place that says what a record is made of, for its template and for its values.
template <class Sink>
void describe(Sink& sink, flow::event const& e, bool ipv6, bool from_responder, ipfix_encoding const& encoding) {
    auto const& source = from_responder ? e.responder() : e.initiator();
    auto const& destination = from_responder ? e.initiator() : e.responder();
    auto const& s = e.stats;
    std::size_t const address_size = ipv6 ? 16 : 4;
    sink.address(ipv6 ? element::source_ipv6 : element::source_ipv4, address_size, source.address);
    sink.address(ipv6 ? element::destination_ipv6 : element::destination_ipv4, address_size, destination.address);
    sink.number(element::source_port, 2, source.port);
    sink.number(element::destination_port, 2, destination.port);
    sink.number(element::protocol, 1, e.key.protocol);
    sink.number(element::end_reason, 1, end_reason(e.reason));
    sink.number(element::start_milliseconds, 8, milliseconds(s.first_time));
    sink.number(element::end_milliseconds, 8, milliseconds(s.last_time));
    sink.number(element::flow_id, 8, e.flow_id);
    auto const own = encoding.enterprise();
    if (encoding.biflow())
        sink.number(element::biflow_direction, 1, 1); // the initiator is the source
    counters(sink, from_responder ? s.reverse : s.forward, false, own);
    if (encoding.biflow())
        counters(sink, s.reverse, true, own);
    if (own == 0)
        return;
    std::ostringstream state;
    state << s.state;
    auto const round_trip = s.round_trip().value_or(std::chrono::nanoseconds{});
    sink.number(own_element::round_trip, 8, static_cast<std::uint64_t>(round_trip.count()), own);
    sink.text(own_element::state, 8, state.str(), own);
    sink.text(own_element::history, flow::history::capacity, s.history.str(), own);
}

void store_16(std::vector<std::byte>& out, std::size_t at, std::size_t value) {
    boost::endian::store_big_u16(reinterpret_cast<unsigned char*>(out.data() + at), static_cast<std::uint16_t>(value));
}

std::uint16_t template_id(bool ipv6, bool biflow) noexcept {
    return static_cast<std::uint16_t>(first_template + (ipv6 ? 1 : 0) + (biflow ? 2 : 0));
}

} // namespace

ipfix_encoder::ipfix_encoder(ipfix_encoding const& encoding)
    : encoding_{encoding} {
    encoding_.max_message(std::clamp<std::size_t>(encoding.max_message(), 1024, 65535));
    byte_writer out{templates_};
    out.number(template_set, 2);
    out.number(0, 2);
    for (bool const ipv6 : {false, true}) {
        std::vector<std::byte> fields;
        template_sink sink{fields};
        describe(sink, {}, ipv6, false, encoding_);
        out.number(template_id(ipv6, encoding_.biflow()), 2);
        out.number(sink.count(), 2);
        out.bytes(fields.data(), fields.size());
        record_size_[ipv6 ? 1 : 0] = sink.record_size();
    }
    store_16(templates_, 2, templates_.size());
}

std::size_t ipfix_encoder::encode(std::span<flow::event const> events, timestamp now, std::vector<std::byte>& message) {
    message.clear();
    byte_writer out{message};
    out.number(version, 2);
    out.number(0, 2);
    out.number(
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count()),
        4);
    out.number(records_, 4);
    out.number(encoding_.observation_domain(), 4);
    if (templates_due_)
        out.bytes(templates_.data(), templates_.size());

    std::size_t dealt_with = 0;
    std::uint32_t added = 0;
    std::size_t set = 0; // where the set begins that is being filled
    std::uint16_t set_id = 0;
    auto const close_set = [&] {
        if (set != 0)
            store_16(message, set + 2, message.size() - set);
    };
    for (; dealt_with != events.size(); ++dealt_with) {
        auto const& e = events[dealt_with];
        if (e.kind != flow::event_kind::ended && e.kind != flow::event_kind::late)
            continue;
        bool const ipv6 = e.key.ip_version == 6;
        bool const initiator = encoding_.biflow() || e.stats.forward.packets != 0;
        bool const responder = !encoding_.biflow() && e.stats.reverse.packets != 0;
        auto const count = std::size_t{initiator} + std::size_t{responder};
        auto const id = template_id(ipv6, encoding_.biflow());
        auto const need = count * record_size_[ipv6 ? 1 : 0] + (id != set_id ? set_header : 0);
        if (added != 0 && message.size() + need > encoding_.max_message())
            break;
        if (count == 0)
            continue;
        if (id != set_id) {
            close_set();
            set = message.size();
            set_id = id;
            out.number(id, 2);
            out.number(0, 2);
        }
        value_sink sink{message};
        if (initiator)
            describe(sink, e, ipv6, false, encoding_);
        if (responder)
            describe(sink, e, ipv6, true, encoding_);
        added += static_cast<std::uint32_t>(count);
    }
    close_set();
    if (added == 0) {
        message.clear();
        last_records_ = 0;
        last_had_templates_ = false;
        return dealt_with;
    }
    store_16(message, 2, message.size());
    records_ += added;
    last_records_ = added;
    last_had_templates_ = std::exchange(templates_due_, false);
    return dealt_with;
}

void ipfix_encoder::take_back() noexcept {
    records_ -= std::exchange(last_records_, 0);
    templates_due_ = templates_due_ || std::exchange(last_had_templates_, false);
}

} // namespace netring_asio::exports
