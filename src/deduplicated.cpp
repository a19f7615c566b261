#include <netring_asio/deduplicated.hpp>
#include <netring_asio/packet/packet_owner.hpp>

#include <memory>

namespace netring_asio::detail {
namespace {

/// Some packets of a batch, which lives as long as they do.
class some_packets final : public packet_owner {
public:
    some_packets(packet_batch whole, std::vector<packet_view> kept) noexcept
        : whole_{std::move(whole)}
        , kept_{std::move(kept)} {}
    std::span<packet_view const> packets() const noexcept { return kept_; }

private:
    void recycle() noexcept override { delete this; }

    packet_batch whole_;
    std::vector<packet_view> kept_;
};

} // namespace

void dedup_pass::operator()(packet_batch& batch) {
    kept_.clear();
    for (packet_view const& packet : batch)
        if (seen(packet))
            kept_.push_back(packet);
    if (kept_.size() == batch.size())
        return;
    if (kept_.empty())
        return batch.reset();
    auto const info = batch.info();
    packet_owner_ptr const owner{new some_packets{std::move(batch), kept_}};
    batch = packet_batch{static_cast<some_packets&>(*owner).packets(), owner, info};
}

} // namespace netring_asio::detail
