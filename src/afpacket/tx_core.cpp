#include "tx_core.hpp"

#include "device.hpp"
#include "socket_opener.hpp"
#include <netring_asio/detail/block_records.hpp>
#include <netring_asio/detail/offload.hpp>
#include <netring_asio/detail/vlan.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

#include <linux/if_ether.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace netring_asio::afpacket::detail {
namespace {

using netring_asio::detail::vlan_tag_size;
using netring_asio::detail::vnet_header;

constexpr std::chrono::microseconds shortest_pause{50};
constexpr std::chrono::microseconds longest_pause{1000};
constexpr std::uint32_t timestamp_bits = TP_STATUS_TS_SOFTWARE | TP_STATUS_TS_SYS_HARDWARE | TP_STATUS_TS_RAW_HARDWARE;

std::uint32_t status_of(tpacket3_hdr& header) noexcept {
    return std::atomic_ref{header.tp_status}.load(std::memory_order_acquire) & ~timestamp_bits;
}

void set_status(tpacket3_hdr& header, std::uint32_t status) noexcept {
    std::atomic_ref{header.tp_status}.store(status, std::memory_order_release);
}

// One thread counts, any reads.
void add(std::atomic<std::uint64_t>& counter, std::uint64_t count) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

/// struct virtio_net_hdr, in the byte order of the host.
vnet_header to_vnet(std::byte const* frame, offload_info const& offload) noexcept {
    vnet_header vnet;
    if (offload.checksum_start != 0) {
        vnet.flags = vnet_header::needs_checksum;
        vnet.checksum_start = offload.checksum_start;
        vnet.checksum_offset = offload.checksum_offset;
    }
    if (offload.type != gso_type::none) {
        vnet.gso_type = static_cast<std::uint8_t>(offload.type);
        vnet.gso_size = offload.segment_size;
        vnet.header_length = offload.header_length;
        // Congestion window reduced: a device must not repeat it in every segment.
        if (offload.type != gso_type::udp_l4 && (frame[offload.checksum_start + 13] & std::byte{0x80}) != std::byte{})
            vnet.gso_type |= vnet_header::gso_ecn;
    }
    return vnet;
}

offload_info from_vnet(std::byte const* at) noexcept {
    vnet_header vnet;
    std::memcpy(&vnet, at, sizeof vnet);
    return {.type = static_cast<gso_type>(vnet.gso_type & ~vnet_header::gso_ecn),
            .segment_size = vnet.gso_size,
            .header_length = vnet.header_length};
}

/// Whether packets of this link type begin with what those of the device do.
bool begins_with(link_type packet, link_type device) noexcept {
    bool const bare = packet == link_type::ipv4 || packet == link_type::ipv6;
    return packet == device || (bare && device == link_type::raw_ip);
}

error_code last_error() noexcept { return {errno, boost::system::system_category()}; }

} // namespace

tx_core::tx_core(unique_descriptor socket, unique_descriptor link_events, ring_memory memory,
                 tx_geometry const& geometry, link_header header, std::size_t mtu, bool ample_send_buffer,
                 injector_options options, error_code& ec)
    : socket_{std::move(socket)}
    , link_events_{std::move(link_events)}
    , timer_{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)}
    , wait_handle_{::epoll_create1(EPOLL_CLOEXEC)}
    , memory_{std::move(memory)}
    , vnet_size_{options.offload() ? sizeof(vnet_header) : 0}
    , inserted_{options.insert_vlan() ? vlan_tag_size : 0}
    , capacity_{geometry.frame_size - tx_header_size - vnet_size_ - inserted_}
    , link_header_{header}
    , mtu_{mtu}
    , options_{std::move(options)}
    , pause_{shortest_pause}
    , ample_send_buffer_{ample_send_buffer} {
    for (std::size_t i = 0; i != geometry.frame_count(); ++i)
        slots_.push_back(reinterpret_cast<tpacket3_hdr*>(memory_.data() +
                                                         i / geometry.frames_in_block() * geometry.block_size +
                                                         i % geometry.frames_in_block() * geometry.frame_size));
    cursor_slot_ = slots_.front();
    if (options_.timestamps())
        timestamps_.enable(2 * timestamps_in_flight(slots_.size()));
    if (!timer_ || !wait_handle_) {
        ec = last_error();
        return;
    }
    for (int const descriptor : {timer_.get(), link_events_.get()})
        if (!watch(descriptor, EPOLLIN))
            ec = last_error();
}

