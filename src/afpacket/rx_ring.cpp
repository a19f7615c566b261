#include "device.hpp"
#include "ring_core.hpp"
#include "ring_opener.hpp"
#include <netring_asio/afpacket/rx_ring.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace netring_asio::afpacket {
namespace {

// After this many blocks the kernel's 32-bit counters are read, lest they wrap.
constexpr std::size_t statistics_interval = 256;

// Blocks without an accepted packet that a take looks through before it lets others work.
constexpr int rejected_blocks_budget = 16;

// Waits that follow one which had to be for more than the socket, so that they do not change places all the time.
constexpr std::uint32_t waits_elsewhere = 1000;

// Packets of a batch from a ring with slots, so that a consumer that is behind gives some back now and then.
constexpr std::size_t slots_of_a_batch = 32;

/// The header of LINKTYPE_LINUX_SLL2, in network byte order.
struct cooked_header {
    std::uint16_t protocol;
    std::uint16_t reserved;
    std::uint32_t interface_index;
    std::uint16_t hardware_type;
    std::uint8_t packet_type;
    std::uint8_t address_length;
    std::array<unsigned char, 8> address;
};
static_assert(sizeof(cooked_header) == cooked_header_size);

/// Puts a cooked header before the packet, into the room that PACKET_RESERVE made for it.
void cook(std::byte const* address, packet_view& packet) noexcept {
    auto const& from = *reinterpret_cast<sockaddr_ll const*>(address);
    cooked_header header{from.sll_protocol,
                         0,
                         htonl(static_cast<std::uint32_t>(from.sll_ifindex)),
                         htons(from.sll_hatype),
                         from.sll_pkttype,
                         from.sll_halen,
                         {}};
    std::memcpy(header.address.data(), from.sll_addr, sizeof from.sll_addr);
    auto* const at = const_cast<std::byte*>(packet.data.data()) - sizeof header;
    std::memcpy(at, &header, sizeof header);
    packet.data = {at, packet.data.size() + sizeof header};
    packet.wire_length += sizeof header;
}

/// Some packets of a batch.
class selection final : public packet_owner {
public:
    selection(packet_batch from, filter const& wanted)
        : from_{std::move(from)} {
        for (auto packet : from_)
            if (wanted.apply(packet))
                accepted_.push_back(packet);
    }
    packet_batch lend() { return {accepted_, packet_owner_ptr{this}, from_.info()}; }
    std::size_t rejected() const noexcept { return from_.size() - accepted_.size(); }
    frame hold(packet_view const& packet) override { return from_.hold(packet); }

private:
    void recycle() noexcept override { delete this; }

