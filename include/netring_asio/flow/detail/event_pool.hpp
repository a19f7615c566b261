#pragma once

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace netring_asio::flow::detail {

/// Storage of event batches, to be used again. Safe from any thread.
template <class Event>
class event_pool {
public:
    using storage = std::vector<Event>;

    event_pool() { free_.reserve(most); }

    /// Empty storage, with memory if any came back.
    storage take() {
        std::lock_guard const lock{mutex_};
        if (free_.empty())
            return {};
        auto result = std::move(free_.back());
        free_.pop_back();
        return result;
    }

    void give_back(storage used) noexcept {
        used.clear();
        std::lock_guard const lock{mutex_};
        if (used.capacity() != 0 && free_.size() != most)
            free_.push_back(std::move(used));
    }

private:
    static constexpr std::size_t most = 16;
    std::mutex mutex_;
    std::vector<storage> free_;
};

} // namespace netring_asio::flow::detail
