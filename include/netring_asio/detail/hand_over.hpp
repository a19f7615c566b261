#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/detail/fragment_router.hpp>
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace netring_asio {

/// What became of packets that the kernel could not share out by ports (`fanout_mode::flows`).
struct hand_over_statistics {
    std::uint64_t handed = 0;   ///< to the shard of their flow
    std::uint64_t waited = 0;   ///< of these and of `unplaced`: for the first fragment of their datagram
    std::uint64_t unplaced = 0; ///< stayed where they came: no first fragment came with their ports
    std::uint64_t lost = 0;     ///< because the shard of their flow did not keep up, or was closed
};

namespace detail {

/// Packets on the way between the shards of a group. Safe from any thread.
class NETRING_ASIO_API hand_over_group {
public:
    /// `wake(index)`, called on any thread, has a shard look for packets.
    hand_over_group(std::size_t count, std::function<void(std::size_t)> wake);

    /// To the member that the kernel chooses for a place.
    void send(std::uint32_t place, std::size_t from, owned_packet packet);
    void send_to(std::size_t index, owned_packet packet);
    bool waiting(std::size_t index) const;
    bool take(std::size_t index, std::vector<owned_packet>& out);
    std::size_t member(std::uint32_t place) const;

    /// Nothing more comes from one of the shards.
    void finish();
    bool finished() const noexcept { return unfinished_ == 0; }
    /// A shard left the group of the kernel.
    void leave(std::size_t index);
    /// Wakes nobody from here on.
    void silence();
    hand_over_statistics statistics() const;

    std::atomic<std::uint64_t> waited{0};
    std::atomic<std::uint64_t> unplaced{0};

private:
    struct inbox {
        std::vector<owned_packet> packets;
        bool closed = false;
    };

    mutable std::mutex mutex_;
    std::function<void(std::size_t)> wake_;
    std::vector<inbox> inboxes_;
    std::vector<std::size_t> members_; // in the kernel's order
    hand_over_statistics counted_;
    std::atomic<std::size_t> unfinished_;
};

/// The part of one shard, for its thread.
class NETRING_ASIO_API hand_over {
public:
    hand_over(std::shared_ptr<hand_over_group> group, std::size_t index)
        : group_{std::move(group)}
        , index_{index} {}

    /// Hands on what belongs elsewhere, and leaves the rest.
    void sort(packet_batch& batch);
    bool waiting() const { return group_->waiting(index_); }
    /// What the others handed over.
    bool take(packet_batch& batch);
    /// Says that nothing more comes from this shard; returns whether nothing comes to it any more.
    bool finish();
    void leave();

private:
    void keep(std::vector<owned_packet>& packets);

    std::shared_ptr<hand_over_group> group_;
    std::size_t index_;
    fragment_router route_;
    std::vector<packet_view> kept_;
    bool finished_ = false;
    bool left_ = false;
};

} // namespace detail
} // namespace netring_asio
