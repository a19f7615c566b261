#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <boost/circular_buffer.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>

namespace live_view {

/// Copies of the packets seen last, as many as fit into a given memory.
class packet_history {
public:
    explicit packet_history(std::size_t bytes)
        : capacity_{bytes}
        , memory_{std::make_unique_for_overwrite<std::byte[]>(bytes)}
        , packets_{bytes / typical_size} {}

    void add(netring_asio::packet_view packet) {
        auto const size = packet.data.size();
        if (size > capacity_)
            return;
        if (at_ + size > capacity_) { // what is left of the last lap lies behind the end of this one
            forget(at_, capacity_);
            at_ = 0;
        }
        forget(at_, at_ + size);
        auto* const copy = memory_.get() + at_;
        std::copy(packet.data.begin(), packet.data.end(), copy);
        packet.data = {copy, size};
        packets_.push_back(packet);
        at_ += size;
    }

    /// Oldest first.
    auto begin() const { return packets_.begin(); }
    auto end() const { return packets_.end(); }

private:
    static constexpr std::size_t typical_size = 256;

    void forget(std::size_t from, std::size_t to) {
        while (!packets_.empty()) {
            auto const begin = static_cast<std::size_t>(packets_.front().data.data() - memory_.get());
            if (begin < from || begin >= to)
                return;
            packets_.pop_front();
        }
    }

    std::size_t capacity_;
    std::unique_ptr<std::byte[]> memory_;
    boost::circular_buffer<netring_asio::packet_view> packets_;
    std::size_t at_ = 0;
};

} // namespace live_view
