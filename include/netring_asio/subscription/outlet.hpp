#pragma once

#include <netring_asio/subscription/options.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

namespace netring_asio::subscription {

/// Counters of one subscription. All but `kept` only grow.
struct subscription_statistics {
    std::uint64_t evaluated = 0; ///< how often its expression was looked at
    std::uint64_t matched = 0;   ///< frames, connections or messages that it held of
    std::uint64_t delivered = 0; ///< of these, taken by the consumer or waiting for it
    std::uint64_t dropped = 0;   ///< of these, lost because the consumer did not keep up
    std::uint64_t pinned = 0;    ///< frames delivered without a copy
    std::uint64_t promoted = 0;  ///< frames delivered as copies, as the source's pin budget was used up
    std::uint64_t cached = 0;    ///< frames kept until their connection was decided
    std::uint64_t given_up = 0;  ///< connections that were not decided within the bounds
};

/// Where the items of a subscription wait for their consumer.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe; the engine fills it while it tracks.
class any_outlet {
public:
    any_outlet(any_outlet const&) = delete;
    any_outlet& operator=(any_outlet const&) = delete;
    virtual ~any_outlet() = default;

    subscription_statistics const& statistics() const noexcept { return statistics_; }
    /// Nothing more is to be read from the source before something is taken.
    virtual bool wants_pause() const noexcept = 0;
    virtual bool empty() const noexcept = 0;

    /// For what delivers to somebody; called after something came in.
    virtual void notify() {}

protected:
    any_outlet() = default;
    subscription_statistics statistics_;

private:
    friend class engine;
    std::uint32_t slot_ = 0;
    bool touched_ = false;
};

template <class Options>
class outlet : public any_outlet {
public:
    using options_type = Options;
    using item_type = typename Options::item_type;

    explicit outlet(Options options)
        : options_{std::move(options)} {}

    Options const& options() const noexcept { return options_; }
    bool empty() const noexcept override { return first_ == items_.size(); }
    std::size_t size() const noexcept { return items_.size() - first_; }
    bool wants_pause() const noexcept override {
        return options_.when_full() == overflow::pause && size() >= options_.max_waiting();
    }

    /// Exchanges what waits for an empty list, whose memory is used for what comes next. Returns how many items were
    /// dropped since the last call.
    std::uint64_t take(std::vector<item_type>& items) {
        items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(std::exchange(first_, 0)));
        items.clear();
        items_.swap(items);
        return statistics_.dropped - std::exchange(told_, statistics_.dropped);
    }

private:
    friend class engine;

    void push(item_type item) {
        ++statistics_.matched;
        if (size() >= options_.max_waiting() && options_.when_full() != overflow::pause) {
            ++statistics_.dropped;
            if (options_.when_full() == overflow::drop_newest || size() == 0)
                return;
            --statistics_.delivered;
            items_[first_++] = {};
            if (first_ > options_.max_waiting())
                items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(std::exchange(first_, 0)));
        }
        ++statistics_.delivered;
        if constexpr (requires { item.frame; })
            ++(item.frame.copied() ? statistics_.promoted : statistics_.pinned);
        items_.push_back(std::move(item));
    }

    Options options_;
    std::vector<item_type> items_;
    std::size_t first_ = 0;  // of those that wait
    std::uint64_t told_ = 0; // of those dropped
};

} // namespace netring_asio::subscription
