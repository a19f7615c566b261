#include "xsk_core.hpp"

#include "../detail/kernel_constants.hpp"
#include "rx_metadata.hpp"
#include <netring_asio/detail/offload.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <thread>
#include <utility>

#include <sys/socket.h>
#include <time.h>

namespace netring_asio::afxdp::detail {
namespace {

constexpr auto release_time = std::chrono::seconds{1}; // a closed queue is busy for some milliseconds
constexpr int kick_budget = 256;

timestamp now() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return timestamp{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}};
}

} // namespace

xsk_core::xsk_core(umem_core& memory, std::string const& interface, int interface_index, std::uint32_t queue,
                   xdp_options const& options, bool transmits, error_code& ec)
    : memory_{&memory}
    , queue_{queue}
    , interface_index_{interface_index}
    , batch_size_{options.batch_size()}
    , transmits_{transmits}
    , multi_buffer_{options.multi_buffer()}
    , finish_checksums_{options.finish_checksums()}
    , metadata_{options.metadata()} {
    ec = {};
    auto const valid = [](std::uint32_t size) { return std::has_single_bit(size) && size <= (1U << 30); };
    if (!valid(options.receive_ring()) || !valid(options.transmit_ring()) || options.batch_size() == 0 ||
        options.receive_frames() == 0 || (transmits && options.transmit_frames() == 0)) {
        ec = error::invalid_ring_geometry;
        return;
    }
    receive_pool_ = memory.make_pool(options.receive_frames(), options.pin_budget());
    if (receive_pool_ != nullptr && transmits)
        transmit_pool_ = memory.make_pool(options.transmit_frames(), 0);
    if (receive_pool_ == nullptr || (transmits && transmit_pool_ == nullptr)) {
        ec = error::no_ring_memory;
        return;
    }
    if (transmits)
        sender_ = memory.make_sender();
    if (!bind(interface, options, ec))
        return;
    set_options(options, ec);
    if (!ec)
        refill(false);
}

xsk_core::~xsk_core() {
    if (transmits_ && handle_ != nullptr)
        collect();
    if (handle_ != nullptr)
        memory_->close_socket(handle_);
    // Nothing is with the kernel any more.
    auto& memory = *memory_;
    auto const free = [&](std::uint32_t index) {
        memory.set_state(index, chunk_state::free);
        memory.at(index).home->give_back(index, index);
    };
    if (placed_ != no_chunk)
        free(placed_);
    for (std::uint32_t i = 0; i != memory.count(); ++i) {
        auto& chunk = memory.at(i);
        auto const word = memory.word(i).load(std::memory_order_relaxed);
        auto const state = chunk_word::state(word);
        if (state == chunk_state::kernel && chunk.home == receive_pool_)
            free(i);
        if (state != chunk_state::sending || (word & chunk_word::sender_mask) != sender_ || !transmits_)
            continue;
        if ((word & chunk_word::counted) == 0) {
            free(i);
        } else {
            memory.word(i).store(chunk_word::of(word, chunk_state::held) | chunk_word::counted,
                                 std::memory_order_relaxed);
            intrusive_ptr_release(&chunk);
        }
    }
    for (auto* const pool : {receive_pool_, transmit_pool_})
        if (pool != nullptr)
            memory.close_pool(*pool);
}

