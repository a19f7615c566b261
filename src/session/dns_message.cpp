#include <netring_asio/session/detail/byte_reader.hpp>
#include <netring_asio/session/dns_message.hpp>

#include <algorithm>
#include <ostream>

namespace netring_asio::session::dns {
namespace {

using detail::byte_reader;
using detail::bytes;

void append_label(name& to, bytes label) {
    for (auto const byte : label) {
        auto const c = std::to_integer<unsigned char>(byte);
        if (c == '.' || c == '\\') {
            to += '\\';
            to += static_cast<char>(c);
        } else if (c > 0x20 && c < 0x7f) {
            to += static_cast<char>(c);
        } else {
            to += '\\';
            to += static_cast<char>('0' + c / 100);
            to += static_cast<char>('0' + c / 10 % 10);
            to += static_cast<char>('0' + c % 10);
        }
    }
}

class decoder {
public:
    explicit decoder(bytes whole) noexcept
        : whole_{whole}
        , text_left_{4096 + 16 * whole.size()} {}

    std::size_t position = 0;
    bool failed = false;

    byte_reader reader(std::size_t length) {
        if (length > whole_.size() - position) {
            failed = true;
            return byte_reader{bytes{}};
        }
        auto const from = position;
        position += length;
        return byte_reader{whole_.subspan(from, length)};
    }

    /// A name that begins at `position`, which moves behind it, but not beyond `end`.
    // As many as there can be labels between them.
    static constexpr unsigned max_pointers = 127;

    name take_name(std::size_t end) {
        name result;
        auto at = position;
        auto limit = end;       // of the part that is read now
        auto lowest = position; // a pointer must lead before every part that was read
        std::size_t length = 1; // of the name on the wire
        unsigned pointers = 0;
        bool followed = false;
        for (;;) {
            if (at >= limit)
                return fail();
            auto const size = std::to_integer<std::size_t>(whole_[at]);
            if (size == 0) {
                if (result.size() > text_left_)
                    return fail();
                text_left_ -= result.size();
                if (!followed)
                    position = at + 1;
                return result;
            }
            if (size < 0x40) {
                length += size + 1;
                if (at + 1 + size > limit || length > 255)
                    return fail();
                if (!result.empty())
                    result += '.';
                append_label(result, whole_.subspan(at + 1, size));
                at += 1 + size;
                continue;
            }
            if (size < 0xc0 || at + 2 > limit)
                return fail();
            auto const target = (size & 0x3f) << 8 | std::to_integer<std::size_t>(whole_[at + 1]);
            if (!followed)
                position = at + 2;
            followed = true;
            if (target >= lowest || ++pointers > max_pointers)
                return fail();
            limit = lowest;
            lowest = at = target;
        }
    }

private:
    name fail() {
        failed = true;
        position = whole_.size();
        return {};
    }

