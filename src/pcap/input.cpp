#include "input.hpp"

#include <boost/system/errc.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <stdio_ext.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace netring_asio::pcap::detail {
namespace {

constexpr std::size_t buffer_size = std::size_t{256} << 10;

// Magic numbers of the formats as a reader of the writer's byte order sees them.
constexpr std::uint32_t magic_microseconds = 0xa1b2c3d4;
constexpr std::uint32_t magic_nanoseconds = 0xa1b23c4d;
constexpr std::uint32_t magic_modified = 0xa1b2cd34; // Kuznetzov's, with 8 bytes more in a record
constexpr std::uint32_t magic_pcapng = 0x0a0d0d0a;   // a palindrome
constexpr std::uint32_t magic_byte_order = 0x1a2b3c4d;

enum pcapng_block : std::uint32_t { packet_block = 2, simple_packet_block = 3, enhanced_packet_block = 6 };

error_code last_error() noexcept { return {errno, boost::system::system_category()}; }

} // namespace

unique_descriptor open_input(std::filesystem::path const& path, error_code& ec) {
    unique_descriptor descriptor{path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                             : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    ec = descriptor ? error_code{} : last_error();
    return descriptor;
}

bool is_pipe(int descriptor, error_code& ec) {
    struct stat status{};
    if (::fstat(descriptor, &status) != 0)
        ec = last_error();
    else if (S_ISDIR(status.st_mode))
        ec = make_error_code(boost::system::errc::is_a_directory);
    else
        ec = {};
    return !ec && !S_ISREG(status.st_mode);
}

input::input(unique_descriptor descriptor, std::stop_token stop, error_code& ec)
    : descriptor_{std::move(descriptor)}
    , buffer_(buffer_size) {
    bool const pipe = is_pipe(descriptor_.get(), ec);
    if (!ec)
        pipe ? open_pipe(std::move(stop), ec) : open_regular(ec);
}

input::~input() = default;

void input::open_regular(error_code& ec) {
    ::posix_fadvise(descriptor_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    stream_.reset(::fdopen(descriptor_.get(), "rb"));
    if (stream_ == nullptr) { // NOLINT(*Stream): the member closes it
        ec = last_error();
        return;
    }
    descriptor_.release();
    std::setvbuf(stream_.get(), buffer_.data(), _IOFBF, buffer_.size());
    ::__fsetlocking(stream_.get(), FSETLOCKING_BYCALLER); // one thread at a time reads; libpcap locks twice a packet
}

void input::open_pipe(std::stop_token stop, error_code& ec) {
    wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    cookie_io_functions_t functions{};
    functions.read = [](void* self, char* to, std::size_t size) {
        return static_cast<ssize_t>(static_cast<input*>(self)->deliver(to, size));
    };
    if (wake_)
        stream_.reset(::fopencookie(this, "rb", functions));
    if (stream_ == nullptr) {
        ec = last_error();
        return;
    }
    std::setvbuf(stream_.get(), nullptr, _IONBF, 0); // so that nothing of the next packet is read before its turn
    ::__fsetlocking(stream_.get(), FSETLOCKING_BYCALLER);
    on_stop_.emplace(std::move(stop), [wake = wake_.get()] { ::eventfd_write(wake, 1); });
}

std::ptrdiff_t input::deliver(char* to, std::size_t size) noexcept {
    while (buffered() == 0 && !at_end_ && !failure_)
        fill(-1);
    if (buffered() == 0) {
        errno = failure_.value();
        return failure_ ? -1 : 0;
    }
    size = std::min(size, buffered());
    std::memcpy(to, buffer_.data() + begin_, size);
    begin_ += size;
    if (head_size_ < head_.size()) {
        auto const part = std::min(size, head_.size() - head_size_);
        std::memcpy(head_.data() + head_size_, to, part);
        head_size_ += part;
    }
    return static_cast<std::ptrdiff_t>(size);
}

/// Reads once; false if nothing came before the timeout, or nothing more will.
bool input::fill(int timeout) noexcept {
    if (begin_ == end_) {
        begin_ = end_ = 0;
    } else if (end_ == buffer_.size()) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, buffered());
        end_ -= std::exchange(begin_, 0);
    }
    if (end_ == buffer_.size() || at_end_ || failure_)
        return false;
    pollfd ready[] = {{descriptor_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (auto const count = ::poll(ready, 2, timeout); count <= 0) {
        if (count < 0 && errno != EINTR)
            failure_ = last_error();
        return false;
    }
    if (ready[1].revents != 0) {
        failure_ = make_error_code(boost::system::errc::operation_canceled);
        return false;
    }
    auto const got = ::read(descriptor_.get(), buffer_.data() + end_, buffer_.size() - end_);
    if (got > 0)
        end_ += static_cast<std::size_t>(got);
    else if (got == 0)
        at_end_ = true;
    else if (errno != EAGAIN && errno != EINTR)
        failure_ = last_error();
    return got > 0;
}

bool input::has_whole_record() noexcept {
    do {
        if (is_whole_record())
            return true;
    } while (fill(0));
    return at_end_ || failure_;
}

bool input::is_whole_record() const noexcept {
    std::uint32_t magic = 0;
    std::memcpy(&magic, head_.data(), sizeof magic);
    if (magic == magic_pcapng) {
        std::uint32_t order = 0;
        std::memcpy(&order, head_.data() + 8, sizeof order);
        bool const swapped = order != magic_byte_order;
        for (std::size_t at = 0; buffered() - at >= 8;) {
            auto const type = word(at, swapped);
            auto const length = word(at + 4, swapped);
            if (length < 12)
                return true; // damaged, as libpcap will say
            if (type == magic_pcapng || length > buffered() - at)
                return false;
            if (type == packet_block || type == simple_packet_block || type == enhanced_packet_block)
                return true;
            at += length;
        }
        return false;
    }
    bool const swapped = magic != magic_microseconds && magic != magic_nanoseconds && magic != magic_modified;
    std::size_t const header = magic == magic_modified || magic == __builtin_bswap32(magic_modified) ? 24 : 16;
    return buffered() >= header && buffered() - header >= word(8, swapped);
}

std::uint32_t input::word(std::size_t at, bool swapped) const noexcept {
    std::uint32_t value = 0;
    std::memcpy(&value, buffer_.data() + begin_ + at, sizeof value);
    return swapped ? __builtin_bswap32(value) : value;
}

} // namespace netring_asio::pcap::detail
