#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <deque>
#include <utility>

namespace live_view {

/// A map that forgets what came in first when it is full.
template <class Key, class Value, class Hash = boost::hash<Key>>
class bounded_map {
public:
    explicit bounded_map(std::size_t capacity)
        : capacity_{capacity} {}

    void put(Key const& key, Value value) {
        if (!values_.insert_or_assign(key, std::move(value)).second)
            return;
        order_.push_back(key);
        if (order_.size() > capacity_) {
            values_.erase(order_.front());
            order_.pop_front();
        }
    }
    Value const* find(Key const& key) const {
        auto const at = values_.find(key);
        return at == values_.end() ? nullptr : &at->second;
    }

private:
    std::size_t capacity_;
    boost::unordered_flat_map<Key, Value, Hash> values_;
    std::deque<Key> order_;
};

} // namespace live_view
