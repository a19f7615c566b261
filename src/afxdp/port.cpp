#include "port_core.hpp"
#include <netring_asio/interface.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <poll.h>

namespace netring_asio::afxdp {
namespace {

using clock = std::chrono::steady_clock;

int duplicate(int descriptor, error_code& ec) noexcept {
    auto const copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    ec = copy < 0 ? error_code{errno, boost::system::system_category()} : error_code{};
    return copy;
}

void wait_for(int descriptor, std::chrono::nanoseconds limit, error_code& ec) noexcept {
    auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
    timespec const time{static_cast<time_t>(seconds.count()), static_cast<long>((limit - seconds).count())};
    pollfd poll{descriptor, POLLIN, 0};
    if (::ppoll(&poll, 1, limit.count() < 0 ? nullptr : &time, nullptr) < 0 && errno != EINTR)
        ec.assign(errno, boost::system::system_category());
}

std::chrono::nanoseconds left_of(std::chrono::nanoseconds limit, clock::time_point start) noexcept {
    return limit.count() < 0 ? limit : std::max(limit - (clock::now() - start), std::chrono::nanoseconds{0});
}

} // namespace

tx_frame::tx_frame(tx_frame&& other) noexcept
    : core_{std::exchange(other.core_, nullptr)}
    , data_{std::exchange(other.data_, {})} {
    if (core_ != nullptr)
        core_->moved(*this);
}

tx_frame& tx_frame::operator=(tx_frame&& other) noexcept {
    if (this != &other) {
        reset();
        core_ = std::exchange(other.core_, nullptr);
        data_ = std::exchange(other.data_, {});
        if (core_ != nullptr)
            core_->moved(*this);
    }
    return *this;
}

void tx_frame::reset() noexcept {
    if (core_ != nullptr)
        core_->forget(*this);
}

void tx_frame::commit(std::size_t length) {
    error_code ec;
    commit(length, ec);
    if (ec)
        throw system_error{ec, "commit"};
}

void tx_frame::commit(std::size_t length, error_code& ec) noexcept {
    if (core_ == nullptr)
        ec = error::not_open;
    else
        core_->commit(*this, length, {}, ec);
}

void tx_frame::commit(std::size_t length, offload_info const& offload, error_code& ec) noexcept {
    if (core_ == nullptr)
        ec = error::not_open;
    else
        core_->commit(*this, length, offload, ec);
}

void tx_frame::commit(std::size_t length, offload_info const& offload) {
    error_code ec;
    commit(length, offload, ec);
    if (ec)
        throw system_error{ec, "commit"};
}

bool receiver::is_open() const noexcept { return core_ && core_->is_open(); }
void receiver::close() noexcept {
    if (core_)
        core_->close();
}
int receiver::wait_handle() const noexcept { return core_ ? core_->receiving.handle() : -1; }
int receiver::duplicate_wait_handle(error_code& ec) const noexcept { return duplicate(wait_handle(), ec); }
take_result receiver::take(packet_batch& batch) {
    batch.reset();
    return core_ ? core_->take(batch) : take_result::empty;
}
void receiver::acknowledge() noexcept {
    if (core_)
        core_->acknowledge_receiver();
}
void receiver::arm() noexcept {
    if (core_)
        core_->arm_receiver();
}
error_code receiver::take_error() noexcept { return core_ ? core_->take_error() : error_code{error::not_open}; }

std::size_t receiver::receive(packet_batch& batch, std::chrono::nanoseconds limit, error_code& ec) {
    ec = is_open() ? error_code{} : error_code{error::not_open};
    auto const start = clock::now();
    while (!ec) {
        if (take(batch) == take_result::taken)
            return batch.size();
        arm();
        if (take(batch) == take_result::taken)
            return batch.size();
        auto const left = left_of(limit, start);
        if (left.count() == 0) {
            ec = error::timed_out;
            break;
        }
        if (ec = take_error(); ec)
            break;
        wait_for(core_->receiving.handle(), left, ec);
        acknowledge();
    }
    return 0;
}

void receiver::pause(error_code& ec) noexcept { ec = is_open() ? core_->pause(true) : error_code{error::not_open}; }
void receiver::resume(error_code& ec) noexcept { ec = is_open() ? core_->pause(false) : error_code{error::not_open}; }

void receiver::count_discarded(std::uint64_t packets) noexcept {
    if (core_)
        core_->discarded.fetch_add(packets, std::memory_order_relaxed);
}

bool transmitter::is_open() const noexcept { return core_ && core_->is_open(); }
void transmitter::close() noexcept {
    if (core_)
        core_->close();
}
int transmitter::duplicate_wait_handle(error_code& ec) const noexcept {
    return duplicate(core_ ? core_->transmitting.handle() : -1, ec);
}

tx_frame transmitter::try_reserve(std::size_t size, error_code& ec) noexcept {
    tx_frame frame;
    if (!is_open()) {
        ec = error::not_open;
        return frame;
    }
    core_->reserve(frame, size, ec);
    if (!frame && !ec) {
        ec = core_->kick_if_due();
        if (!ec)
            core_->reserve(frame, size, ec);
    }
    return frame;
}

std::size_t transmitter::flush(error_code& ec) noexcept {
    if (!is_open()) {
        ec = error::not_open;
        return 0;
    }
    auto const before = core_->sender().queued();
    ec = core_->kick();
    return before - core_->sender().queued();
}

void transmitter::flush_if_due(error_code& ec) noexcept {
    ec = is_open() ? core_->kick_if_due() : error_code{error::not_open};
}
void transmitter::arm() noexcept {
    if (core_)
        core_->arm_transmitter();
}
void transmitter::disarm() noexcept {
    if (is_open())
        core_->disarm_transmitter();
}
void transmitter::acknowledge() noexcept {
    if (core_)
        core_->acknowledge_transmitter();
}
void transmitter::wait(std::chrono::nanoseconds limit, error_code& ec) noexcept {
    ec = {};
    arm();
    wait_for(core_->transmitting.handle(), limit, ec);
    acknowledge();
}

tx_result transmitter::wait_drained(std::chrono::nanoseconds limit, error_code& ec) noexcept {
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

std::size_t transmitter::maximum_frame_size() const noexcept { return core_ ? core_->maximum_frame_size() : 0; }
std::size_t transmitter::frame_count() const noexcept { return is_open() ? core_->sender().transmit_ring() : 0; }
std::size_t transmitter::available() const noexcept { return is_open() ? core_->sender().available() : 0; }
std::size_t transmitter::pending() const noexcept { return is_open() ? core_->sender().pending() : 0; }

std::size_t transmitter::queued() const noexcept { return is_open() ? core_->sender().queued() : 0; }

bool transmitter::try_timestamp(tx_timestamp& stamp) noexcept {
    return is_open() && core_->sender().take_timestamp(stamp);
}

std::size_t transmitter::forward(packet_batch& batch, error_code& ec) noexcept {
    if (is_open())
        return core_->forward(batch, ec);
    ec = error::not_open;
    return 0;
}

void transmitter::begin_send() noexcept {
    if (is_open())
        core_->begin_send();
}
std::byte* transmitter::place(std::size_t size, error_code& ec) noexcept {
    if (is_open())
        return core_->place(size, ec);
    ec = error::not_open;
    return nullptr;
}
void transmitter::append(std::size_t size, error_code& ec) noexcept { core_->append(size, ec); }
void transmitter::append(packet_view const& packet, error_code& ec) noexcept { core_->append(packet, ec); }
std::size_t transmitter::retract() noexcept { return is_open() ? core_->retract() : 0; }
void transmitter::end_send() noexcept {}
void transmitter::begin_drain() noexcept {
    if (is_open())
        core_->sender().begin_drain();
}
bool transmitter::drained() noexcept { return is_open() && core_->sender().drained(); }
tx_result transmitter::take_result() noexcept { return core_ ? core_->take_sent() : tx_result{}; }

std::size_t port::chunks_needed(xdp_options const& options, error_code& ec) {
    auto const of = [&](interface_info const& info) {
        return options.interface_name().empty() ? info.index == options.interface_index()
                                                : info.name == options.interface_name();
    };
    for (auto const& info : list_interfaces(options.network_namespace(), ec))
        if (!ec && of(info))
            return detail::queue_count(options, info.queues.value_or(1)) * options.receive_frames() +
                   options.transmit_frames();
    if (!ec)
        ec = error::no_such_interface;
    return 0;
}

void port::open(xdp_options const& options, error_code& ec, std::string& context) {
    if (is_open()) {
        ec = error::already_open;
        return;
    }
    auto core = std::make_shared<detail::port_core>(options, ec, context);
    if (!ec)
        core_ = std::move(core);
}

void port::close() noexcept {
    if (core_)
        core_->close();
}
bool port::is_open() const noexcept { return core_ && core_->is_open(); }

receiver port::receiver() const {
    netring_asio::afxdp::receiver result;
    result.core_ = core_;
    return result;
}

transmitter port::transmitter() const {
    netring_asio::afxdp::transmitter result;
    result.core_ = core_;
    return result;
}

xdp_options const& port::options() const noexcept {
    static xdp_options const none{std::string{}};
    return core_ ? core_->options : none;
}

int port::native_handle(std::size_t n) const noexcept {
    return is_open() && n < core_->queues_.size() ? core_->queues_[n].native_handle() : -1;
}

umem port::memory() const noexcept { return core_ ? core_->memory : umem{}; }

void port::set_filters(std::vector<filter> const& filters, error_code& ec) {
    if (is_open())
        core_->set_filters(filters, ec);
    else
        ec = error::not_open;
}

afxdp::bypass* port::bypass() noexcept { return is_open() ? core_->bypass() : nullptr; }

xdp_statistics port::statistics() const noexcept { return core_ ? core_->statistics() : xdp_statistics{}; }
xdp_statistics port::statistics(std::size_t n) const noexcept {
    return is_open() && n < core_->queues_.size() ? core_->queues_[n].statistics() : xdp_statistics{};
}
std::string port::explain() const { return core_ ? core_->explain() : std::string{"not open\n"}; }

} // namespace netring_asio::afxdp
