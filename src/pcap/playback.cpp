#include "playback.hpp"

#include "validate.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <utility>

namespace netring_asio::pcap::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto longest_lag = 1s;
constexpr auto longest_disorder = 1s;

/// Of times that may be any 64 bits.
std::chrono::nanoseconds difference(timestamp a, timestamp b) noexcept {
    std::int64_t result = 0;
    if (__builtin_sub_overflow(a.time_since_epoch().count(), b.time_since_epoch().count(), &result))
        return a > b ? std::chrono::nanoseconds::max() : std::chrono::nanoseconds::min();
    return std::chrono::nanoseconds{result};
}

void check(pcap_source_options const& options, error_code& ec) noexcept {
    auto const speed = options.speed().value_or(1.0);
    bool const valid = speed >= 0.001 && speed <= 1e6 && options.max_gap() > 0ns && options.max_gap() <= 24h &&
                       options.read_ahead() >= 1 && options.read_ahead() <= 1024;
    ec = valid ? validate(options.reader()) : make_error_code(error::invalid_option);
}

} // namespace

playback::playback(netring_asio::detail::unique_descriptor descriptor, pcap_source_options const& options,
                   std::optional<int> doorbell, error_code& ec)
    : speed_{options.speed()}
    , max_gap_{options.max_gap()} {
    check(options, ec);
    if (ec)
        return;
    if (doorbell)
        feed_.emplace(std::move(descriptor), options.reader(), options.read_ahead(), *doorbell);
    else
        reader_.assign(descriptor.release(), options.reader(), ec);
}

playback::outlook playback::look(error_code& ec) {
    ec = {};
    if (current_.empty()) {
        if (feed_) {
            if (!feed_->pop(current_, ec))
                return ec ? outlook::end : outlook::no_input;
        } else if (reader_.read_some(current_, ec) == 0) {
            if (!ec && !reader_.at_end())
                return outlook::look_again;
            if (!ec)
                ec = boost::asio::error::eof;
            return outlook::end;
        }
        if (paced())
            schedule((*current_.begin()).time);
    }
    return paced() && due_ > clock::now() ? outlook::not_due : outlook::packets;
}

packet_batch playback::take(std::size_t limit) {
    if (!paced())
        return current_.split(limit);
    auto const now = clock::now();
    if (now - due_ > longest_lag)
        due_ = now;
    std::size_t count = 0;
    for (auto const& packet : current_) {
        if (count != 0)
            schedule(packet.time);
        if (count == limit || due_ > now)
            break;
        ++count;
    }
    return current_.split(count);
}

void playback::schedule(timestamp time) noexcept {
    if (!std::exchange(started_, true)) {
        due_ = clock::now();
    } else {
        auto const gap = difference(time, time_);
        if (gap < 0ns && gap > -longest_disorder)
            return; // so that the packets after it do not wait for that time again
        if (gap > 0ns)
            due_ += std::chrono::duration_cast<clock::duration>(std::min(gap, max_gap_) / *speed_);
    }
    time_ = time;
}

} // namespace netring_asio::pcap::detail
