#include <netring_asio/detail/hand_over.hpp>
#include <netring_asio/detail/some_packets.hpp>
#include <netring_asio/packet/packet_owner.hpp>

#include <algorithm>
#include <numeric>
#include <utility>

namespace netring_asio::detail {
namespace {

/// What a shard that does not look may be owed.
constexpr std::size_t most_in_inbox = 16384;

class handed_packets final : public packet_owner {
public:
    std::vector<owned_packet> packets;
    std::vector<packet_view> views;

private:
    void recycle() noexcept override { delete this; }
};

} // namespace

hand_over_group::hand_over_group(std::size_t count, std::function<void(std::size_t)> wake)
    : wake_{std::move(wake)}
    , inboxes_(count)
    , members_(count)
    , unfinished_{count} {
    std::iota(members_.begin(), members_.end(), std::size_t{0});
}

void hand_over_group::send_to(std::size_t index, owned_packet packet) {
    std::lock_guard const lock{mutex_};
    auto& [packets, closed] = inboxes_[index];
    if (closed || packets.size() == most_in_inbox) {
        ++counted_.lost;
        return;
    }
    packets.push_back(std::move(packet));
    if (packets.size() == 1 && wake_)
        wake_(index);
}

void hand_over_group::send(std::uint32_t place, std::size_t from, owned_packet packet) {
    auto const to = member(place);
    if (to != from) {
        std::lock_guard const lock{mutex_};
        ++counted_.handed;
    }
    send_to(to, std::move(packet));
}

std::size_t hand_over_group::member(std::uint32_t place) const {
    std::lock_guard const lock{mutex_};
    return members_.empty() ? 0 : members_[place % members_.size()];
}

bool hand_over_group::waiting(std::size_t index) const {
    std::lock_guard const lock{mutex_};
    return !inboxes_[index].packets.empty();
}

bool hand_over_group::take(std::size_t index, std::vector<owned_packet>& out) {
    std::lock_guard const lock{mutex_};
    out.swap(inboxes_[index].packets);
    return !out.empty();
}

void hand_over_group::finish() {
    if (--unfinished_ != 0)
        return;
    std::lock_guard const lock{mutex_};
    for (std::size_t i = 0; wake_ && i != inboxes_.size(); ++i)
        wake_(i);
}

void hand_over_group::leave(std::size_t index) {
    std::lock_guard const lock{mutex_};
    auto& [packets, closed] = inboxes_[index];
    closed = true;
    counted_.lost += packets.size();
    packets.clear();
    // As the kernel does it: the last takes the place.
    if (auto const at = std::ranges::find(members_, index); at != members_.end()) {
        *at = members_.back();
        members_.pop_back();
    }
}

void hand_over_group::silence() {
    std::lock_guard const lock{mutex_};
    wake_ = nullptr;
}

hand_over_statistics hand_over_group::statistics() const {
    std::lock_guard const lock{mutex_};
    auto result = counted_;
    result.waited = waited;
    result.unplaced = unplaced;
    return result;
}

void hand_over::sort(packet_batch& batch) {
    kept_.clear();
    for (auto const packet : batch) {
        using enum fragment_router::fate;
        auto const fate = route_(packet);
        for (auto& follower : route_.followers())
            group_->send(route_.place(), index_, std::move(follower));
        if (fate == goes && group_->member(route_.place()) != index_)
            group_->send(route_.place(), index_, owned_packet{packet});
        else if (fate != waits)
            kept_.push_back(packet);
        group_->waited += fate == waits;
        group_->unplaced += fate == unplaced;
    }
    keep(route_.overdue(batch.info().last_time));
    keep_only(kept_, batch);
}

void hand_over::keep(std::vector<owned_packet>& packets) {
    group_->unplaced += packets.size();
    for (auto& packet : packets)
        group_->send_to(index_, std::move(packet));
}

bool hand_over::take(packet_batch& batch) {
    std::vector<owned_packet> packets;
    if (!group_->take(index_, packets))
        return false;
    auto* const handed = new handed_packets;
    packet_owner_ptr const owner{handed};
    handed->packets = std::move(packets);
    handed->views.assign(handed->packets.begin(), handed->packets.end());
    auto const [first, last] = std::ranges::minmax(handed->views, {}, &packet_view::time);
    batch = packet_batch{handed->views, owner, {.first_time = first.time, .last_time = last.time}};
    return true;
}

bool hand_over::finish() {
    if (!std::exchange(finished_, true)) {
        keep(route_.rest());
        group_->finish();
    }
    return group_->finished() && !waiting();
}

void hand_over::leave() {
    if (!std::exchange(finished_, true))
        group_->finish();
    if (!std::exchange(left_, true))
        group_->leave(index_);
}

} // namespace netring_asio::detail