    bytes whole_;
    std::size_t text_left_; // of names, which pointers let grow far beyond what was sent
};

std::vector<std::byte> copy(bytes from) { return {from.begin(), from.end()}; }
std::string text(bytes from) { return std::string{detail::as_text(from)}; }

auto take_pairs(byte_reader& from) {
    std::vector<std::pair<std::uint16_t, std::vector<std::byte>>> result;
    while (from && !from.empty()) {
        auto const key = from.u16();
        auto const value = from.vector16();
        if (from)
            result.emplace_back(key, copy(value));
    }
    return result;
}

record_data take_data(decoder& from, record const& r, std::size_t length) {
    auto const begin = from.position;
    auto const end = begin + length;
    auto const whole = [&] { return from.reader(end - from.position); };
    switch (r.type) {
    case record_type::a:
        if (length == 4)
            return decode::ip_address::from_v4(whole().take(4).data());
        break;
    case record_type::aaaa:
        if (length == 16)
            return decode::ip_address::from_v6(whole().take(16).data());
        break;
    case record_type::ns:
    case record_type::cname:
    case record_type::ptr:
    case record_type::dname:
        if (length != 0)
            return from.take_name(end);
        break;
    case record_type::mx:
        if (length > 2) {
            auto const preference = from.reader(2).u16();
            return mail_exchange{preference, from.take_name(end)};
        }
        break;
    case record_type::txt: {
        std::vector<std::string> strings;
        auto all = whole();
        while (all && !all.empty())
            strings.push_back(text(all.vector8()));
        from.failed = from.failed || all.failed();
        return strings;
    }
    case record_type::soa:
        if (length != 0) {
            start_of_authority soa{};
            soa.primary = from.take_name(end);
            soa.mailbox = from.take_name(end);
            if (from.failed || end - from.position < 20)
                break;
            auto numbers = from.reader(20);
            for (auto* number : {&soa.serial, &soa.refresh, &soa.retry, &soa.expire, &soa.minimum})
                *number = numbers.u32();
            return soa;
        }
        break;
    case record_type::srv:
        if (length > 6) {
            auto numbers = from.reader(6);
            service srv{numbers.u16(), numbers.u16(), numbers.u16(), {}};
            srv.target = from.take_name(end);
            return srv;
        }
        break;
    case record_type::svcb:
    case record_type::https:
        if (length > 2) {
            service_binding binding{from.reader(2).u16(), {}, {}};
            binding.target = from.take_name(end);
            if (from.failed)
                break;
            auto rest = whole();
            binding.parameters = take_pairs(rest);
            from.failed = from.failed || rest.failed();
            return binding;
        }
        break;
    case record_type::caa: {
        auto all = whole();
        certification_authority caa{all.u8(), text(all.vector8()), {}};
        caa.value = text(all.rest());
        from.failed = from.failed || all.failed();
        return caa;
    }
    case record_type::opt: {
        auto all = whole();
        return extension{r.class_, static_cast<std::uint8_t>(r.time_to_live >> 24),
                         static_cast<std::uint8_t>(r.time_to_live >> 16), (r.time_to_live & 0x8000) != 0,
                         take_pairs(all)};
    }
    default:
        break;
    }
    return copy(whole().rest());
}

void take_records(decoder& from, std::size_t size, std::uint16_t count, std::vector<record>& to) {
    for (; count != 0 && !from.failed; --count) {
        record r{from.take_name(size), {}, 0, 0, {}};
        auto fixed = from.reader(from.failed ? 0 : 10);
        r.type = static_cast<record_type>(fixed.u16());
        r.class_ = fixed.u16();
        r.time_to_live = fixed.u32();
        auto const length = fixed.u16();
        if (from.failed || fixed.failed() || length > size - from.position) {
            from.failed = true;
            return;
        }
        auto const end = from.position + length;
        r.data = take_data(from, r, length);
        if (from.failed)
            return;
        from.position = end;
        to.push_back(std::move(r));
    }
}

} // namespace

error_code decode(std::span<std::byte const> input, message& result) {
    result = {};
    decoder from{input};
    auto head = from.reader(12);
    result.id = head.u16();
    auto const flags = head.u16();
    for (auto& count : result.announced)
        count = head.u16();
    auto counts = result.announced;
    if (from.failed)
        return error::malformed_message;
    auto const flag = [flags](unsigned bit) { return (flags >> bit & 1) != 0; };
    result.is_response = flag(15);
    result.opcode = static_cast<std::uint8_t>(flags >> 11 & 15);
    result.authoritative = flag(10);
    result.truncated = flag(9);
    result.recursion_desired = flag(8);
    result.recursion_available = flag(7);
    result.response_code = static_cast<std::uint8_t>(flags & 15);
    for (; counts[0] != 0 && !from.failed; --counts[0]) {
        question q{from.take_name(input.size()), {}, 0};
        auto fixed = from.reader(from.failed ? 0 : 4);
        q.type = static_cast<record_type>(fixed.u16());
        q.class_ = fixed.u16();
        if (!fixed.failed())
            result.questions.push_back(std::move(q));
        else
            from.failed = true;
    }
    take_records(from, input.size(), counts[1], result.answers);
    take_records(from, input.size(), counts[2], result.authorities);
    take_records(from, input.size(), counts[3], result.additionals);
    return from.failed ? error_code{error::malformed_message} : error_code{};
}

std::ostream& operator<<(std::ostream& out, record_type type) {
    switch (type) {
    case record_type::a:
        return out << "A";
    case record_type::ns:
        return out << "NS";
    case record_type::cname:
        return out << "CNAME";
    case record_type::soa:
        return out << "SOA";
    case record_type::ptr:
        return out << "PTR";
    case record_type::mx:
        return out << "MX";
    case record_type::txt:
        return out << "TXT";
    case record_type::aaaa:
        return out << "AAAA";
    case record_type::srv:
        return out << "SRV";
    case record_type::naptr:
        return out << "NAPTR";
    case record_type::dname:
        return out << "DNAME";
    case record_type::opt:
        return out << "OPT";
    case record_type::ds:
        return out << "DS";
    case record_type::rrsig:
        return out << "RRSIG";
    case record_type::nsec:
        return out << "NSEC";
    case record_type::dnskey:
        return out << "DNSKEY";
    case record_type::svcb:
        return out << "SVCB";
    case record_type::https:
        return out << "HTTPS";
    case record_type::axfr:
        return out << "AXFR";
    case record_type::any:
        return out << "ANY";
    case record_type::caa:
        return out << "CAA";
    }
    return out << "TYPE" << static_cast<unsigned>(type);
}

namespace {

struct print_data {
    std::ostream& out;
    void operator()(std::vector<std::byte> const& raw) const { out << raw.size() << " bytes"; }
    void operator()(decode::ip_address const& address) const { out << address.to_string(); }
    void operator()(name const& value) const { out << (value.empty() ? "." : value); }
    void operator()(std::vector<std::string> const& strings) const {
        char const* separator = "";
        for (auto const& s : strings) {
            out << separator << '"';
            append(s);
            out << '"';
            separator = " ";
        }
    }
    void operator()(mail_exchange const& mx) const { out << mx.preference << ' ' << mx.exchange; }
    void operator()(start_of_authority const& soa) const {
        out << soa.primary << ' ' << soa.mailbox << ' ' << soa.serial;
    }
    void operator()(service const& srv) const {
        out << srv.priority << ' ' << srv.weight << ' ' << srv.port << ' ' << srv.target;
    }
    void operator()(service_binding const& binding) const {
        out << binding.priority << ' ' << (binding.target.empty() ? "." : binding.target);
    }
    void operator()(certification_authority const& caa) const {
        append(caa.tag);
        out << ' ';
        append(caa.value);
    }
    void operator()(extension const& edns) const { out << "size " << edns.udp_payload_size; }
    void append(std::string const& s) const {
        name escaped;
        append_label(escaped, std::as_bytes(std::span{s}));
        out << escaped;
    }
};

void print_question(std::ostream& out, std::uint16_t id, std::vector<question> const& questions) {
    out << id;
    for (auto const& q : questions)
        out << ' ' << (q.name.empty() ? "." : q.name) << ' ' << q.type;
}

} // namespace

std::ostream& operator<<(std::ostream& out, message const& value) {
    out << (value.is_response ? "dns response " : "dns query ");
    print_question(out, value.id, value.questions);
    if (value.is_response)
        out << " code " << static_cast<unsigned>(value.response_code);
    char const* separator = ": ";
    for (auto const& r : value.answers) {
        out << separator << r.type << ' ';
        std::visit(print_data{out}, r.data);
        separator = ", ";
    }
    if (value.cut)
        out << ", cut";
    if (value.latency)
        out << " after " << value.latency->count() / 1000 << " us";
    return out;
}

std::ostream& operator<<(std::ostream& out, unanswered const& value) {
    out << "dns unanswered ";
    print_question(out, value.id, value.questions);
    return out;
}

} // namespace netring_asio::session::dns
