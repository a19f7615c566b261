#include "port_core.hpp"

#include "../afpacket/socket_opener.hpp"
#include "../detail/network_namespace.hpp"
#include <netring_asio/detail/offload.hpp>
#include <netring_asio/detail/vlan.hpp>
#include <netring_asio/interface.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace netring_asio::afxdp::detail {
namespace {

namespace device = afpacket::detail;

constexpr std::chrono::microseconds shortest_pause{50};
constexpr std::chrono::microseconds longest_pause{1000};

bool is_tagged(std::span<std::byte const> frame) noexcept {
    return frame.size() >= ETH_HLEN && frame[12] == std::byte{0x81} && frame[13] == std::byte{0};
}

error_code last_error() noexcept { return {errno, boost::system::system_category()}; }

} // namespace

bool wait_set::open(error_code& ec) {
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    link_events_ = device::open_link_events(ec);
    if (ec)
        return false;
    if (!epoll_ || !timer_ || !watch(timer_.get(), EPOLLIN) || !watch(link_events_.get(), EPOLLIN))
        ec = last_error();
    return !ec;
}

bool wait_set::watch(int descriptor, std::uint32_t events) noexcept {
    epoll_event event{};
    event.events = events | EPOLLET;
    event.data.fd = descriptor;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void wait_set::change(int descriptor, std::uint32_t events) noexcept {
    epoll_event event{};
    event.events = events | EPOLLET;
    event.data.fd = descriptor;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor, &event);
}

void wait_set::forget(int descriptor) noexcept { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr); }

void wait_set::set_timer(std::chrono::microseconds after) noexcept {
    itimerspec time{};
    auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(after);
    time.it_value.tv_sec = seconds.count();
    time.it_value.tv_nsec = std::chrono::nanoseconds{after - seconds}.count();
    ::timerfd_settime(timer_.get(), 0, &time, nullptr);
    timer_is_set_ = true;
}

bool wait_set::acknowledge() noexcept {
    std::array<epoll_event, 16> events;
    bool link_changed = false;
    auto const count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
        auto const descriptor = events[static_cast<std::size_t>(i)].data.fd;
        if (descriptor == link_events_.get()) {
            device::drain_link_events(descriptor);
            link_changed = true;
        } else if (descriptor == timer_.get()) {
            std::uint64_t ignored = 0;
            [[maybe_unused]] auto const size = ::read(descriptor, &ignored, sizeof ignored);
            timer_is_set_ = false;
        }
    }
    return link_changed;
}

std::uint32_t queue_count(xdp_options const& options, std::uint32_t device_queues) noexcept {
    if (options.queue_count() != 0)
        return options.queue_count();
    return device_queues > options.first_queue() ? device_queues - options.first_queue() : 1;
}

port_core::port_core(xdp_options wanted, error_code& ec, std::string& context)
    : options{std::move(wanted)}
    , pause_{shortest_pause} {
    ec = {};
    error_code namespace_error;
    netring_asio::detail::run_in_network_namespace(options.network_namespace(), namespace_error,
                                                   [&] { open_ = open_in_namespace(ec, context); });
    if (namespace_error) {
        ec = namespace_error;
        context = "network namespace '" + options.network_namespace() + "'";
    }
}

void port_core::in_namespace(error_code& ec, std::function<void()> const& function) {
    struct ::stat ours{}, current{};
    bool const same = ::fstat(namespace_.get(), &ours) == 0 && ::stat("/proc/thread-self/ns/net", &current) == 0 &&
                      ours.st_ino == current.st_ino;
    auto const path = same ? std::string{} : "/proc/self/fd/" + std::to_string(namespace_.get());
    netring_asio::detail::run_in_network_namespace(path, ec, function);
}

void port_core::set_filters(std::vector<filter> const& filters, error_code& ec) {
    error_code namespace_error;
    in_namespace(namespace_error, [&] { program_.set_filters(filters, ec); });
    if (namespace_error)
        ec = namespace_error;
}

bool port_core::open_in_namespace(error_code& ec, std::string& context) {
    namespace_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    auto named = find_device(options, ec, context);
    control_ = std::move(named.control);
    if (ec)
        return false;
    auto const& found = named.device;
    name = found.name;
    options.interface_name(found.name).interface_index(found.index);
    if (found.hardware_type != ARPHRD_ETHER && found.hardware_type != ARPHRD_LOOPBACK) {
        ec = error::unsupported_link_type;
        return false;
    }
    link_is_up_ = device::query_link(control_.get(), found.index) == link_state::up;
    if (!link_is_up_ && options.on_link_down() == link_down_policy::fail) {
        ec = error::interface_down;
        return false;
    }
    if (options.latency_budget().count() < 0 || options.latency_budget() > std::chrono::seconds{10}) {
        context = "latency_budget";
        ec = error::invalid_option;
        return false;
    }
    if (auto const time = options.busy_poll();
        time && (time->count() <= 0 || *time > std::chrono::seconds{1} || options.busy_poll_budget() == 0)) {
        context = "busy_poll";
        ec = error::invalid_option;
        return false;
    }
    if (!receiving.open(ec) || !transmitting.open(ec))
        return false;
    return open_queues(ec, context);
}