tx_core::~tx_core() { assert(reserved_ == nullptr); }

bool tx_core::check(std::size_t size, std::size_t limit, error_code& ec) noexcept {
    limit += link_header_.size;
    ec = {};
    if (open_ && size >= link_header_.shortest() && size <= capacity_ && size <= mtu_ + limit) [[likely]]
        return true;
    if (!open_)
        ec = error::not_open;
    else if (size < link_header_.shortest())
        ec = error::frame_too_short;
    else if (size > capacity_ || size > refresh_mtu() + limit)
        ec = error::frame_too_long;
    return !ec;
}

bool tx_core::fits(std::size_t size, std::byte const* frame, offload_info const& offload) const noexcept {
    if (offload.type != gso_type::none)
        size = std::min(size, std::size_t{offload.header_length} + offload.segment_size);
    auto const limit = mtu_ + link_header_.size;
    if (size <= limit)
        return true;
    auto const tagged = frame[12] == std::byte{ETH_P_8021Q >> 8} && frame[13] == std::byte{ETH_P_8021Q & 0xff};
    return tagged && size <= limit + link_header_.tag;
}

bool tx_core::fits_now(tpacket3_hdr& header) const noexcept {
    return fits(queued_size(header), frame_of(header), vnet_size_ != 0 ? from_vnet(data(header)) : offload_info{});
}

std::size_t tx_core::maximum_frame_size() noexcept {
    refresh_mtu();
    return std::min(capacity_, mtu_ + link_header_.size);
}

std::size_t tx_core::refresh_mtu() noexcept {
    if (auto const mtu = query_mtu(socket_.get(), options_.interface_index()))
        mtu_ = *mtu;
    return mtu_;
}

std::byte* tx_core::place(std::size_t size, error_code& ec) noexcept {
    // With segmentation the length says nothing yet.
    if (!check(size, vnet_size_ != 0 ? capacity_ : link_header_.tag, ec))
        return nullptr;
    if (reserved_ != nullptr) {
        ec = error::frame_reserved;
        return nullptr;
    }
    return status_of(*cursor_slot_) == TP_STATUS_AVAILABLE ? room(*cursor_slot_) : nullptr;
}

void tx_core::append(std::size_t size, offload_info const& offload, error_code& ec) noexcept {
    if (offload == offload_info{})
        return put(size, offload, ec);
    auto const whole = netring_asio::detail::complete_offload({room(*cursor_slot_), size}, link_header_.type, offload,
                                                              offload.checksum_start != 0, ec);
    if (!ec && vnet_size_ == 0)
        ec = error::invalid_offload;
    if (!ec)
        put(size, whole, ec);
}

void tx_core::append(packet_view const& packet, error_code& ec) noexcept {
    using namespace netring_asio::detail;
    if (!begins_with(packet.link, link_header_.type)) {
        ec = error::unsupported_link_type;
        return;
    }
    auto* const to = room(*cursor_slot_);
    auto size = packet.data.size();
    std::size_t inserted = 0;
    if (can_insert_tag(packet)) {
        insert_tag(packet, to);
        inserted = vlan_tag_size;
        size += inserted;
    } else {
        std::memcpy(to, packet.data.data(), size);
    }
    bool const unfinished = packet.checksum == checksum_state::partial;
    if (!unfinished && packet.offload.type == gso_type::none)
        return put(size, {}, ec);
    auto const offload =
        shift(complete_offload(packet.data, link_header_.type, packet.offload, unfinished, ec), inserted);
    if (ec)
        return;
    if (vnet_size_ != 0)
        return put(size, offload, ec);
    if (offload.type != gso_type::none) {
        ec = error::invalid_offload;
        return;
    }
    finish_checksum({to, size}, offload);
    put(size, {}, ec);
}

