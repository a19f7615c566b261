#pragma once

#include "name_book.hpp"
#include <netring_asio/flow/event.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace live_view {

/// What addresses sent and received, of those that did most.
class talkers {
public:
    using address = netring_asio::decode::ip_address;

    struct totals {
        std::uint64_t sent = 0;
        std::uint64_t received = 0;
        std::uint64_t flows = 0;
        std::uint64_t bytes() const noexcept { return sent + received; }
    };
    using entry = std::pair<address, totals>;

    void add(netring_asio::flow::event const& flow) {
        add(flow.initiator().address, flow.stats.forward.wire_bytes, flow.stats.reverse.wire_bytes);
        add(flow.responder().address, flow.stats.reverse.wire_bytes, flow.stats.forward.wire_bytes);
    }
    void add(talkers const& others) {
        for (auto const& [who, what] : others.totals_)
            add(who, what.sent, what.received, what.flows);
    }

    /// The greatest first.
    std::vector<entry> top(std::size_t count) const {
        std::vector<entry> all(totals_.begin(), totals_.end());
        auto const middle = all.begin() + static_cast<std::ptrdiff_t>(std::min(count, all.size()));
        std::partial_sort(all.begin(), middle, all.end(), louder);
        all.erase(middle, all.end());
        return all;
    }

private:
    static constexpr std::size_t capacity = 65'536;

    static bool louder(entry const& a, entry const& b) noexcept {
        return a.second.bytes() != b.second.bytes() ? a.second.bytes() > b.second.bytes() : a.first < b.first;
    }

    void add(address const& who, std::uint64_t sent, std::uint64_t received, std::uint64_t flows = 1) {
        auto& t = totals_[who];
        t.sent += sent;
        t.received += received;
        t.flows += flows;
        if (totals_.size() > capacity) {
            auto const kept = top(capacity / 2);
            totals_ = {kept.begin(), kept.end()};
        }
    }

    boost::unordered_flat_map<address, totals, address_hash> totals_;
};

} // namespace live_view