bool port_core::open_queues(error_code& ec, std::string& context) {
    auto const index = options.interface_index();
    mtu_ = device::query_mtu(control_.get(), index).value_or(0);
    error_code ignored;
    for (auto const& info : list_interfaces({}, ignored))
        if (info.index == index) {
            device_queues_ = info.queues.value_or(1);
            driver_ = info.driver;
        }
    auto const count = queue_count(options, device_queues_);
    context = "queues";
    if (options.first_queue() + count > std::max(device_queues_, 1U)) {
        ec = error::invalid_option;
        return false;
    }
    if (!memory) {
        memory = options.memory();
        context = "memory";
        if (!memory) {
            auto wanted = options.memory_options();
            wanted.frame_count(count * options.receive_frames() + options.transmit_frames());
            if (options.timestamps() || options.offload())
                wanted.transmit_metadata(true);
            memory = umem{wanted, ec};
            if (ec)
                return false;
        }
    }
    // A frame that no chunk has room for would be lost without a word.
    if (!options.multi_buffer() && mtu_ + ETH_HLEN > memory.frame_capacity() && name != "lo") {
        context =
            "MTU " + std::to_string(mtu_) + ": frames would not fit into a chunk; take larger ones or multi_buffer";
        ec = error::invalid_ring_geometry;
        return false;
    }
    program_.open(name, index, options, ec, context);
    if (ec)
        return false;
    std::vector<xsk> opened(count);
    for (std::uint32_t i = 0; i != count; ++i) {
        auto const queue = options.first_queue() + i;
        context = "queue " + std::to_string(queue);
        opened[i].open(memory, name, index, queue, options, i == 0, ec);
        if (ec)
            return false;
    }
    for (auto const& queue : opened) {
        context = "XSKMAP";
        if (!paused_)
            program_.set_queue(queue.queue(), queue.native_handle(), ec);
        if (ec)
            return false;
        if (!receiving.watch(queue.release_event(), EPOLLIN)) {
            ec = last_error();
            return false;
        }
    }
    if (options.promiscuous()) {
        packet_mreq request{};
        request.mr_ifindex = index;
        request.mr_type = PACKET_MR_PROMISC;
        if (::setsockopt(control_.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0) {
            context = "promiscuous";
            ec = last_error();
            return false;
        }
    }
    if (!device::bind_packet_socket(control_.get(), index, 0)) {
        context = "bind";
        ec = last_error();
        return false;
    }
    options.queues(options.first_queue(), count)
        .attach_mode(program_.mode())
        .copy_mode(opened.front().zero_copy() ? xdp_copy_mode::zero_copy : xdp_copy_mode::copy)
        .memory(memory)
        .memory_options(memory.options());
    queues_ = std::move(opened);
    next_ = 0;
    watching_queues_ = muted_ = false;
    ask_mtu();
    return true;
}

void port_core::close() noexcept {
    std::lock_guard const lock{closing_};
    if (!std::exchange(open_, false))
        return;
    if (reserved_ != nullptr)
        forget(*reserved_);
    keep_totals();
    if (error_code ignored; options.dispatcher()) // libxdp looks the interface up to detach a program
        in_namespace(ignored, [&] { program_.close(); });
    program_.close();
    queues_.clear();
    longest_ = 0;
    control_.reset();
}

void port_core::keep_totals() noexcept {
    for (auto const& queue : queues_)
        final_ += queue.statistics();
    final_.pinned_frames = 0; // what there is now
    auto const passed = program_.passed();
    final_.passed += passed.all;
    final_.passed_no_queue += passed.no_queue;
    final_.passed_bypassed += passed.bypassed;
}

take_result port_core::take(packet_batch& batch) {
    if (!open_)
        return take_result::empty;
    auto const count = queues_.size();
    for (std::size_t i = 0; i != count; ++i) {
        auto const at = next_;
        next_ = next_ + 1 == count ? 0 : next_ + 1;
        if (queues_[at].receive(batch)) {
            lively_ = true;
            return take_result::taken;
        }
    }
    return take_result::empty;
}

void port_core::arm_receiver() noexcept {
    if (!open_)
        return;
    for (auto& queue : queues_)
        queue.refill(true);
    // From the first wait on, and not before: a socket that somebody watches costs the kernel more for each frame sent.
    if (!std::exchange(watching_queues_, true))
        for (auto const& queue : queues_)
            if (!receiving.watch(queue.native_handle(), EPOLLIN))
                link_error_ = last_error();
    if (options.busy_poll())
        poll_devices();
    auto const budget = options.latency_budget();
    if (budget.count() == 0)
        return;
    // While packets keep coming time wakes, and not the sockets.
    bool const collect = std::exchange(lively_, false);
    if (collect != muted_)
        for (auto const& queue : queues_)
            receiving.change(queue.native_handle(), collect ? 0U : static_cast<std::uint32_t>(EPOLLIN));
    muted_ = collect;
    if (collect)
        receiving.set_timer(budget);
}

void port_core::poll_devices() noexcept {
    // An epoll within another makes the kernel poll nothing.
    auto const end = std::chrono::steady_clock::now() + *options.busy_poll();
    do
        for (auto& queue : queues_)
            if (queue.core_->poll_device())
                return;
    while (std::chrono::steady_clock::now() < end);
}

void port_core::acknowledge_receiver() noexcept {
    if (!open_)
        return;
    wakeups.fetch_add(1, std::memory_order_relaxed);
    if (receiving.acknowledge())
        follow_link();
}

void port_core::follow_link() noexcept {
    auto const look = [this] {
        return queues_.empty() ? link_state::removed
                               : device::query_bound_link(control_.get(), options.interface_index());
    };
    auto state = look();
    if (state == link_state::removed && options.on_link_down() == link_down_policy::reopen_by_name && reopen())
        state = look();
    if (state == link_state::removed) {
        removed_ = options.on_link_down() != link_down_policy::reopen_by_name;
        return;
    }
    bool const went_down = link_is_up_ && state == link_state::down;
    link_is_up_ = state == link_state::up;
    if (went_down && options.on_link_down() == link_down_policy::fail)
        link_error_ = error::interface_down;
}

bool port_core::reopen() noexcept try {
    error_code ec;
    std::string ignored;
    auto const found = device::find_device(control_.get(), name, ec);
    if (ec || found.hardware_type != ARPHRD_ETHER)
        return false;
    if (reserved_ != nullptr)
        forget(*reserved_);
    disarm_transmitter();
    std::lock_guard const lock{closing_};
    keep_totals();
    program_.close();
    for (auto const& queue : queues_) // the next ones may have the same
        receiving.forget(queue.release_event());
    queues_.clear();
    longest_ = 0;
    options.interface_index(found.index);
    bool opened = false;
    error_code namespace_error;
    in_namespace(namespace_error, [&] { opened = open_queues(ec, ignored); });
    return opened;
} catch (std::exception const&) {
    return false;
}

error_code port_core::take_error() noexcept {
    if (removed_)
        return error::interface_removed;
    return std::exchange(link_error_, {});
}

void port_core::ask_mtu() noexcept {
    mtu_ = device::query_mtu(control_.get(), options.interface_index()).value_or(mtu_);
    longest_ = std::min(mtu_ + ETH_HLEN, sender().transmit_capacity());
}

error_code port_core::check_tagged(std::size_t size) noexcept {
    auto const* const data = sender().place(size);
    return check(size, data != nullptr && is_tagged({data, size}) ? tag_size : 0);
}

error_code port_core::check_again(std::size_t size, std::size_t tag) noexcept {
    if (!open_ || queues_.empty())
        return error::not_open;
    if (size < ETH_HLEN)
        return error::frame_too_short;
    if (size > sender().transmit_capacity())
        return error::frame_too_long;
    if (size > mtu_ + ETH_HLEN + tag) {
        ask_mtu();
        if (size > mtu_ + ETH_HLEN + tag)
            return error::frame_too_long;
    }
    return {};
}

std::size_t port_core::maximum_frame_size() noexcept {
    if (!open_ || queues_.empty())
        return 0;
    ask_mtu();
    return longest_;
}

void port_core::append(packet_view const& packet, error_code& ec) noexcept {
    ec = {};
    namespace detail = netring_asio::detail;
    auto const unfinished = packet.checksum == checksum_state::partial;
    if (packet.link != link_type::ethernet) {
        ec = error::unsupported_link_type;
        return;
    }
    if (cut_off_ && options.on_link_down() != link_down_policy::reopen_by_name) {
        if (device::query_link(control_.get(), options.interface_index()) != link_state::up) {
            ec = error::interface_down;
            return;
        }
        cut_off_ = false;
    }
    if (packet.data.size() > longest_) // only with a tag
        ec = check(packet.data.size(), is_tagged(packet.data) ? tag_size : 0);
    if (ec)
        return;
    if (packet.offload.type != gso_type::none) {
        ec = error::invalid_offload;
    } else if (!packet.vlan && !unfinished && memory.contains(packet) && sender().append_in_place(packet, false)) {
        ++sent_;
    } else if (auto* const room = sender().place(detail::wire_size(packet)); room == nullptr) {
        ec = error::no_ring_memory;
    } else {
        std::span const frame{room, detail::wire_size(packet)};
        if (detail::can_insert_tag(packet))
            detail::insert_tag(packet, room);
        else
            std::memcpy(room, packet.data.data(), packet.data.size());
        if (unfinished) {
            auto const left = detail::complete_offload(frame, packet.link, {}, true, ec);
            if (ec)
                return;
            if (options.offload())
                return append(frame.size(), ec, left);
            detail::finish_checksum(frame, left);
        }
        append(frame.size(), ec);
    }
}

error_code port_core::pause(bool value) noexcept {
    error_code ec;
    for (auto const& queue : queues_)
        if (!ec)
            program_.set_queue(queue.queue(), value ? -1 : queue.native_handle(), ec);
    if (!ec)
        paused_ = value;
    return ec;
}

error_code port_core::kick() noexcept {
    auto const ec = sender().kick();
    cut_off_ = ec == error::interface_down;
    return ec;
}

void port_core::reserve(tx_frame& frame, std::size_t size, error_code& ec) noexcept {
    if (auto* const room = place(size, ec)) {
        frame.core_ = this;
        frame.data_ = {room, size};
        reserved_ = &frame;
    }
}

void port_core::commit(tx_frame& frame, std::size_t length, offload_info const& offload, error_code& ec) noexcept {
    ec = length > frame.data_.size() ? error_code{error::frame_too_long} : check(length, tag_size);
    auto const field = std::size_t{offload.checksum_start} + offload.checksum_offset;
    if (!ec && (offload.type != gso_type::none ||
                (offload.checksum_start != 0 && (!options.offload() || field + sizeof(std::uint16_t) > length))))
        ec = error::invalid_offload;
    if (!ec)
        append(length, ec, offload);
    if (!ec)
        forget(frame);
}

void port_core::forget(tx_frame& frame) noexcept {
    frame.core_ = nullptr;
    frame.data_ = {};
    reserved_ = nullptr;
}

std::size_t port_core::forward(packet_batch& batch, error_code& ec) noexcept {
    ec = {};
    sender().collect();
    std::size_t count = 0;
    for (auto const packet : batch) {
        if (packet.vlan || packet.checksum == checksum_state::partial || !memory.contains(packet)) {
            if (place(netring_asio::detail::wire_size(packet), ec) == nullptr)
                break;
            append(packet, ec);
            if (ec)
                break;
        } else {
            ec = check(packet.data.size(), is_tagged(packet.data) ? tag_size : 0);
            if (ec || !sender().append_in_place(packet, true))
                break;
        }
        ++count;
    }
    batch.split(count); // and so dropped: the ring has them
    return count;
}

error_code port_core::kick_if_due() noexcept {
    if (!open_ || queues_.empty())
        return error::not_open;
    auto const ec = kick();
    auto const policy = options.on_link_down();
    return (ec == error::interface_down && policy != link_down_policy::fail) ||
                   (ec == error::interface_removed && policy == link_down_policy::reopen_by_name)
               ? error_code{}
               : ec;
}

void port_core::arm_transmitter() noexcept {
    if (!open_ || queues_.empty())
        return;
    if (!watching_)
        watching_ = transmitting.watch(sender().socket(), EPOLLOUT);
    // No completion makes an event for certain: time bounds the wait.
    if (!transmitting.timer_is_set()) {
        transmitting.set_timer(pause_);
        pause_ = std::min(2 * pause_, longest_pause);
    }
}

void port_core::disarm_transmitter() noexcept {
    if (std::exchange(watching_, false) && !queues_.empty())
        transmitting.forget(sender().socket());
    pause_ = shortest_pause;
}

void port_core::acknowledge_transmitter() noexcept {
    if (open_)
        transmitting.acknowledge();
}

tx_result port_core::take_sent() noexcept {
    auto now = final_;
    if (!queues_.empty())
        now += sender().statistics();
    tx_result const total{now.taken - now.rejected, now.rejected};
    auto const before = std::exchange(told_, total);
    return {total.taken - before.taken, total.rejected - before.rejected};
}

xdp_statistics port_core::statistics() const noexcept {
    std::lock_guard const lock{closing_};
    auto result = final_;
    if (open_) {
        for (auto const& queue : queues_)
            result += queue.statistics();
        auto const passed = program_.passed();
        result.passed += passed.all;
        result.passed_no_queue += passed.no_queue;
        result.passed_bypassed += passed.bypassed;
        result.held_frames = memory.ledger().held;
    }
    result.discarded = discarded.load(std::memory_order_relaxed);
    result.wakeups = wakeups.load(std::memory_order_relaxed);
    return result;
}

} // namespace netring_asio::afxdp::detail
