#include "any_time.hpp"
#include <netring_asio/pcap/rotating_writer.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include <fcntl.h>

namespace netring_asio::pcap {
namespace {

constexpr std::uint64_t smallest_file = std::uint64_t{1} << 20;
// At most, of a pcapng file: its heads, and what stands around the bytes of a packet.
constexpr std::uint64_t head_size = 1024;
constexpr std::uint64_t record_overhead = 64;

std::string stamp(timestamp time) {
    auto const since = time.time_since_epoch();
    auto const seconds = std::chrono::floor<std::chrono::seconds>(since);
    auto const when = static_cast<std::time_t>(seconds.count());
    std::tm parts{};
    ::gmtime_r(&when, &parts);
    char text[64];
    auto const length = std::strftime(text, sizeof text, "%Y%m%dT%H%M%S", &parts);
    std::snprintf(text + length, sizeof text - length, ".%09lldZ", static_cast<long long>((since - seconds).count()));
    return text;
}

} // namespace

rotating_writer::rotating_writer(rotation_options options)
    : options_{std::move(options)} {
    if (options_.prefix().empty() || options_.max_size() < smallest_file)
        throw system_error{error::invalid_option, "rotating_writer"};
}

void rotating_writer::write(packet_view const& packet) {
    error_code ec;
    write(packet, ec);
    throw_if(ec);
}

void rotating_writer::write(packet_view const& packet, error_code& ec) {
    ec = {};
    auto const size = packet.data.size() + record_overhead;
    auto const time = std::max(packet.time, timestamp{}); // as files have it
    auto const full = size_ + size > options_.max_size() ||
                      (options_.max_duration() && detail::later(time, -*options_.max_duration()) >= begun_);
    if (writer_.is_open() && full)
        writer_.close(ec);
    if (!ec && !writer_.is_open())
        next(time, ec);
    if (ec)
        return;
    writer_.write(packet, ec);
    if (ec) {
        error_code ignored;
        writer_.close(ignored);
        return;
    }
    size_ += size;
}

void rotating_writer::next(timestamp time, error_code& ec) {
    auto const suffix = options_.writing().format() == file_format::pcap ? ".pcap" : ".pcapng";
    for (;;) {
        char number[32];
        std::snprintf(number, sizeof number, "-%06llu", static_cast<unsigned long long>(++number_));
        path_ = options_.prefix();
        path_ += "-" + stamp(time) + number + suffix;
        auto const descriptor = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (descriptor >= 0) {
            writer_.assign(descriptor, options_.writing(), ec);
            break;
        }
        if (errno != EEXIST) {
            ec = error_code{errno, boost::system::system_category()};
            break;
        }
    }
    if (ec)
        return;
    ++files_;
    size_ = head_size;
    begun_ = time;
}

void rotating_writer::throw_if(error_code const& ec) const {
    if (ec)
        throw system_error{ec, path_.string()};
}

void rotating_writer::flush() {
    error_code ec;
    flush(ec);
    throw_if(ec);
}

void rotating_writer::flush(error_code& ec) {
    ec = {};
    if (writer_.is_open())
        writer_.flush(ec);
}

void rotating_writer::close() {
    error_code ec;
    close(ec);
    throw_if(ec);
}

void rotating_writer::close(error_code& ec) {
    ec = {};
    if (writer_.is_open())
        writer_.close(ec);
}

} // namespace netring_asio::pcap