bool xsk_core::bind(std::string const& interface, xdp_options const& options, error_code& ec) {
    xsk_socket_config config{};
    config.rx_size = options.receive_ring();
    config.tx_size = transmits_ ? options.transmit_ring() : 0;
    config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
    unsigned flags = 0;
    if (options.need_wakeup())
        flags |= XDP_USE_NEED_WAKEUP;
    if (options.multi_buffer())
        flags |= XDP_USE_SG;
    if (options.copy_mode() == xdp_copy_mode::copy)
        flags |= XDP_COPY;
    if (options.copy_mode() == xdp_copy_mode::zero_copy)
        flags |= XDP_ZEROCOPY;
    config.bind_flags = static_cast<std::uint16_t>(flags);
    auto const deadline = std::chrono::steady_clock::now() + release_time;
    for (;;) {
        auto const code =
            memory_->open_socket(handle_, interface.c_str(), queue_, &rx_, transmits_ ? &tx_ : nullptr, &fill_,
                                 &completion_, config, 2 * options.receive_ring(), 2 * options.transmit_ring());
        if (code == 0)
            break;
        handle_ = nullptr;
        if (code == -EBUSY && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::sleep_for(std::chrono::milliseconds{2});
            continue;
        }
        switch (-code) {
        case EBUSY:
            ec = error::queue_busy;
            break;
        case EPERM:
            ec = error::missing_privilege;
            break;
        case ENOMEM:
        case ENOBUFS:
            ec = error::no_ring_memory;
            break;
        case EOPNOTSUPP:
        case EPROTONOSUPPORT:
            ec = error::unsupported_option;
            break;
        default:
            ec.assign(-code, boost::system::system_category());
        }
        return false;
    }
    socket_ = xsk_socket__fd(handle_);
    ::xdp_options obtained{};
    socklen_t length = sizeof obtained;
    zero_copy_ = ::getsockopt(socket_, SOL_XDP, XDP_OPTIONS, &obtained, &length) == 0 &&
                 (obtained.flags & XDP_OPTIONS_ZEROCOPY) != 0;
    return true;
}

void xsk_core::set_options(xdp_options const& options, error_code& ec) {
    auto const set = [&](int level, int name, int value) {
        return ::setsockopt(socket_, level, name, &value, sizeof value) == 0;
    };
    if (transmits_) // one kick then takes all; from Linux 6.18 on
        set(SOL_XDP, XDP_MAX_TX_SKB_BUDGET, static_cast<int>(tx_.size));
    auto const ample = static_cast<int>(
        std::min<std::size_t>(std::size_t{8192} * options.transmit_ring(), std::numeric_limits<int>::max() / 2));
    if (!set(SOL_SOCKET, SO_SNDBUFFORCE, ample))
        set(SOL_SOCKET, SO_SNDBUF, ample);
    if (auto const time = options.busy_poll())
        if (!set(SOL_SOCKET, SO_PREFER_BUSY_POLL, 1) ||
            !set(SOL_SOCKET, SO_BUSY_POLL, static_cast<int>(time->count())) ||
            !set(SOL_SOCKET, SO_BUSY_POLL_BUDGET, options.busy_poll_budget()))
            ec = errno == EPERM ? error::missing_privilege : error::unsupported_option;
}

