#include "output.hpp"

#include <cerrno>

#include <unistd.h>

namespace netring_asio::pcap::detail {

bool output::begin(std::size_t size, error_code& ec) noexcept {
    ec = {};
    if (size > buffer_.size() - end_)
        flush(ec);
    at_ = end_;
    return !ec;
}

void output::flush(error_code& ec) noexcept {
    ec = {};
    while (begin_ != end_) {
        auto const written = ::write(descriptor_.get(), buffer_.data() + begin_, end_ - begin_);
        if (written >= 0) {
            begin_ += static_cast<std::size_t>(written);
        } else if (errno != EINTR) {
            ec.assign(errno, boost::system::system_category());
            return;
        }
    }
    begin_ = end_ = 0;
}

void output::close(error_code& ec) noexcept {
    flush(ec);
    if (::close(descriptor_.release()) != 0 && !ec)
        ec.assign(errno, boost::system::system_category());
}

} // namespace netring_asio::pcap::detail
