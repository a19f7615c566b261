#include <netring_asio/bridge.hpp>

#include <algorithm>
#include <cstddef>

namespace netring_asio {

std::span<std::byte> bridge_packet::modify() {
    if (!copied_)
        resize(view_.data.size());
    return {copy_.data(), view_.data.size()};
}

void bridge_packet::resize(std::size_t size) {
    auto const old = view_.data;
    copy_.resize(std::max(copy_.size(), size));
    auto const kept = std::min(size, old.size());
    if (!copied_)
        std::ranges::copy(old.first(kept), copy_.begin());
    std::fill(copy_.begin() + static_cast<std::ptrdiff_t>(kept), copy_.begin() + static_cast<std::ptrdiff_t>(size),
              std::byte{});
    view_.data = {copy_.data(), size};
    view_.wire_length = static_cast<std::uint32_t>(size);
    copied_ = true;
}

capture_options bridge_options::receiving(bridge_side side) const {
    return capture_options{interface_name(side)}
        .network_namespace(network_namespace(side))
        .block_size(block_size_)
        .block_count(block_count_)
        .block_timeout(block_timeout_)
        .promiscuous(true)
        .ignore_outgoing(true)
        .offload_details(true)
        .on_link_down(on_link_down_);
}

injector_options bridge_options::sending(bridge_side side) const {
    // Frames for an interface that is down are lost as on a cable that was pulled, not sent when they are old.
    auto const policy = on_link_down_ == link_down_policy::wait_until_up ? link_down_policy::fail : on_link_down_;
    return injector_options{interface_name(side)}
        .network_namespace(network_namespace(side))
        .frame_count(frame_count_)
        .qdisc_bypass(qdisc_bypass_)
        .offload(true)
        .on_link_down(policy);
}

template class basic_bridge<>;

} // namespace netring_asio