    packet_batch from_;
    std::vector<packet_view> accepted_;
};

/// Says when no packet can pass a replaced filter any more: one grace period later.
class settle_filter final : public netring_asio::detail::background_task {
public:
    explicit settle_filter(boost::intrusive_ptr<detail::ring_core> core) noexcept
        : core_{std::move(core)} {}

private:
    void run() noexcept override {
        if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
            ::usleep(100'000);
        core_->filter_settled();
        delete this;
    }

    boost::intrusive_ptr<detail::ring_core> core_;
};

} // namespace

rx_ring::rx_ring() = default;
rx_ring::rx_ring(rx_ring&& other) noexcept
    : rx_ring{} {
    *this = std::move(other);
}

rx_ring& rx_ring::operator=(rx_ring&& other) noexcept {
    if (this == &other)
        return *this;
    close();
    open_ = std::exchange(other.open_, false);
    core_ = std::move(other.core_);
    options_ = std::move(other.options_);
    records_ = other.records_;
    filter_ = other.filter_;
    cursor_ = other.cursor_;
    blocks_since_statistics_ = other.blocks_since_statistics_;
    old_blocks_ = other.old_blocks_;
    filter_swaps_ = other.filter_swaps_;
    waits_elsewhere_ = other.waits_elsewhere_;
    fanout_id_ = other.fanout_id_;
    link_error_ = other.link_error_;
    verdict_ = other.verdict_;
    user_filter_ = other.user_filter_;
    batches_ = other.batches_;
    cooked_ = other.cooked_;
    link_is_up_ = other.link_is_up_;
    removed_ = other.removed_;
    paused_ = other.paused_;
    return *this;
}

rx_ring::~rx_ring() { close(); }

void rx_ring::open(capture_options const& options) {
    error_code ec;
    std::string context;
    ring_opener{*this, options, context}.open(-1, ec);
    if (ec)
        throw system_error{ec, context};
}

void rx_ring::open(capture_options const& options, error_code& ec) {
    std::string context;
    ring_opener{*this, options, context}.open(-1, ec);
}

void rx_ring::assign(int socket, capture_options const& options) {
    error_code ec;
    std::string context;
    ring_opener{*this, options, context}.open(socket, ec);
    if (ec)
        throw system_error{ec, context};
}

void rx_ring::assign(int socket, capture_options const& options, error_code& ec) {
    std::string context;
    ring_opener{*this, options, context}.open(socket, ec);
}

void rx_ring::close() noexcept {
    if (std::exchange(open_, false))
        core_->close();
}

int rx_ring::native_handle() const noexcept { return open_ ? core_->socket() : -1; }
int rx_ring::wait_handle() const noexcept {
    if (!open_)
        return -1;
    return waits_elsewhere_ == 0 ? core_->socket() : core_->wait_handle();
}

int rx_ring::duplicate_wait_handle(error_code& ec) const noexcept {
    auto const duplicate = ::fcntl(wait_handle(), F_DUPFD_CLOEXEC, 0);
    ec = duplicate < 0 ? error_code{errno, boost::system::system_category()} : error_code{};
    return duplicate;
}

take_result rx_ring::take(packet_batch& batch) {
    if (!open_)
        return take_result::empty;
    batch.reset();
    for (int budget = rejected_blocks_budget; budget != 0; --budget) {
        if (auto const count = core_->block_count(); core_->has_pins())
            // Before the kernel comes to it, which is as far ahead as the receiver is behind.
            core_->make_way((cursor_ + (count + 3) / 4) % count);
        if (!core_->ready(cursor_) && !(core_->make_way(cursor_) && core_->ready(cursor_)))
            return take_result::empty;
        batch = core_->has_slots() ? make_slot_batch() : make_batch(advance());
        if (++blocks_since_statistics_ == statistics_interval) {
            blocks_since_statistics_ = 0;
            core_->statistics();
        }
        lively_ = true;
        if (!batch.empty())
            return take_result::taken;
        batch.reset();
    }
    return take_result::again;
}

std::size_t rx_ring::advance() noexcept {
    auto const index = cursor_;
    cursor_ = cursor_ + 1 == core_->block_count() ? 0 : cursor_ + 1;
    return index;
}

packet_batch rx_ring::make_slot_batch() {
    batch_info info{.sequence = batches_++};
    auto const first = cursor_;
    std::size_t count = 0, accepted = 0;
    do {
        auto const* const slot = core_->slot(advance());
        ++count;
        core_->prefetch(cursor_ + 1 < core_->block_count() ? cursor_ + 1 : 0);
        auto const judge = judge_block();
        auto packet = records_.decode_slot(slot);
        if (cooked_)
            cook(slot + TPACKET_ALIGN(sizeof(tpacket2_hdr)), packet);
        info.losing |= (reinterpret_cast<tpacket2_hdr const*>(slot)->tp_status & TP_STATUS_LOSING) != 0;
        if (!accepts(judge, packet))
            continue;
        if (accepted == 0)
            info.first_time = packet.time;
        info.last_time = packet.time;
        core_->view(first + accepted++) = packet;
    } while (count != slots_of_a_batch && cursor_ != 0 && core_->ready(cursor_));
    core_->count_filtered(count - accepted);
    return {std::span{&core_->view(first), accepted}, packet_owner_ptr{&core_->lend(first, count)}, info};
}

bool rx_ring::accepts(user_filter judge, packet_view& packet) const {
    bool const decided =
        judge == user_filter::off || (judge == user_filter::where_undecided && verdict_.decides(packet));
    return decided || filter_.apply(packet);
}

packet_batch rx_ring::make_batch(std::size_t index) {
    auto& block = core_->lend(index);
    packet_owner_ptr owner{&block};
    auto const* const memory = core_->block(index);
    auto const& header = memory->hdr.bh1;
    auto const* const start = reinterpret_cast<std::byte const*>(memory);
    auto time = [](tpacket_bd_ts const& at) {
        return timestamp{std::chrono::seconds{at.ts_sec} + std::chrono::nanoseconds{at.ts_nsec}};
    };
    batch_info const info{.sequence = header.seq_num,
                          .first_time = time(header.ts_first_pkt),
                          .last_time = time(header.ts_last_pkt),
                          .by_timeout = (header.block_status & TP_STATUS_BLK_TMO) != 0,
                          .losing = (header.block_status & TP_STATUS_LOSING) != 0};
    auto records = records_;
    records.end = start + core_->block_size();
    auto const* const first = start + std::min<std::size_t>(header.offset_to_first_pkt, core_->block_size());
    auto const judge = judge_block();
    if (judge == user_filter::off && !cooked_)
        return {first, header.num_pkts, records, std::move(owner), info};

    block.accepted.clear();
    auto const* record = first;
    std::uint32_t rejected = 0;
    for (auto left = header.num_pkts; left != 0 && records.contains(record); --left, record = records.next(record)) {
        auto packet = records.decode(record);
        if (cooked_)
            cook(record + TPACKET_ALIGN(sizeof(tpacket3_hdr)), packet);
        if (accepts(judge, packet))
            block.accepted.push_back(packet);
        else
            ++rejected;
    }
    core_->count_filtered(rejected);
    return {block.accepted, std::move(owner), info};
}

rx_ring::user_filter rx_ring::settled_user_filter() const noexcept {
    return verdict_.exact ? user_filter::off : user_filter::where_undecided;
}

rx_ring::user_filter rx_ring::judge_block() noexcept {
    auto const judge = user_filter_;
    if (judge != user_filter::until_old_blocks_are_gone)
        return judge;
    if (old_blocks_ == 0 && core_->settled_filters() == filter_swaps_) {
        // No packet comes through the old filter any more. The last that did is in the block that the kernel is
        // filling.
        auto const count = core_->block_count();
        for (auto index = cursor_; old_blocks_ < count && core_->ready(index); ++old_blocks_)
            index = index + 1 == count ? 0 : index + 1;
        old_blocks_ += 2; // this one, and that which is being filled
    }
    if (old_blocks_ != 0 && --old_blocks_ == 0)
        user_filter_ = settled_user_filter();
    return judge;
}

void rx_ring::arm() noexcept {
    if (!open_)
        return;
    core_->collect(std::exchange(lively_, false));
    core_->await_release(cursor_);
    if (!socket_tells_all())
        waits_elsewhere_ = waits_elsewhere;
    else if (waits_elsewhere_ != 0)
        --waits_elsewhere_;
}

// A link that goes down is told as an error of the socket, one that is down already is not when it goes away. The
// socket stays readable as long as its last packet is held.
bool rx_ring::socket_tells_all() const noexcept {
    auto const before = (cursor_ != 0 ? cursor_ : core_->block_count()) - 1;
    return core_->has_slots() && core_->budget_timer() < 0 && link_is_up_ && !core_->is_lent(cursor_) &&
           !core_->is_lent(before);
}

void rx_ring::acknowledge() noexcept {
    if (!open_)
        return;
    std::array<epoll_event, 4> events;
    auto const count = ::epoll_wait(core_->wait_handle(), events.data(), static_cast<int>(events.size()), 0);
    bool look_at_link = false;
    bool was_down = false;
    for (int i = 0; i < count; ++i) {
        auto const& event = events[static_cast<std::size_t>(i)];
        if (event.data.fd == core_->budget_timer()) {
            std::uint64_t expirations = 0;
            [[maybe_unused]] auto const got = ::read(core_->budget_timer(), &expirations, sizeof expirations);
        } else if (event.data.fd == core_->link_events()) {
            detail::drain_link_events(core_->link_events());
            look_at_link = true;
        } else if (event.data.fd == core_->socket() && (event.events & EPOLLERR) != 0) {
            int code = 0;
            socklen_t length = sizeof code;
            ::getsockopt(core_->socket(), SOL_SOCKET, SO_ERROR, &code, &length);
            if (code == ENETDOWN)
                look_at_link = was_down = true;
            else if (code != 0)
                link_error_.assign(code, boost::system::system_category());
        }
    }
    if (look_at_link && !options_.any_interface())
        follow_link(was_down);
}

void rx_ring::follow_link(bool was_down) noexcept {
    auto state = detail::query_bound_link(core_->socket(), options_.interface_index());
    if (state == detail::link_state::removed && options_.on_link_down() == link_down_policy::reopen_by_name && reopen())
        state = detail::query_bound_link(core_->socket(), options_.interface_index());
    if (state == detail::link_state::removed) {
        link_is_up_ = false;
        removed_ = options_.on_link_down() != link_down_policy::reopen_by_name;
        return;
    }
    // Down and up again between two looks is told as well: packets were missed.
    bool const went_down = link_is_up_ && (was_down || state == detail::link_state::down);
    link_is_up_ = state == detail::link_state::up;
    if (went_down && options_.on_link_down() == link_down_policy::fail)
        link_error_ = error::interface_down;
}

bool rx_ring::reopen() noexcept {
    error_code ec;
    auto const found = detail::find_device(core_->socket(), options_.interface_name(), ec);
    if (ec || detail::capture_link(found.hardware_type) != link() ||
        !detail::bind_packet_socket(core_->socket(), found.index, ETH_P_ALL))
        return false;
    options_.interface_index(found.index);
    detail::add_memberships(core_->socket(), options_, ec);
    return true;
}

error_code rx_ring::take_error() noexcept {
    if (removed_)
        return error::interface_removed;
    return std::exchange(link_error_, {});
}

std::size_t rx_ring::receive(packet_batch& batch, std::chrono::nanoseconds limit, error_code& ec) {
    using clock = std::chrono::steady_clock;
    ec = open_ ? error_code{} : error_code{error::not_open};
    auto const start = clock::now();
    while (!ec) {
        arm();
        auto const result = take(batch);
        if (result == take_result::taken)
            return batch.size();
        auto const left =
            limit.count() < 0 ? limit : std::max(limit - (clock::now() - start), std::chrono::nanoseconds{0});
        if (left.count() == 0) {
            acknowledge(); // a limit of 0 leaves no wait to do it after
            if (!(ec = take_error()))
                ec = error::timed_out;
            break;
        }
        if (result == take_result::again || (ec = take_error()))
            continue;
        auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        timespec const time{static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
        pollfd poll{wait_handle(), POLLIN, 0};
        if (::ppoll(&poll, 1, limit.count() < 0 ? nullptr : &time, nullptr) < 0 && errno != EINTR)
            ec.assign(errno, boost::system::system_category());
        acknowledge();
    }
    return 0;
}

void rx_ring::set_filter(std::string expression) {
    error_code ec;
    std::string message;
    replace_filter(std::move(expression), ec, message);
    if (ec)
        throw system_error{ec, "filter: " + message};
}

void rx_ring::set_filter(std::string expression, error_code& ec) {
    std::string message;
    replace_filter(std::move(expression), ec, message);
}

void rx_ring::replace_filter(std::string expression, error_code& ec, std::string& message) {
    ec = {};
    if (!open_) {
        ec = error::not_open;
        return;
    }
    auto replacement = filter::compile(expression, link(), options_.snap_length(), ec, &message);
    if (ec)
        return;
    auto task = std::make_unique<settle_filter>(core_);
    netring_asio::detail::kernel_verdict verdict;
    if (!detail::attach_filter(core_->socket(), replacement, verdict, ec))
        return;
    verdict_ = verdict;
    filter_ = replacement;
    options_.filter(std::move(expression));
    paused_ = false;
    old_blocks_ = 0;
    ++filter_swaps_;
    user_filter_ = user_filter::until_old_blocks_are_gone;
    netring_asio::detail::run_in_background(*task.release());
}

void rx_ring::pause() {
    error_code ec;
    pause(ec);
    if (ec)
        throw system_error{ec, "pause"};
}

void rx_ring::pause(error_code& ec) noexcept {
    ec = {};
    if (!open_)
        ec = error::not_open;
    else if (core_->reject_all())
        paused_ = true;
    else
        ec.assign(errno, boost::system::system_category());
}

void rx_ring::resume() {
    error_code ec;
    resume(ec);
    if (ec)
        throw system_error{ec, "resume"};
}

void rx_ring::resume(error_code& ec) {
    ec = open_ ? error_code{} : error_code{error::not_open};
    if (open_ && paused_ && detail::attach_filter(core_->socket(), filter_, verdict_, ec))
        paused_ = false;
}

packet_batch rx_ring::judge(packet_batch batch) const {
    auto* const accepted = new selection{std::move(batch), filter_};
    auto result = accepted->lend();
    if (core_)
        core_->count_filtered(accepted->rejected());
    return result.empty() ? packet_batch{} : std::move(result);
}

capture_statistics rx_ring::statistics() const noexcept { return core_ ? core_->statistics() : capture_statistics{}; }

void rx_ring::count_discarded(std::uint64_t packets) noexcept {
    if (core_)
        core_->count_discarded(packets);
}

} // namespace netring_asio::afpacket
