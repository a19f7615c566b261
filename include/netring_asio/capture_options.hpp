#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/detail/spinner.hpp>
#include <netring_asio/fanout.hpp>
#include <netring_asio/link_down_policy.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace netring_asio {

/// Ready-made geometry of the receive ring. The longest a packet waits for its block is the block timeout.
enum class capture_profile : std::uint8_t {
    balanced,   ///< 128 blocks of 256 KiB, 5 ms (32 MiB)
    throughput, ///< 64 blocks of 1 MiB, 10 ms (64 MiB): fewest wake-ups per packet
    low_memory, ///< 16 blocks of 128 KiB, 10 ms (2 MiB)
    jumbo,      ///< 32 blocks of 4 MiB, 10 ms (128 MiB): frames of any offload size, BIG TCP included
    /// 128 blocks of 64 KiB (8 MiB) cut into slots of one packet each (TPACKET_V2), which is there as soon as it is
    /// stored: no block timeout. Costs a wake-up for each packet that comes alone, see `latency_budget`. A slot holds
    /// the MTU; longer frames, as offloads make them, are truncated. Not for all interfaces at once, nor with
    /// `rx_hash`.
    low_latency,
};

/// Which clock stamps packets.
enum class timestamp_source : std::uint8_t {
    software, ///< the kernel's real-time clock
    hardware, ///< the device's clock, switched on for all received packets; `error::unsupported_option` without one
};

/// How a capture is opened. Every setting has a default that works; values are checked by `open`.
class NETRING_ASIO_API capture_options {
public:
    /// Captures from the interface of this name; "any" captures from all, as Linux cooked packets.
    explicit capture_options(std::string interface_name)
        : interface_name_{std::move(interface_name)} {}
    /// Captures from the interface of this kernel index.
    explicit capture_options(int interface_index) noexcept
        : interface_index_{interface_index} {}

    capture_options& interface_name(std::string value) {
        interface_name_ = std::move(value);
        return *this;
    }
    capture_options& interface_index(int value) noexcept {
        interface_index_ = value;
        return *this;
    }
    /// Sets block size, count and timeout together, and whether the ring has slots in its blocks.
    capture_options& profile(capture_profile value) noexcept;
    /// Bytes in a block: a multiple of the page size. A packet longer than its block is truncated.
    capture_options& block_size(std::size_t value) noexcept {
        block_size_ = value;
        return *this;
    }
    /// Blocks in the ring, at least 2.
    capture_options& block_count(std::size_t value) noexcept {
        block_count_ = value;
        return *this;
    }
    /// The fewest blocks to accept where the kernel lacks memory for `block_count`; by default a quarter of it.
    /// `capture::options()` tells how many there are.
    capture_options& minimum_block_count(std::size_t value) noexcept {
        minimum_block_count_ = value;
        return *this;
    }
    /// The longest that a packet waits in a block that is not full, in whole milliseconds up to a minute; 0 lets the
    /// kernel choose by the speed of the link. Kernels before 6.18 round up to their timer tick.
    capture_options& block_timeout(std::chrono::milliseconds value) noexcept {
        block_timeout_ = value;
        return *this;
    }
    /// With the profile `low_latency`: how long packets may be collected while they keep coming, so that the receiver
    /// is woken for many at once; none by default. A packet after a pause is received at once. Timers wake expensively
    /// in virtual machines: below some 200 microseconds there is nothing to gain.
    capture_options& latency_budget(std::chrono::microseconds value) noexcept {
        latency_budget_ = value;
        return *this;
    }
    /// Blocks, or batches of slots with `low_latency`, that frames may pin at once; above it `hold` copies. By default
    /// half of the blocks. A block that is still pinned when the ring comes round to it moves out of the kernel's way,
    /// to memory of its own at the same address, and counts until it is released.
    capture_options& pin_budget(std::size_t blocks) noexcept {
        pin_budget_ = blocks;
        return *this;
    }
    /// Captures only what this tcpdump expression accepts (pcap-filter(7)), evaluated with VLAN tags in place.
    /// Compiled by `open`, for the link type of the interface.
    capture_options& filter(std::string expression) {
        filter_expression_ = std::move(expression);
        return *this;
    }
    /// Bytes to capture of each packet, at least 1.
    capture_options& snap_length(std::uint32_t value) noexcept {
        snap_length_ = value;
        return *this;
    }
    /// Receives frames for other hosts too, while the capture is open.
    capture_options& promiscuous(bool value) noexcept {
        promiscuous_ = value;
        return *this;
    }
    /// Receives all multicast frames, while the capture is open.
    capture_options& all_multicast(bool value) noexcept {
        all_multicast_ = value;
        return *this;
    }
    /// Leaves out packets that this host sends (Linux 4.20).
    capture_options& ignore_outgoing(bool value) noexcept {
        ignore_outgoing_ = value;
        return *this;
    }
    /// Has the kernel compute the flow hash, `packet_view::rx_hash`.
    capture_options& rx_hash(bool value) noexcept {
        rx_hash_ = value;
        return *this;
    }
    /// Has the kernel describe offloaded frames in full, `packet_view::offload`. Frames it cannot describe are dropped.
    capture_options& offload_details(bool value) noexcept {
        offload_details_ = value;
        return *this;
    }
    capture_options& timestamps(timestamp_source value) noexcept {
        timestamps_ = value;
        return *this;
    }
    /// Polls the device for this long before sleeping (SO_BUSY_POLL, whole microseconds; more than the system's default
    /// needs CAP_NET_ADMIN).
    capture_options& busy_poll(std::chrono::microseconds value) noexcept {
        busy_poll_ = value;
        return *this;
    }
    /// Prefers busy polling to interrupts (SO_PREFER_BUSY_POLL), taking up to `budget` packets a poll (0: the default).
    capture_options& prefer_busy_poll(std::uint16_t budget = 0) noexcept {
        prefer_busy_poll_ = budget;
        return *this;
    }
    /// Has asynchronous receives look in the ring for this long before they sleep, while that pays; `spin_always` for
    /// ever. Waking up costs more than the packet, so this is for latency, with `low_latency`: a block is not there
    /// before its timeout however one looks. Other handlers of the context have their turn in between. It costs all the
    /// CPU time that there is until the limit; for `io_context::poll`, which does not return while there is anything to
    /// do, it is work.
    capture_options& spin(std::chrono::nanoseconds limit) noexcept {
        spin_ = limit;
        return *this;
    }
    capture_options& fanout(fanout_options value) {
        fanout_ = std::move(value);
        return *this;
    }
    /// Captures in another network namespace: a name below /run/netns, or a path such as /proc/PID/ns/net.
    /// Needs CAP_SYS_ADMIN there.
    capture_options& network_namespace(std::string name_or_path) {
        network_namespace_ = std::move(name_or_path);
        return *this;
    }
    capture_options& on_link_down(link_down_policy value) noexcept {
        on_link_down_ = value;
        return *this;
    }

