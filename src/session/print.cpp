#include <netring_asio/session/event.hpp>

#include <chrono>
#include <ctime>
#include <iomanip>

namespace netring_asio::session::detail {

void print_head(std::ostream& out, timestamp time, std::string_view protocol) {
    auto const seconds = std::chrono::floor<std::chrono::seconds>(time);
    auto const whole = static_cast<std::time_t>(seconds.time_since_epoch().count());
    std::tm parts{};
    gmtime_r(&whole, &parts);
    auto const fill = out.fill('0');
    out << std::put_time(&parts, "%F %T.") << std::setw(6)
        << std::chrono::floor<std::chrono::microseconds>(time - seconds).count();
    out.fill(fill);
    out << ' ' << protocol << ' ';
}

void print(std::ostream& out, side, started const&) { out << "started"; }

void print(std::ostream& out, side, gap const& value) {
    out << "gap of " << value.length << " bytes at " << value.offset;
}

void print(std::ostream& out, side, parse_failure const& value) { out << "not parsed: " << value.error.message(); }

void print(std::ostream& out, side, ended const& value) {
    auto const& c = value.counters;
    out << "ended (" << value.reason << "), " << c.messages << " messages in " << c.bytes[0] << " and " << c.bytes[1]
        << " bytes";
    if (c.gaps != 0)
        out << ", " << c.gaps << " gaps of " << c.gap_bytes << " bytes";
}

} // namespace netring_asio::session::detail