void tx_core::put(std::size_t size, offload_info const& offload, error_code& ec) noexcept {
    auto* const frame = frame_of(*cursor_slot_);
    auto const described = netring_asio::detail::shift(offload, inserted_);
    size += inserted_;
    if (inserted_ != 0) {
        auto const tag = options_.insert_vlan();
        std::memmove(frame, frame + inserted_, 12);
        for (auto const& [at, value] : {std::pair{12, tag.tpid}, std::pair{14, tag.tci}}) {
            frame[at] = static_cast<std::byte>(value >> 8);
            frame[at + 1] = static_cast<std::byte>(value & 0xff);
        }
    }
    ec = {};
    if (!fits(size, frame, described)) {
        refresh_mtu();
        if (!fits(size, frame, described)) {
            // What was written is as it was, for another try with another length.
            std::memmove(frame + inserted_, frame, inserted_ != 0 ? 12 : 0);
            ec = error::frame_too_long;
            return;
        }
    }
    if (vnet_size_ != 0) {
        auto const vnet = to_vnet(frame, described);
        std::memcpy(data(*cursor_slot_), &vnet, sizeof vnet);
    }
    cursor_slot_->tp_len = static_cast<std::uint32_t>(vnet_size_ + size);
    set_status(*cursor_slot_, TP_STATUS_SEND_REQUEST);
    queued_bytes_ += size;
    ++cursor_;
    cursor_at_ = cursor_at_ + 1 == slots_.size() ? 0 : cursor_at_ + 1;
    cursor_slot_ = slots_[cursor_at_];
    // The frame that was in this slot has left it, and those before it had.
    if (cursor_ - done_ > slots_.size())
        done_ = cursor_ - slots_.size();
    if (!sending_)
        publish();
}

void tx_core::reserve(tx_frame& frame, std::size_t size, error_code& ec) noexcept {
    if (auto* const room = place(size, ec)) {
        frame.core_ = this;
        frame.data_ = {room, size};
        reserved_ = &frame;
    }
}

void tx_core::commit(tx_frame& frame, std::size_t length, offload_info const& offload, error_code& ec) noexcept {
    if (length > frame.data_.size()) {
        ec = error::frame_too_long;
        return;
    }
    if (!check(length, capacity_, ec))
        return;
    // Frames that were left out make those behind them move up.
    if (room(*cursor_slot_) != frame.data_.data())
        std::memcpy(room(*cursor_slot_), frame.data_.data(), length);
    append(length, offload, ec);
    if (!ec)
        forget(frame);
}

void tx_core::forget(tx_frame& frame) noexcept {
    frame.core_ = nullptr;
    frame.data_ = {};
    reserved_ = nullptr;
}

void tx_core::begin_send() noexcept {
    sending_ = true;
    send_start_ = cursor_;
}

std::size_t tx_core::retract() noexcept {
    auto const first = std::max(send_start_, next_);
    auto const count = static_cast<std::size_t>(cursor_ - first);
    for (; cursor_ != first; --cursor_) {
        auto& last = header(cursor_ - 1);
        queued_bytes_ -= queued_size(last);
        set_status(last, TP_STATUS_AVAILABLE);
    }
    find_cursor_slot();
    drain_target_ = std::min(drain_target_, cursor_);
    return count;
}

void tx_core::end_send() noexcept {
    sending_ = false;
    publish();
}

bool tx_core::drained() noexcept {
    find_done();
    return done_ >= drain_target_;
}

tx_result tx_core::take_result() noexcept {
    tx_result const total{done_, rejected_};
    auto const before = std::exchange(told_, total);
    return {total.taken - before.taken, total.rejected - before.rejected};
}

bool tx_core::stopped() const noexcept {
    return next_ != cursor_ && status_of(header(next_)) == TP_STATUS_WRONG_FORMAT;
}

void tx_core::find_taken() noexcept {
    for (; next_ != cursor_; ++next_) {
        auto& frame = header(next_);
        if (auto const status = status_of(frame); status == TP_STATUS_SEND_REQUEST || status == TP_STATUS_WRONG_FORMAT)
            break;
        queued_bytes_ -= queued_size(frame);
    }
}

void tx_core::find_done() noexcept {
    while (done_ != next_ && status_of(header(done_)) == TP_STATUS_AVAILABLE)
        ++done_;
}

