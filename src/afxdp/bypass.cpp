#include "../detail/unique_descriptor.hpp"
#include "bypass_code.hpp"
#include <netring_asio/afxdp/bypass.hpp>

#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <deque>
#include <utility>

#include <bpf/bpf.h>

namespace netring_asio::afxdp {
namespace {

using detail::bypass_direction;
using detail::bypass_times;

struct key_hash {
    std::size_t operator()(bypass_key const& k) const noexcept {
        std::size_t seed = 0;
        boost::hash_range(seed, k.source.begin(), k.source.end());
        boost::hash_range(seed, k.destination.begin(), k.destination.end());
        boost::hash_combine(seed, k.source_port);
        boost::hash_combine(seed, k.destination_port);
        boost::hash_combine(seed, k.protocol);
        return seed;
    }
};

bypass_key turned(bypass_key const& k) noexcept {
    return {k.destination, k.source, k.destination_port, k.source_port, k.protocol};
}

/// The same for both directions.
bypass_key one_way(bypass_key const& k) noexcept {
    auto const order = [](bypass_key const& x) { return std::pair{x.source, x.source_port}; };
    auto const other = turned(k);
    return order(k) <= order(other) ? k : other;
}

bypass_direction direction(bypass_key const& k) noexcept {
    auto const high = [](std::uint16_t port) { return static_cast<std::uint8_t>(port >> 8); };
    auto const low = [](std::uint16_t port) { return static_cast<std::uint8_t>(port & 0xff); };
    return {k.source,
            k.destination,
            {high(k.source_port), low(k.source_port), high(k.destination_port), low(k.destination_port)},
            k.protocol,
            {}};
}

/// As the program reads it: CLOCK_MONOTONIC.
std::uint64_t monotonic_now() noexcept {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                                      std::chrono::nanoseconds{1});
}

} // namespace

class bypass::state {
public:
    state(netring_asio::detail::unique_descriptor map, std::size_t connections)
        : map_{std::move(map)}
        , most_{connections} {}

    int map() const noexcept { return map_.get(); }
    std::size_t size() const noexcept { return keys_.size(); }
    void forget_after(std::chrono::nanoseconds value) noexcept { forget_after_ = value; }

    bool add(bypass_key const& connection, std::chrono::nanoseconds lifetime) {
        auto const key = one_way(connection);
        make_room();
        if (!keys_.contains(key)) {
            if (keys_.size() >= most_)
                return false;
            keys_.emplace(key, ++added_);
            order_.emplace_back(key, added_);
        }
        auto const at = monotonic_now();
        bypass_times const times{at + static_cast<std::uint64_t>(std::max<std::int64_t>(lifetime.count(), 0)), at};
        for (auto const& way : {direction(key), direction(turned(key))})
            if (bpf_map_update_elem(map_.get(), &way, &times, BPF_ANY) != 0) {
                remove(key);
                return false;
            }
        return true;
    }

    void remove(bypass_key const& connection) noexcept {
        auto const key = one_way(connection);
        if (keys_.erase(key) != 0)
            take_out(key);
    }

    void clear() noexcept {
        for (auto const& [key, number] : keys_)
            take_out(key);
        keys_.clear();
        order_.clear();
    }

    void stop() noexcept {
        for (auto const& [key, number] : keys_)
            for (auto const& way : {direction(key), direction(turned(key))})
                if (bypass_times times{}; bpf_map_lookup_elem(map_.get(), &way, &times) == 0 && times.until != 0) {
                    times.until = 0;
                    bpf_map_update_elem(map_.get(), &way, &times, BPF_EXIST);
                }
    }

    std::optional<passing> find(bypass_key const& connection) const noexcept {
        if (!keys_.contains(one_way(connection)))
            return std::nullopt;
        bypass_times latest{};
        for (auto const& way : {direction(connection), direction(turned(connection))})
            if (bypass_times times{}; bpf_map_lookup_elem(map_.get(), &way, &times) == 0)
                latest = {std::max(latest.until, times.until), std::max(latest.last, times.last)};
        auto const at = monotonic_now();
        return passing{std::chrono::nanoseconds{static_cast<std::int64_t>(at - std::min(at, latest.last))},
                       latest.until == 0};
    }

private:
    void take_out(bypass_key const& key) noexcept {
        for (auto const& way : {direction(key), direction(turned(key))})
            bpf_map_delete_elem(map_.get(), &way);
    }

    /// Looks at the two that were looked at longest ago, or at more where there is no room.
    void make_room() {
        auto const tries = std::min<std::size_t>(order_.size(), keys_.size() < most_ ? 2 : 16);
        for (std::size_t i = 0; i != tries; ++i) {
            auto const oldest = order_.front();
            order_.pop_front();
            if (auto const found = keys_.find(oldest.first); found == keys_.end() || found->second != oldest.second)
                continue;
            if (find(oldest.first)->ago < forget_after_)
                order_.push_back(oldest);
            else
                remove(oldest.first);
        }
    }

    netring_asio::detail::unique_descriptor map_;
    std::size_t most_;
    std::chrono::nanoseconds forget_after_ = std::chrono::minutes{5};
    boost::unordered_flat_map<bypass_key, std::uint64_t, key_hash> keys_; // which was added so many-th
    std::deque<std::pair<bypass_key, std::uint64_t>> order_;              // also some that were taken out since
    std::uint64_t added_ = 0;
};

bypass::bypass() noexcept = default;
bypass::bypass(bypass&&) noexcept = default;
bypass& bypass::operator=(bypass&&) noexcept = default;
bypass::~bypass() = default;

void bypass::open(std::size_t connections, error_code& ec) {
    ec = {};
    if (connections == 0 || connections > std::size_t{1} << 24) {
        ec = error::invalid_option;
        return;
    }
    netring_asio::detail::unique_descriptor map{bpf_map_create(BPF_MAP_TYPE_HASH, "bypass", sizeof(bypass_direction),
                                                               sizeof(bypass_times),
                                                               static_cast<std::uint32_t>(2 * connections), nullptr)};
    if (!map) {
        ec =
            errno == EPERM ? error_code{error::missing_privilege} : error_code{errno, boost::system::system_category()};
        return;
    }
    state_ = std::make_unique<state>(std::move(map), connections);
}

int bypass::native_handle() const noexcept { return state_ ? state_->map() : -1; }
bool bypass::add(bypass_key const& connection, std::chrono::nanoseconds lifetime) {
    return state_ && state_->add(connection, lifetime);
}
void bypass::forget_after(std::chrono::nanoseconds value) noexcept {
    if (state_)
        state_->forget_after(value);
}
void bypass::remove(bypass_key const& connection) noexcept {
    if (state_)
        state_->remove(connection);
}
void bypass::clear() noexcept {
    if (state_)
        state_->clear();
}
void bypass::stop() noexcept {
    if (state_)
        state_->stop();
}
std::optional<bypass::passing> bypass::find(bypass_key const& connection) const noexcept {
    return state_ ? state_->find(connection) : std::nullopt;
}
std::size_t bypass::size() const noexcept { return state_ ? state_->size() : 0; }

} // namespace netring_asio::afxdp
