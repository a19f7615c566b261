#include "input.hpp"
#include "playback.hpp"
#include "validate.hpp"
#include <netring_asio/detail/pcap_source_impl.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>

namespace netring_asio::detail {

using pcap::detail::playback;

pcap_source_impl::pcap_source_impl(boost::asio::any_io_executor const& executor)
    : timer_{executor}
    , doorbell_{executor} {}

pcap_source_impl::~pcap_source_impl() { playback_.reset(); } // its thread rings the doorbell

void pcap_source_impl::open(pcap_source_options const& options, error_code& ec) {
    if (is_open()) {
        ec = error::already_open;
        return;
    }
    auto descriptor = pcap::detail::open_input(options.reader().path(), ec);
    if (!ec)
        assign(descriptor.release(), options, ec);
}

void pcap_source_impl::assign(int descriptor, pcap_source_options const& options, error_code& ec) {
    unique_descriptor owned{descriptor};
    if (is_open()) {
        ec = error::already_open;
        return;
    }
    bool const pipe = pcap::detail::is_pipe(descriptor, ec);
    if (!ec && pipe) {
        unique_descriptor doorbell{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        if (!doorbell)
            ec.assign(errno, boost::system::system_category());
        else if (doorbell_.assign(doorbell.get(), ec); !ec)
            doorbell.release();
    }
    if (!ec) {
        auto opened = std::make_unique<playback>(std::move(owned), options,
                                                 pipe ? std::optional{doorbell_.native_handle()} : std::nullopt, ec);
        if (!ec) {
            playback_ = std::move(opened);
            discarded_.store(0, std::memory_order_relaxed);
            closed_ = {};
            options_ = options;
        }
    }
    if (ec) {
        error_code ignored;
        doorbell_.close(ignored);
    }
}

void pcap_source_impl::throw_open_error(error_code ec, pcap_source_options const& options) {
    pcap::detail::throw_open_error(ec, options.reader(), link_type::ethernet);
}

void pcap_source_impl::cancel() noexcept {
    ++cancels;
    timer_.cancel();
    if (doorbell_.is_open()) {
        error_code ignored;
        doorbell_.cancel(ignored);
    }
    pipe_cancellation.emit(boost::asio::cancellation_type::all);
}

void pcap_source_impl::close() noexcept {
    cancel();
    if (is_open()) {
        closed_ = playback_->statistics();
        closed_.pinned_batches = 0; // what there is now
    }
    playback_.reset();
    error_code ignored;
    doorbell_.close(ignored);
}

pcap_source_statistics pcap_source_impl::statistics() const noexcept {
    return {is_open() ? playback_->statistics() : closed_, discarded_.load(std::memory_order_relaxed)};
}

std::optional<link_type> pcap_source_impl::link() const noexcept {
    return is_open() ? playback_->link() : std::nullopt;
}

error_code pcap_source_impl::begin_receiving() noexcept {
    if (!is_open())
        return error::not_open;
    if (std::exchange(receiving, true))
        return error::operation_in_progress;
    return {};
}

bool pcap_source_impl::ready(error_code& ec) {
    auto outlook = playback_->look(ec);
    if (outlook == playback::outlook::no_input) {
        ::eventfd_t count = 0;
        ::eventfd_read(doorbell_.native_handle(), &count);
        outlook = playback_->look(ec); // what came before the bell was muted
    }
    switch (outlook) {
    case playback::outlook::packets:
    case playback::outlook::end:
        return true;
    case playback::outlook::not_due:
        lack_ = lack::time;
        timer_.expires_at(playback_->due());
        break;
    case playback::outlook::no_input:
        lack_ = lack::input;
        break;
    case playback::outlook::look_again:
        lack_ = lack::turn;
        break;
    }
    return false;
}

bool pcap_source_impl::try_receive(packet_batch& batch) {
    if (receiving)
        return false;
    batch.reset();
    error_code ec;
    return is_open() && ready(ec) && !ec && take(batch) != 0;
}

std::size_t pcap_source_impl::receive(packet_batch& batch, std::size_t most, std::chrono::nanoseconds limit,
                                      error_code& ec) {
    batch.reset();
    if (ec = begin_receiving(); ec)
        return 0;
    auto const now = clock::now();
    bool const bounded = limit >= limit.zero() && limit < clock::time_point::max() - now;
    auto const deadline = bounded ? now + limit : clock::time_point::max();
    while (!ready(ec)) {
        if (clock::now() >= deadline) {
            ec = error::timed_out;
            break;
        }
        if (lack_ == lack::time) {
            std::this_thread::sleep_until(std::min(deadline, playback_->due()));
        } else if (lack_ == lack::input) {
            using std::chrono::milliseconds;
            auto const rest = std::chrono::ceil<milliseconds>(
                std::min<clock::duration>(deadline - clock::now(), std::chrono::hours{1}));
            pollfd bell{doorbell_.native_handle(), POLLIN, 0};
            ::poll(&bell, 1, static_cast<int>(std::max(rest, milliseconds{0}).count()));
        }
    }
    receiving = false;
    if (!ec)
        batch = playback_->take(most);
    return batch.size();
}

std::size_t pcap_source_impl::take(packet_batch& batch) {
    batch = playback_->take();
    return batch.size();
}

std::size_t pcap_source_impl::take(std::vector<owned_packet>& packets) {
    auto const batch = playback_->take();
    copy_packets(batch, packets, spare_);
    return batch.size();
}

} // namespace netring_asio::detail