void xsk_core::refill(bool await_more) {
    auto& pool = *receive_pool_;
    auto const room = xsk_prod_nb_free(&fill_, fill_.size);
    if (auto const count = std::min<std::size_t>(room, pool.available()); count != 0) {
        std::uint32_t at = 0;
        xsk_ring_prod__reserve(&fill_, static_cast<std::uint32_t>(count), &at);
        for (auto const index : pool.take(count)) {
            memory_->set_state(index, chunk_state::kernel);
            *xsk_ring_prod__fill_addr(&fill_, at++) = memory_->address(index);
        }
        xsk_ring_prod__submit(&fill_, static_cast<std::uint32_t>(count));
        if (xsk_ring_prod__needs_wakeup(&fill_))
            ::recvfrom(socket_, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
    }
    // The kernel has half of what it could have: then more must come from those who hold it.
    if (await_more &&
        fill_.size - xsk_prod_nb_free(&fill_, fill_.size) < std::min<std::size_t>(fill_.size, pool.size()) / 2)
        pool.await();
}

bool xsk_core::receive(packet_batch& batch) {
    batch.reset();
    refill(false);
    std::uint32_t at = 0;
    auto const count = xsk_ring_cons__peek(&rx_, static_cast<std::uint32_t>(batch_size_), &at);
    if (count == 0)
        return false;
    auto const time = now();
    packet_view prototype;
    prototype.clock = clock_source::software;
    prototype.interface_index = interface_index_;
    prototype.queue = queue_;
    auto& lent = receive_pool_->lend_burst(batch_size_, prototype);
    auto const& memory = *memory_;
    auto const lent_word = lent.lent_word;
    auto* view = lent.packets.data();
    std::uint64_t bytes = 0;
    std::uint32_t used = 0;
    std::uint32_t frame_start = 0; // the first descriptor of a frame that takes several chunks
    bool in_frame = false;
    lent.joined.clear();
    lent.joins.clear();
    for (std::uint32_t i = 0; i != count; ++i) {
        auto const& descriptor = *xsk_ring_cons__rx_desc(&rx_, at + i);
        auto const index = memory.chunk_at(descriptor.addr);
        auto const word = index != no_chunk ? memory.word(index).load(std::memory_order_relaxed) : 0;
        if (chunk_word::state(word) != chunk_state::kernel) [[unlikely]] {
            add(bad_addresses_, 1);
            used = i + 1;
            continue;
        }
        auto* const data = memory.data(descriptor.addr);
        bool const more = (descriptor.options & XDP_PKT_CONTD) != 0;
        if (more || in_frame) [[unlikely]] {
            if (!std::exchange(in_frame, true)) {
                frame_start = i;
                view->time = time;
                if (metadata_)
                    take_metadata(data, *view);
            }
            if (more)
                continue; // its chunks are taken when the last is there
            in_frame = false;
            lent.joins.push_back({static_cast<std::size_t>(view - lent.packets.data()), lent.joined.size()});
            auto const start = lent.joined.size();
            for (auto j = frame_start; j <= i; ++j)
                take_part(lent, *xsk_ring_cons__rx_desc(&rx_, at + j));
            view->data = {};
            view->wire_length = static_cast<std::uint32_t>(lent.joined.size() - start);
        } else {
            // The next that the caller does is to look at it.
            __builtin_prefetch(data);
            memory.word(index).store(lent_word, std::memory_order_relaxed);
            lent.chunks.push_back(index);
            view->data = {data, descriptor.len};
            view->wire_length = descriptor.len;
            view->time = time;
            if (metadata_)
                take_metadata(data, *view);
        }
        bytes += view->wire_length;
        ++view;
        used = i + 1;
    }
    std::span const packets{lent.packets.data(), view};
    for (auto const& join : lent.joins)
        lent.packets[join.packet].data = {lent.joined.data() + join.offset, lent.packets[join.packet].wire_length};
    look_at_checksums(packets);
    if (used != count) // a frame of which the rest has not come
        xsk_ring_cons__cancel(&rx_, count - used);
    if (used != 0)
        xsk_ring_cons__release(&rx_, used);
    add(received_, packets.size());
    add(received_bytes_, bytes);
    batch = packet_batch{
        packets, packet_owner_ptr{&lent}, {.sequence = sequence_++, .first_time = time, .last_time = time}};
    if (!batch.empty())
        return true;
    batch.reset();
    return false;
}

void xsk_core::take_part(burst& lent, xdp_desc const& part) {
    auto const index = memory_->chunk_at(part.addr);
    if (index == no_chunk)
        return;
    memory_->word(index).store(lent.lent_word, std::memory_order_relaxed);
    lent.chunks.push_back(index);
    auto const* const data = memory_->data(part.addr);
    lent.joined.insert(lent.joined.end(), data, data + part.len);
}

void xsk_core::look_at_checksums(std::span<packet_view const> packets) noexcept {
    std::uint64_t found = 0;
    for (auto const& packet :
         packets.first(finish_checksums_ ? packets.size() : std::min<std::size_t>(packets.size(), 1))) {
        auto const left = netring_asio::detail::find_unfinished_checksum(packet.data, packet.link);
        if (left.checksum_start == 0)
            continue;
        ++found;
        // The memory is ours, and nobody has seen the packet.
        if (finish_checksums_)
            netring_asio::detail::finish_checksum({const_cast<std::byte*>(packet.data.data()), packet.data.size()},
                                                  left);
    }
    if (found != 0)
        add(unfinished_, found);
}

std::size_t xsk_core::transmit_capacity() const noexcept {
    constexpr std::size_t most_fragments = 17;
    if (!transmits_)
        return 0;
    return multi_buffer_ ? most_fragments * memory_->chunk_size() : memory_->chunk_size();
}

std::byte* xsk_core::find_place(std::size_t size) noexcept {
    if (size > memory_->chunk_size()) {
        if (size > transmit_capacity() || available() < (size + memory_->chunk_size() - 1) / memory_->chunk_size())
            return nullptr;
        bounce_.resize(size);
        return bounce_.data();
    }
    if (xsk_prod_nb_free(&tx_, 1) == 0)
        return nullptr;
    if (placed_ == no_chunk && !take_place()) {
        collect();
        if (!take_place())
            return nullptr;
    }
    return memory_->data(memory_->address(placed_));
}

bool xsk_core::append_parts(std::size_t size) noexcept {
    auto const chunk_size = memory_->chunk_size();
    for (std::size_t offset = 0; offset < size; offset += chunk_size) {
        auto const index = transmit_pool_->take();
        auto const length = std::min(chunk_size, size - offset);
        auto const last = offset + length == size;
        std::memcpy(memory_->data(memory_->address(index)), bounce_.data() + offset, length);
        put(index, memory_->address(index), length, last ? 0 : XDP_PKT_CONTD,
            chunk_word::own | (last ? chunk_word::ends_frame : 0));
    }
    add(committed_, 1);
    return true;
}

bool xsk_core::append_in_place(packet_view const& packet, bool gives) noexcept {
    auto const index = memory_->chunk_at(packet.data.data());
    if (index == no_chunk)
        return false;
    auto const word = memory_->word(index).load(std::memory_order_relaxed);
    if (chunk_word::state(word) != chunk_state::held)
        return false;
    auto offset = memory_->offset(packet.data.data());
    if (memory_->options().unaligned()) {
        auto const base = memory_->address(index);
        offset = base | ((offset - base) << XSK_UNALIGNED_BUF_OFFSET_SHIFT);
    }
    bool const counted = (word & chunk_word::counted) != 0;
    bool const shares = counted || !gives;
    if (!put(index, offset, packet.data.size(), 0, chunk_word::ends_frame | (shares ? chunk_word::counted : 0)))
        return false;
    if (shares) {
        auto& chunk = memory_->at(index);
        if (!counted)
            chunk.lend();
        intrusive_ptr_add_ref(&chunk);
    }
    add(committed_, 1);
    add(in_place_, 1);
    return true;
}

std::size_t xsk_core::available() noexcept {
    if (!transmits_)
        return 0;
    collect();
    return std::min<std::size_t>(xsk_prod_nb_free(&tx_, tx_.size),
                                 transmit_pool_->available() + (placed_ == no_chunk ? 0 : 1));
}

std::size_t xsk_core::pending() noexcept {
    collect();
    return in_flight_[0] + in_flight_[1];
}

std::size_t xsk_core::queued() noexcept { return transmits_ ? tx_.cached_prod - consumed() : 0; }

std::size_t xsk_core::retract(std::size_t count) noexcept {
    // The kernel looks into the ring only when it is told to, unless a device reads it by itself; then only what it
    // was not told of comes back.
    auto const ours = zero_copy_ ? unsubmitted_ : static_cast<std::uint32_t>(queued());
    std::uint32_t left = 0;
    std::size_t frames = 0;
    auto const before = [&](std::uint32_t distance) {
        return xsk_ring_prod__tx_desc(&tx_, tx_.cached_prod - distance);
    };
    while (frames != count && left != ours) {
        do {
            take_back(before(1)->addr);
            --tx_.cached_prod;
            ++left;
        } while (left != ours && (before(1)->options & XDP_PKT_CONTD) != 0);
        ++frames;
    }
    give_back_pending();
    if (left > unsubmitted_) {
        __atomic_store_n(tx_.producer, tx_.cached_prod, __ATOMIC_RELEASE);
        unsubmitted_ = 0;
    } else {
        unsubmitted_ -= left;
    }
    committed_.fetch_sub(frames, std::memory_order_relaxed);
    return frames;
}

void xsk_core::take_back(std::uint64_t address) noexcept {
    auto const index = memory_->chunk_at(address);
    auto const word = index != no_chunk ? memory_->word(index).load(std::memory_order_relaxed) : 0;
    if ((word & (chunk_word::state_mask | chunk_word::sender_mask)) !=
        (static_cast<std::uint32_t>(chunk_state::sending) | sender_)) [[unlikely]] {
        add(bad_addresses_, 1);
        return;
    }
    --in_flight_[(word & chunk_word::odd) != 0 ? 1 : 0];
    frames_back_ += (word & chunk_word::ends_frame) != 0;
    if ((word & chunk_word::counted) != 0) {
        memory_->word(index).store(chunk_word::of(word, chunk_state::held) | chunk_word::counted,
                                   std::memory_order_relaxed);
        intrusive_ptr_release(&memory_->at(index));
        return;
    }
    memory_->word(index).store(chunk_word::of(word, chunk_state::free), std::memory_order_relaxed);
    if ((word & chunk_word::own) != 0) {
        transmit_pool_->put(index);
        return;
    }
    auto& chunk = memory_->at(index);
    if (first_back_ != no_chunk && memory_->at(first_back_).home != chunk.home)
        give_back_pending();
    chunk.next = first_back_;
    if (std::exchange(first_back_, index) == no_chunk)
        last_back_ = index;
}

void xsk_core::give_back_pending() noexcept {
    if (first_back_ == no_chunk)
        return;
    memory_->at(first_back_).home->give_back(first_back_, last_back_);
    first_back_ = last_back_ = no_chunk;
}

void xsk_core::collect() noexcept {
    if (!transmits_)
        return;
    std::uint32_t at = 0;
    auto const count = xsk_ring_cons__peek(&completion_, completion_.size, &at);
    if (count == 0)
        return;
    frames_back_ = 0;
    for (std::uint32_t i = 0; i != count; ++i)
        take_back(*xsk_ring_cons__comp_addr(&completion_, at + i));
    give_back_pending();
    xsk_ring_cons__release(&completion_, count);
    add(taken_, frames_back_);
}

error_code xsk_core::kick() noexcept {
    if (unsubmitted_ != 0) {
        xsk_ring_prod__submit(&tx_, unsubmitted_);
        unsubmitted_ = 0;
    }
    for (int budget = kick_budget;; --budget) {
        collect();
        if (!xsk_ring_prod__needs_wakeup(&tx_) || consumed() == tx_.cached_prod)
            return {};
        if (budget == 0)
            break;
        auto const before = consumed();
        add(kicks_, 1);
        if (::sendto(socket_, nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0)
            continue;
        switch (errno) {
        case EBUSY: // the frame is gone
            add(rejected_, 1);
            continue;
        case EAGAIN: // its share of frames is taken, or there is no room for more
            if (consumed() != before)
                continue;
            add(would_block_, 1);
            return {};
        case ENOBUFS:
        case ENOMEM:
            add(would_block_, 1);
            return {};
        case EINTR:
            continue;
        case EOVERFLOW: // a frame in too many chunks, consumed
        case EINVAL:
            continue;
        case ENETDOWN:
            return error::interface_down;
        case ENXIO:
        case ENODEV:
            return error::interface_removed;
        default:
            return {errno, boost::system::system_category()};
        }
    }
    add(would_block_, 1);
    return {};
}

void xsk_core::begin_drain() noexcept {
    // Where the generation before has not left, because a drain was given up, this one is for both.
    drains_both_ = in_flight_[odd_ ? 0 : 1] != 0;
    if (!drains_both_)
        odd_ = !odd_;
}

bool xsk_core::drained() noexcept {
    collect();
    return in_flight_[odd_ ? 0 : 1] == 0 && (!drains_both_ || in_flight_[odd_ ? 1 : 0] == 0);
}

xdp_statistics xsk_core::statistics() const noexcept {
    auto const load = [](counter const& from) { return from.load(std::memory_order_relaxed); };
    xdp_statistics result;
    ::xdp_statistics kernel{};
    socklen_t length = sizeof kernel;
    if (::getsockopt(socket_, SOL_XDP, XDP_STATISTICS, &kernel, &length) == 0) {
        result.dropped_ring_full = kernel.rx_ring_full;
        result.dropped_no_frame = kernel.rx_dropped;
        result.dropped_invalid = kernel.rx_invalid_descs;
        result.fill_ring_empty = kernel.rx_fill_ring_empty_descs;
        result.tx_invalid = kernel.tx_invalid_descs;
    }
    result.received = load(received_);
    result.received_bytes = load(received_bytes_);
    result.copied = load(receive_pool_->copied);
    result.bad_addresses = load(bad_addresses_);
    result.unfinished_checksums = load(unfinished_);
    result.committed = load(committed_);
    result.in_place = load(in_place_);
    result.taken = load(taken_);
    result.rejected = load(rejected_);
    result.kicks = load(kicks_);
    result.would_block = load(would_block_);
    result.pinned_frames = receive_pool_->pinned();
    return result;
}

} // namespace netring_asio::afxdp::detail