error_code tx_core::kick() noexcept {
    for (int retries = 0;;) {
        if (next_ == cursor_)
            return {};
        link_is_down_ = false;
        // The kernel takes and discards without a word what is sent while an interface is being taken down, or has no
        // carrier. Looking once a lap bounds the loss. It may also be coming up, so this is no error.
        if (next_ - link_seen_ >= slots_.size()) {
            auto const index = options_.interface_index();
            if (discards_frames(socket_.get(), index) && query_link(socket_.get(), index) == link_state::up) {
                pause();
                return {};
            }
            link_seen_ = next_;
        }
        add(kicks_, 1);
        auto const result = ::sendto(socket_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0);
        auto const code = result < 0 ? errno : 0;
        auto const before = next_;
        if (result >= 0 && static_cast<std::uint64_t>(result) == queued_bytes_) {
            next_ = cursor_;
            queued_bytes_ = 0;
        } else {
            find_taken(); // an error hides how much was taken before it
        }
        if (next_ != before) {
            congested_until_ = {};
            pause_ = shortest_pause;
        }
        if (timestamps_.enabled())
            follow_timestamps(before, code);
        publish();
        if (next_ == cursor_)
            return {};
        if (stopped()) {
            if (options_.on_bad_frame() == bad_frame_policy::stop)
                return error::frame_too_long;
            remove_rejected();
            continue;
        }
        switch (code) {
        case 0:
        case EAGAIN:
        case ENOBUFS:
            if (code == ENOBUFS)
                pause();
            else
                add(would_block_, 1);
            return {};
        case EINTR:
            break;
        case ENETDOWN: // perhaps an old one
            if (++retries == 3 || query_link(socket_.get(), options_.interface_index()) != link_state::up) {
                link_is_down_ = true;
                return error::interface_down;
            }
            break;
        case ENXIO:
            if (++retries == 3 || !reopen()) {
                link_is_down_ = true;
                return error::interface_removed;
            }
            break;
        default:
            return {code, boost::system::system_category()};
        }
    }
}

void tx_core::follow_timestamps(std::uint64_t before, int code) noexcept {
    timestamps_.taken(before, next_);
    if (next_ == cursor_)
        return;
    // A frame that is much too long is refused before the kernel makes a buffer for it.
    auto const size = queued_size(header(next_));
    if (code == ENOBUFS ||
        (stopped() && (vnet_size_ != 0 || size <= refresh_mtu() + link_header_.size + link_header_.tag)))
        timestamps_.refused();
}

void tx_core::pause() noexcept {
    add(would_block_, 1);
    congested_until_ = clock::now() + pause_;
    find_done();
    done_when_congested_ = done_;
}

error_code tx_core::kick_if_due() noexcept {
    if (link_is_down_ && !unless_waiting(error::interface_down))
        return {};
    if (congested_until_ != clock::time_point{}) {
        find_done();
        if (done_ == done_when_congested_ && clock::now() < congested_until_)
            return {};
    }
    return unless_waiting(kick());
}

error_code tx_core::unless_waiting(error_code ec) const noexcept {
    auto const policy = options_.on_link_down();
    return (ec == error::interface_down && policy != link_down_policy::fail) ||
                   (ec == error::interface_removed && policy == link_down_policy::reopen_by_name)
               ? error_code{}
               : ec;
}

bool tx_core::reopen() noexcept {
    if (options_.on_link_down() != link_down_policy::reopen_by_name)
        return false;
    error_code ec;
    auto const found = find_device(socket_.get(), options_.interface_name(), ec);
    if (ec || capture_link(found.hardware_type) != link_header_.type ||
        !bind_packet_socket(socket_.get(), found.index, 0))
        return false;
    options_.interface_index(found.index);
    refresh_mtu();
    return true;
}

std::size_t tx_core::discard_rejected() noexcept { return open_ && stopped() ? remove_rejected() : 0; }

std::size_t tx_core::remove_rejected() noexcept {
    refresh_mtu();
    auto const end = cursor_;
    auto const start = send_start_;
    auto const target = drain_target_;
    cursor_ = next_;
    queued_bytes_ = 0;
    for (auto from = next_; from != end; ++from) {
        auto& source = header(from);
        auto const length = source.tp_len;
        if (status_of(source) == TP_STATUS_WRONG_FORMAT || !fits_now(source)) {
            send_start_ -= from < start;
            drain_target_ -= from < target;
            continue;
        }
        auto& destination = header(cursor_++);
        if (&destination != &source) {
            std::memcpy(data(destination), data(source), length);
            destination.tp_len = length;
        }
        set_status(destination, TP_STATUS_SEND_REQUEST);
        queued_bytes_ += queued_size(destination);
    }
    for (auto left = cursor_; left != end; ++left)
        set_status(header(left), TP_STATUS_AVAILABLE);
    find_cursor_slot();
    auto const count = end - cursor_;
    rejected_ += count;
    publish();
    return static_cast<std::size_t>(count);
}

