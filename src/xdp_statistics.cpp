#include <netring_asio/xdp_statistics.hpp>

namespace netring_asio {

xdp_statistics& xdp_statistics::operator+=(xdp_statistics const& other) noexcept {
    received += other.received;
    received_bytes += other.received_bytes;
    dropped_ring_full += other.dropped_ring_full;
    dropped_no_frame += other.dropped_no_frame;
    fill_ring_empty += other.fill_ring_empty;
    dropped_invalid += other.dropped_invalid;
    passed += other.passed;
    passed_no_queue += other.passed_no_queue;
    passed_bypassed += other.passed_bypassed;
    copied += other.copied;
    discarded += other.discarded;
    bad_addresses += other.bad_addresses;
    unfinished_checksums += other.unfinished_checksums;
    committed += other.committed;
    in_place += other.in_place;
    taken += other.taken;
    rejected += other.rejected;
    tx_invalid += other.tx_invalid;
    kicks += other.kicks;
    would_block += other.would_block;
    wakeups += other.wakeups;
    held_frames += other.held_frames;
    pinned_frames += other.pinned_frames;
    return *this;
}

} // namespace netring_asio