    std::string const& interface_name() const noexcept { return interface_name_; }
    int interface_index() const noexcept { return interface_index_; }
    std::size_t block_size() const noexcept { return block_size_; }
    std::size_t block_count() const noexcept { return block_count_; }
    std::size_t minimum_block_count() const noexcept {
        return minimum_block_count_.value_or(std::max<std::size_t>((block_count_ + 3) / 4, 2));
    }
    std::chrono::milliseconds block_timeout() const noexcept { return block_timeout_; }
    bool low_latency() const noexcept { return low_latency_; }
    std::chrono::microseconds latency_budget() const noexcept { return latency_budget_; }
    std::size_t pin_budget() const noexcept { return pin_budget_.value_or(block_count_ / 2); }
    std::string const& filter() const noexcept { return filter_expression_; }
    std::uint32_t snap_length() const noexcept { return snap_length_; }
    bool promiscuous() const noexcept { return promiscuous_; }
    bool all_multicast() const noexcept { return all_multicast_; }
    bool ignore_outgoing() const noexcept { return ignore_outgoing_; }
    bool rx_hash() const noexcept { return rx_hash_; }
    bool offload_details() const noexcept { return offload_details_; }
    timestamp_source timestamps() const noexcept { return timestamps_; }
    std::optional<std::chrono::microseconds> busy_poll() const noexcept { return busy_poll_; }
    std::optional<std::uint16_t> prefer_busy_poll() const noexcept { return prefer_busy_poll_; }
    std::chrono::nanoseconds spin() const noexcept { return spin_; }
    std::optional<fanout_options> const& fanout() const noexcept { return fanout_; }
    std::string const& network_namespace() const noexcept { return network_namespace_; }
    link_down_policy on_link_down() const noexcept { return on_link_down_; }

    /// Whether the options ask for all interfaces at once.
    bool any_interface() const noexcept { return interface_name_ == "any"; }

private:
    std::string interface_name_;
    std::string filter_expression_;
    std::string network_namespace_;
    std::optional<fanout_options> fanout_;
    std::optional<std::size_t> minimum_block_count_;
    std::optional<std::size_t> pin_budget_;
    std::optional<std::chrono::microseconds> busy_poll_;
    std::optional<std::uint16_t> prefer_busy_poll_;
    std::size_t block_size_ = std::size_t{256} << 10;
    std::size_t block_count_ = 128;
    std::chrono::milliseconds block_timeout_{5};
    std::chrono::microseconds latency_budget_{0};
    std::chrono::nanoseconds spin_{0};
    std::uint32_t snap_length_ = 262144;
    int interface_index_ = 0;
    timestamp_source timestamps_ = timestamp_source::software;
    link_down_policy on_link_down_ = link_down_policy::fail;
    bool low_latency_ = false;
    bool promiscuous_ = false;
    bool all_multicast_ = false;
    bool ignore_outgoing_ = false;
    bool rx_hash_ = false;
    bool offload_details_ = false;
};

} // namespace netring_asio
