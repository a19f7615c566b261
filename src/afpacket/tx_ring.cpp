#include "tx_core.hpp"
#include "tx_opener.hpp"
#include <netring_asio/afpacket/tx_ring.hpp>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include <fcntl.h>
#include <poll.h>

namespace netring_asio::afpacket {
namespace {

using clock = std::chrono::steady_clock;

/// Of a limit that began at `start`; negative is for ever.
std::chrono::nanoseconds left_of(std::chrono::nanoseconds limit, clock::time_point start) noexcept {
    return limit.count() < 0 ? limit : std::max(limit - (clock::now() - start), std::chrono::nanoseconds{0});
}

void throw_if(error_code const& ec, char const* what) {
    if (ec)
        throw system_error{ec, what};
}

} // namespace

tx_frame::tx_frame(tx_frame&& other) noexcept
    : core_{std::exchange(other.core_, nullptr)}
    , data_{std::exchange(other.data_, {})} {
    if (core_ != nullptr)
        core_->moved(*this);
}

tx_frame& tx_frame::operator=(tx_frame&& other) noexcept {
    if (this == &other)
        return *this;
    reset();
    core_ = std::exchange(other.core_, nullptr);
    data_ = std::exchange(other.data_, {});
    if (core_ != nullptr)
        core_->moved(*this);
    return *this;
}

void tx_frame::reset() noexcept {
    if (core_ != nullptr)
        core_->forget(*this);
}

void tx_frame::commit(std::size_t length) {
    error_code ec;
    commit(length, ec);
    throw_if(ec, "commit");
}

void tx_frame::commit(std::size_t length, error_code& ec) noexcept { commit(length, offload_info{}, ec); }

void tx_frame::commit(std::size_t length, offload_info const& offload) {
    error_code ec;
    commit(length, offload, ec);
    throw_if(ec, "commit");
}

void tx_frame::commit(std::size_t length, offload_info const& offload, error_code& ec) noexcept {
    if (core_ == nullptr)
        ec = error::not_open;
    else
        core_->commit(*this, length, offload, ec);
}

tx_ring::tx_ring() noexcept = default;
tx_ring::tx_ring(tx_ring&& other) noexcept
    : core_{std::move(other.core_)}
    , link_{other.link_} {}

tx_ring& tx_ring::operator=(tx_ring&& other) noexcept {
    if (this == &other)
        return *this;
    close();
    core_ = std::move(other.core_);
    link_ = other.link_;
    return *this;
}

tx_ring::~tx_ring() { close(); }

void tx_ring::open(injector_options const& options) {
    error_code ec;
    std::string context;
    tx_opener{*this, options, context}.open(-1, ec);
    if (ec)
        throw system_error{ec, context};
}

void tx_ring::open(injector_options const& options, error_code& ec) {
    std::string context;
    tx_opener{*this, options, context}.open(-1, ec);
}

void tx_ring::assign(int socket, injector_options const& options) {
    error_code ec;
    std::string context;
    tx_opener{*this, options, context}.open(socket, ec);
    if (ec)
        throw system_error{ec, context};
}

void tx_ring::assign(int socket, injector_options const& options, error_code& ec) {
    std::string context;
    tx_opener{*this, options, context}.open(socket, ec);
}

void tx_ring::close() noexcept {
    if (core_)
        core_->close();
}

bool tx_ring::is_open() const noexcept { return core_ && core_->is_open(); }
int tx_ring::native_handle() const noexcept { return is_open() ? core_->socket() : -1; }
int tx_ring::wait_handle() const noexcept { return is_open() ? core_->wait_handle() : -1; }

int tx_ring::duplicate_wait_handle(error_code& ec) const noexcept {
    auto const duplicate = ::fcntl(wait_handle(), F_DUPFD_CLOEXEC, 0);
    ec = duplicate < 0 ? error_code{errno, boost::system::system_category()} : error_code{};
    return duplicate;
}

tx_frame tx_ring::try_reserve(std::size_t size) {
    error_code ec;
    auto frame = try_reserve(size, ec);
    throw_if(ec, "reserve");
    return frame;
}

tx_frame tx_ring::try_reserve(std::size_t size, error_code& ec) noexcept {
    tx_frame frame;
    if (!core_) {
        ec = error::not_open;
        return frame;
    }
    core_->reserve(frame, size, ec);
    if (!frame && !ec) {
        // Full, and nobody else may be about to have the kernel take what is there.
        ec = core_->kick_if_due();
        if (!ec)
            core_->reserve(frame, size, ec);
    }
    return frame;
}

std::size_t tx_ring::flush() {
    error_code ec;
    auto const count = flush(ec);
    throw_if(ec, "flush");
    return count;
}

std::size_t tx_ring::flush(error_code& ec) noexcept {
    if (!is_open()) {
        ec = error::not_open;
        return 0;
    }
    auto const before = core_->taken();
    ec = core_->kick();
    return static_cast<std::size_t>(core_->taken() - before);
}

void tx_ring::flush_if_due(error_code& ec) noexcept {
    ec = is_open() ? core_->kick_if_due() : error_code{error::not_open};
}

void tx_ring::arm() noexcept {
    if (is_open())
        core_->arm();
}

void tx_ring::disarm() noexcept {
    if (is_open())
        core_->disarm();
}

void tx_ring::acknowledge() noexcept {
    if (is_open())
        core_->acknowledge();
}

void tx_ring::wait(std::chrono::nanoseconds limit, error_code& ec) noexcept {
    ec = {};
    arm();
    auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
    timespec const time{static_cast<time_t>(seconds.count()), static_cast<long>((limit - seconds).count())};
    pollfd poll{wait_handle(), POLLIN, 0};
    if (::ppoll(&poll, 1, limit.count() < 0 ? nullptr : &time, nullptr) < 0 && errno != EINTR)
        ec.assign(errno, boost::system::system_category());
    acknowledge();
}

tx_result tx_ring::wait_drained(std::chrono::nanoseconds limit) {
    error_code ec;
    auto const result = wait_drained(limit, ec);
    throw_if(ec, "wait_drained");
    return result;
}

tx_result tx_ring::wait_drained(std::chrono::nanoseconds limit, error_code& ec) noexcept {
    auto const start = clock::now();
    tx_result result;
    begin_drain();
    for (;;) {
        flush_if_due(ec);
        if (ec)
            break;
        if (drained()) {
            result = take_result();
            break;
        }
        auto const left = left_of(limit, start);
        if (left.count() == 0)
            ec = error::timed_out;
        else
            wait(left, ec);
        if (ec)
            break;
    }
    disarm();
    return result;
}

std::size_t tx_ring::discard_rejected() noexcept { return is_open() ? core_->discard_rejected() : 0; }

std::size_t tx_ring::frame_capacity() const noexcept { return core_ ? core_->frame_capacity() : 0; }
std::size_t tx_ring::maximum_frame_size() const noexcept { return is_open() ? core_->maximum_frame_size() : 0; }
std::size_t tx_ring::frame_count() const noexcept { return core_ ? core_->frame_count() : 0; }
std::size_t tx_ring::pending() const noexcept { return is_open() ? core_->pending() : 0; }
std::size_t tx_ring::queued() const noexcept { return is_open() ? core_->queued() : 0; }
std::size_t tx_ring::available() const noexcept { return is_open() ? core_->available() : 0; }

bool tx_ring::try_timestamp(tx_timestamp& stamp) noexcept { return core_ && core_->take_timestamp(stamp); }

injector_statistics tx_ring::statistics() const noexcept { return core_ ? core_->statistics() : injector_statistics{}; }

injector_options const& tx_ring::options() const noexcept {
    static injector_options const none{std::string{}};
    return core_ ? core_->options() : none;
}

void tx_ring::begin_send() noexcept {
    if (is_open())
        core_->begin_send();
}

std::byte* tx_ring::place(std::size_t size, error_code& ec) noexcept {
    if (core_)
        return core_->place(size, ec);
    ec = error::not_open;
    return nullptr;
}

void tx_ring::append(std::size_t size, error_code& ec) noexcept { core_->append(size, offload_info{}, ec); }
void tx_ring::append(packet_view const& packet, error_code& ec) noexcept { core_->append(packet, ec); }
std::size_t tx_ring::retract() noexcept { return is_open() ? core_->retract() : 0; }

void tx_ring::end_send() noexcept {
    if (is_open())
        core_->end_send();
}

void tx_ring::begin_drain() noexcept {
    if (is_open())
        core_->begin_drain();
}

bool tx_ring::drained() noexcept { return is_open() && core_->drained(); }
tx_result tx_ring::take_result() noexcept { return core_ ? core_->take_result() : tx_result{}; }

} // namespace netring_asio::afpacket
