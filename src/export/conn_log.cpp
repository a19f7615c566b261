#include <netring_asio/export/conn_log.hpp>
#include <netring_asio/flow/community_id.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <ctime>
#include <iterator>
#include <ostream>
#include <random>
#include <sstream>

namespace netring_asio::exports {
namespace {

struct field {
    char const* name;
    char const* type;
};
constexpr field fields[] = {
    {"ts", "time"},          {"uid", "string"},          {"id.orig_h", "addr"},
    {"id.orig_p", "port"},   {"id.resp_h", "addr"},      {"id.resp_p", "port"},
    {"proto", "enum"},       {"service", "string"},      {"duration", "interval"},
    {"orig_bytes", "count"}, {"resp_bytes", "count"},    {"conn_state", "string"},
    {"local_orig", "bool"},  {"local_resp", "bool"},     {"missed_bytes", "count"},
    {"history", "string"},   {"orig_pkts", "count"},     {"orig_ip_bytes", "count"},
    {"resp_pkts", "count"},  {"resp_ip_bytes", "count"}, {"tunnel_parents", "set[string]"},
    {"ip_proto", "count"},   {"community_id", "string"},
};

char const* transport(std::uint8_t protocol) noexcept {
    switch (protocol) {
    case decode::protocol::tcp:
        return "tcp";
    case decode::protocol::udp:
        return "udp";
    case decode::protocol::icmp:
    case decode::protocol::icmpv6:
        return "icmp";
    default:
        return "unknown_transport";
    }
}

// Zeek's identifiers are of letters and digits; two words give 22 of them at most.
std::string identifier(std::uint64_t salt, std::uint64_t id) {
    static constexpr std::string_view digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::string text{"C"};
    for (auto word : {salt, id})
        for (; word != 0; word /= digits.size())
            text += digits[word % digits.size()];
    return text;
}

template <class Printable>
std::string printed(Printable const& value) {
    std::ostringstream out;
    out << value;
    return out.str();
}

std::string date(timestamp time) {
    auto const seconds =
        static_cast<std::time_t>(std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d-%H-%M-%S", &parts)};
}

/// Writes one field after another, in the order of the table above.
class line_writer {
public:
    line_writer(std::string& line, bool json)
        : line_{line}
        , json_{json} {
        line_.clear();
        if (json_)
            line_ += '{';
    }

    line_writer& unset() {
        if (!json_)
            begin() += '-';
        return skip();
    }
    line_writer& text(std::string_view value) {
        if (value.empty())
            return unset();
        auto& line = begin();
        if (json_)
            line += '"';
        if (!json_ && (value == "-" || value == "(empty)")) { // Zeek's words for what is not there
            line.append("\\x").append({hex[value.front() >> 4], hex[value.front() & 15]});
            value.remove_prefix(1);
        }
        for (char const c : value)
            put(c);
        if (json_)
            line += '"';
        return skip();
    }
    line_writer& count(std::uint64_t value) {
        std::array<char, 20> digits;
        auto const end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
        begin().append(digits.data(), end);
        return skip();
    }
    /// Seconds with six decimals.
    line_writer& seconds(std::chrono::nanoseconds value) {
        auto const negative = value.count() < 0;
        auto const micro = std::chrono::duration_cast<std::chrono::microseconds>(value).count();
        auto const magnitude = static_cast<std::uint64_t>(negative ? -micro : micro);
        auto fraction = std::to_string(magnitude % 1'000'000);
        fraction.insert(0, 6 - fraction.size(), '0');
        begin() += (negative ? "-" : "") + std::to_string(magnitude / 1'000'000) + '.' + fraction;
        return skip();
    }
    void end() { line_ += json_ ? "}\n" : "\n"; }

private:
    std::string& begin() {
        if (json_) {
            if (line_.size() > 1)
                line_ += ',';
            line_ += '"';
            line_ += fields[at_].name;
            line_ += "\":";
        } else if (at_ != 0) {
            line_ += '\t';
        }
        return line_;
    }
    line_writer& skip() {
        ++at_;
        return *this;
    }
    // As Zeek escapes: whatever is not printable, and what would be read otherwise.
    void put(char c) {
        auto const byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f && c != '\\' && !(json_ && c == '"'))
            line_ += c;
        else
            line_.append(json_ ? "\\u00" : "\\x").append({hex[byte >> 4], hex[byte & 15]});
    }

    static constexpr char const* hex = "0123456789abcdef";
    std::string& line_;
    bool json_;
    std::size_t at_ = 0;
};

} // namespace

conn_log::conn_log(std::ostream& out, conn_log_options const& options)
    : out_{out}
    , options_{options}
    , salt_{(static_cast<std::uint64_t>(std::random_device{}()) << 32) | std::random_device{}()} {}

void conn_log::header(timestamp now) {
    begun_ = true;
    if (options_.format() == log_format::json)
        return;
    std::size_t const count = std::size(fields) - (options_.community_id() ? 0 : 1);
    out_ << "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#open\t"
         << date(now) << "\n#fields";
    for (std::size_t i = 0; i != count; ++i)
        out_ << '\t' << fields[i].name;
    out_ << "\n#types";
    for (std::size_t i = 0; i != count; ++i)
        out_ << '\t' << fields[i].type;
    out_ << '\n';
}

bool conn_log::write(flow::event const& e, std::string_view service) {
    if (e.kind != flow::event_kind::ended)
        return false;
    if (!begun_)
        header(e.time);
    auto const& s = e.stats;
    auto const duration = s.last_time - s.first_time;
    line_writer line{line_, options_.format() == log_format::json};
    line.seconds(s.first_time.time_since_epoch())
        .text(identifier(salt_, e.flow_id))
        .text(e.initiator().address.to_string(e.key.ip_version))
        .count(e.initiator().port)
        .text(e.responder().address.to_string(e.key.ip_version))
        .count(e.responder().port)
        .text(transport(e.key.protocol))
        .text(service);
    if (duration.count() > 0)
        line.seconds(duration).count(s.forward.payload_bytes).count(s.reverse.payload_bytes);
    else
        line.unset().unset().unset(); // of one packet Zeek tells no size either
    line.text(printed(s.state))
        .unset()
        .unset()
        .count(s.forward.missed_bytes + s.reverse.missed_bytes)
        .text(s.history.str())
        .count(s.forward.packets)
        .count(s.forward.ip_bytes)
        .count(s.reverse.packets)
        .count(s.reverse.ip_bytes)
        .unset()
        .count(e.key.protocol);
    if (options_.community_id())
        line.text(flow::community_id(e.key));
    line.end();
    out_ << line_;
    ++lines_;
    return true;
}

void conn_log::finish(timestamp now) {
    if (!begun_)
        header(now);
    if (options_.format() == log_format::tsv)
        out_ << "#close\t" << date(now) << '\n';
}

} // namespace netring_asio::exports
