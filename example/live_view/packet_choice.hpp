#pragma once

#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/subscription/engine.hpp>

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace live_view {

/// Picks out of batches what an expression over packets, connections and messages asks for: of a connection all
/// packets, its first one included, once it is known that the expression holds.
class packet_choice {
public:
    explicit packet_choice(netring_asio::subscription::expression wanted)
        : chosen_{engine_.subscribe(netring_asio::subscription::packets{std::move(wanted)})} {}

    /// A tcpdump expression of all packets that have to be looked at.
    std::string needed() const { return engine_.needed(); }

    /// The packets are valid until the next call.
    std::span<netring_asio::packet_view const> operator()(netring_asio::packet_batch const& packets) {
        engine_.track(packets, filled_);
        return take();
    }
    /// So much time passed without a packet.
    std::span<netring_asio::packet_view const> operator()(std::chrono::nanoseconds elapsed) {
        engine_.pass(elapsed);
        if (auto const now = engine_.now())
            engine_.advance(*now + elapsed, filled_);
        return take();
    }

private:
    std::span<netring_asio::packet_view const> take() {
        filled_.clear();
        chosen_->take(items_);
        views_.clear();
        for (auto const& item : items_)
            views_.push_back(*item.frame);
        return views_;
    }

    netring_asio::subscription::engine engine_;
    netring_asio::subscription::engine::event_list filled_;
    std::shared_ptr<netring_asio::subscription::outlet<netring_asio::subscription::packets>> chosen_;
    std::vector<netring_asio::subscription::packet> items_;
    std::vector<netring_asio::packet_view> views_;
};

} // namespace live_view