bool tx_core::watch(int descriptor, std::uint32_t events) noexcept {
    epoll_event event{};
    event.events = events | EPOLLET; // EPOLLERR comes unasked
    event.data.fd = descriptor;
    return ::epoll_ctl(wait_handle_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void tx_core::arm() noexcept {
    // Edge-triggered: a packet socket is writable nearly always, and only the edge says that a frame left. What left
    // before is told at once. Each edge costs the kernel a call, so this is for those who wait only.
    if (!watching_)
        watching_ = watch(socket_.get(), EPOLLOUT);
    // With room in the send buffer for all, there is an edge for each frame that leaves. Otherwise only time tells.
    if (timer_is_set_ || link_is_down_ || (next_ == cursor_ && ample_send_buffer_))
        return;
    itimerspec time{};
    time.it_value.tv_nsec = std::chrono::nanoseconds{pause_}.count();
    ::timerfd_settime(timer_.get(), 0, &time, nullptr);
    timer_is_set_ = true;
}

void tx_core::disarm() noexcept {
    if (std::exchange(watching_, false))
        ::epoll_ctl(wait_handle_.get(), EPOLL_CTL_DEL, socket_.get(), nullptr);
}

void tx_core::acknowledge() noexcept {
    std::array<epoll_event, 3> events;
    auto const count = ::epoll_wait(wait_handle_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
        auto const& event = events[static_cast<std::size_t>(i)];
        if (event.data.fd == link_events_.get()) {
            drain_link_events(link_events_.get());
            link_is_down_ = false;
        } else if (event.data.fd == timer_.get()) {
            std::uint64_t expirations = 0;
            [[maybe_unused]] auto const size = ::read(timer_.get(), &expirations, sizeof expirations);
            timer_is_set_ = false;
            pause_ = std::min(2 * pause_, longest_pause);
        } else if ((event.events & EPOLLERR) != 0) {
            int code = 0; // read to clear it; the next kick tells how things are
            socklen_t length = sizeof code;
            ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &code, &length);
        }
    }
}

std::size_t tx_core::pending() const noexcept {
    auto count = queued();
    for (auto frame = done_; frame != next_; ++frame)
        count += status_of(header(frame)) != TP_STATUS_AVAILABLE;
    return count;
}

std::size_t tx_core::available() noexcept {
    find_done();
    return slots_.size() - static_cast<std::size_t>(cursor_ - done_);
}

void tx_core::publish() noexcept {
    // A send that is under way may take its queued frames back.
    auto const firm = sending_ ? std::max(next_, std::min(send_start_, cursor_)) : cursor_;
    committed_count_.store(firm + rejected_, std::memory_order_relaxed);
    taken_count_.store(next_, std::memory_order_relaxed);
    rejected_count_.store(rejected_, std::memory_order_relaxed);
}

injector_statistics tx_core::statistics() const noexcept {
    return {committed_count_.load(std::memory_order_relaxed), taken_count_.load(std::memory_order_relaxed),
            rejected_count_.load(std::memory_order_relaxed), kicks_.load(std::memory_order_relaxed),
            would_block_.load(std::memory_order_relaxed)};
}

void tx_core::close() noexcept {
    if (!std::exchange(open_, false))
        return;
#ifndef NDEBUG
    // Free, in flight and queued are all.
    std::size_t in_use = 0;
    for (auto* const slot : slots_)
        in_use += status_of(*slot) != TP_STATUS_AVAILABLE;
    assert(in_use <= cursor_ - done_);
    for (auto frame = next_; frame != cursor_; ++frame)
        assert(status_of(header(frame)) != TP_STATUS_AVAILABLE);
#endif
    if (reserved_ != nullptr)
        forget(*reserved_);
    intrusive_ptr_add_ref(this);
    netring_asio::detail::run_in_background(*this);
}

void tx_core::run() noexcept {
    boost::intrusive_ptr<tx_core> const closing{this, false};
    memory_.unmap();
    link_events_.reset();
    socket_.reset();
}

} // namespace netring_asio::afpacket::detail
