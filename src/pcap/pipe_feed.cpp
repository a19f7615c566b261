#include "pipe_feed.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/errc.hpp>

#include <new>
#include <utility>

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

namespace netring_asio::pcap::detail {
namespace {

/// Signals are the business of the program's own threads.
class all_signals_blocked {
public:
    all_signals_blocked() noexcept {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~all_signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_;
};

} // namespace

pipe_feed::pipe_feed(netring_asio::detail::unique_descriptor descriptor, reader_options const& options,
                     std::size_t read_ahead, int doorbell)
    : doorbell_{doorbell}
    , ring_(read_ahead) {
    all_signals_blocked const inherited;
    thread_ =
        std::jthread{[this, options, fd = descriptor.get()](std::stop_token const& stop) { run(stop, fd, options); }};
    descriptor.release();
}

bool pipe_feed::pop(packet_batch& batch, error_code& ec) {
    {
        std::lock_guard const lock{mutex_};
        ec = count_ == 0 ? end_ : error_code{};
        if (count_ == 0)
            return false;
        batch = std::move(ring_[first_]);
        first_ = (first_ + 1) % ring_.size();
        --count_;
    }
    popped_.notify_one();
    return true;
}

void pipe_feed::run(std::stop_token const& stop, int descriptor, reader_options options) noexcept {
    error_code ec;
    try {
        reader_.assign(descriptor, options.stop_token(stop), ec);
        for (packet_batch batch; !ec && reader_.read(batch, ec) != 0;)
            push(stop, std::move(batch));
    } catch (std::bad_alloc const&) {
        ec = make_error_code(boost::system::errc::not_enough_memory);
    }
    std::lock_guard const lock{mutex_};
    end_ = ec ? ec : boost::asio::error::eof;
    ::eventfd_write(doorbell_, 1);
}

void pipe_feed::push(std::stop_token const& stop, packet_batch batch) {
    std::unique_lock lock{mutex_};
    if (!popped_.wait(lock, stop, [this] { return count_ != ring_.size(); }))
        return; // nobody will pop
    ring_[(first_ + count_) % ring_.size()] = std::move(batch);
    if (count_++ == 0)
        ::eventfd_write(doorbell_, 1);
}

} // namespace netring_asio::pcap::detail
