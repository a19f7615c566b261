#include <netring_asio/detail/some_packets.hpp>
#include <netring_asio/packet/packet_owner.hpp>

#include <utility>

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

void keep_only(std::vector<packet_view> const& kept, packet_batch& batch) {
    if (kept.size() == batch.size())
        return;
    if (kept.empty())
        return batch.reset();
    auto const info = batch.info();
    auto* const packets = new some_packets{std::move(batch), kept};
    batch = packet_batch{packets->packets(), packet_owner_ptr{packets}, info};
}

} // namespace netring_asio::detail
