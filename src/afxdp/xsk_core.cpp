#include "xsk_core.hpp"

#include "../detail/kernel_constants.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <thread>
#include <utility>

#include <sys/socket.h>

namespace netring_asio::afxdp::detail {
namespace {

constexpr auto release_time = std::chrono::seconds{1}; // a closed queue is busy for some milliseconds
constexpr int kick_budget = 256;

} // namespace

xsk_core::xsk_core(umem_core& memory, std::string const& interface, int interface_index, std::uint32_t queue,
                   xdp_options const& options, bool transmits, error_code& ec)
    : memory_{&memory}
    , queue_{queue}
    , interface_index_{interface_index}
    , batch_size_{options.batch_size()}
    , transmits_{transmits}
    , need_wakeup_{options.need_wakeup()}
    , multi_buffer_{options.multi_buffer()}
    , finish_checksums_{options.finish_checksums()}
    , metadata_{options.metadata()}
    , timestamps_{options.timestamps()}
    , metadata_room_{memory.options().transmit_metadata() ? sizeof(tx_metadata) : 0} {
    ec = {};
    auto const valid = [](std::uint32_t size) { return std::has_single_bit(size) && size <= (1U << 30); };
    if (!valid(options.receive_ring()) || !valid(options.transmit_ring()) || options.batch_size() == 0 ||
        options.receive_frames() == 0 || (transmits && options.transmit_frames() == 0)) {
        ec = error::invalid_ring_geometry;
        return;
    }
    if ((options.timestamps() || options.offload()) && metadata_room_ == 0) {
        ec = error::unsupported_option;
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
    if (timestamps_ && transmits)
        stamps_.set_capacity(std::size_t{2} * options.transmit_ring());
    set_options(options, ec);
    if (!ec)
        refill(false);
}

xsk_core::~xsk_core() {
    if (transmits_ && handle_)
        collect();
    if (handle_)
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
    socket_ = handle_.descriptor();
    ::xdp_options obtained{};
    socklen_t length = sizeof obtained;
    zero_copy_ = ::getsockopt(socket_, SOL_XDP, XDP_OPTIONS, &obtained, &length) == 0 &&
                 (obtained.flags & XDP_OPTIONS_ZEROCOPY) != 0;
    if (zero_copy_ && metadata_room_ != 0) // drivers do not say here what they do of what they are asked
        ec = error::unsupported_option;
    return !ec;
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

std::size_t xsk_core::transmit_capacity() const noexcept {
    constexpr std::size_t most_fragments = 17;
    if (!transmits_)
        return 0;
    return multi_buffer_ ? most_fragments * room() : room();
}

std::byte* xsk_core::find_place(std::size_t size) noexcept {
    if (size > room()) {
        if (size > transmit_capacity() || available() < (size + room() - 1) / room())
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
    return memory_->data(sending_address(placed_));
}

xsk_core::asked_for xsk_core::ask(std::uint32_t index, std::uint64_t address,
                                  offload_info const& offload) const noexcept {
    auto* const frame = memory_->data(address);
    tx_metadata request;
    if (timestamps_)
        request.flags |= tx_metadata::timestamp;
    if (offload.checksum_start != 0) {
        request.flags |= tx_metadata::checksum;
        request.checksum_start = offload.checksum_start;
        request.checksum_offset = offload.checksum_offset;
    }
    if (request.flags == 0 ||
        frame - memory_->data(memory_->address(index)) < static_cast<std::ptrdiff_t>(sizeof request))
        return {};
    detail::ask(frame, request);
    return {XDP_TX_METADATA, timestamps_ ? chunk_word::timed : 0};
}

bool xsk_core::append_parts(std::size_t size, offload_info const& offload) noexcept {
    auto const chunk_size = room();
    for (std::size_t offset = 0; offset < size; offset += chunk_size) {
        auto const index = transmit_pool_->take();
        auto const length = std::min(chunk_size, size - offset);
        auto const last = offset + length == size;
        auto const address = sending_address(index);
        std::memcpy(memory_->data(address), bounce_.data() + offset, length);
        auto const asked = metadata_room_ != 0 && offset == 0 ? ask(index, address, offload) : asked_for{};
        put(index, address, length, asked.options | (last ? 0 : XDP_PKT_CONTD),
            asked.how | chunk_word::own | (last ? chunk_word::ends_frame : 0));
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
    auto const asked = metadata_room_ != 0 ? ask(index, offset, {}) : asked_for{};
    if (!put(index, offset, packet.data.size(), asked.options,
             asked.how | chunk_word::ends_frame | (shares ? chunk_word::counted : 0)))
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
            take_back(before(1)->addr, false);
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

void xsk_core::take_back(std::uint64_t address, bool sent) noexcept {
    auto const index = memory_->chunk_at(address);
    auto const word = index != no_chunk ? memory_->word(index).load(std::memory_order_relaxed) : 0;
    if ((word & (chunk_word::state_mask | chunk_word::sender_mask)) !=
        (static_cast<std::uint32_t>(chunk_state::sending) | sender_)) [[unlikely]] {
        add(bad_addresses_, 1);
        return;
    }
    if (sent && (word & chunk_word::timed) != 0)
        if (auto const time = time_of(memory_->data(address)); time.count() != 0)
            stamps_.push_back({taken_.load(std::memory_order_relaxed) + frames_back_, from_atomic_time(time),
                               clock_source::software});
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
        take_back(*xsk_ring_cons__comp_addr(&completion_, at + i), true);
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
        if ((need_wakeup_ && !xsk_ring_prod__needs_wakeup(&tx_)) || consumed() == tx_.cached_prod)
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

bool xsk_core::take_timestamp(tx_timestamp& stamp) noexcept {
    collect();
    if (stamps_.empty())
        return false;
    stamp = stamps_.front();
    stamps_.pop_front();
    return true;
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
