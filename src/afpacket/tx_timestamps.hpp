#pragma once

#include <netring_asio/injector_statistics.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace netring_asio::afpacket::detail {

/// Tells which frame a transmit timestamp of the kernel belongs to (Documentation/networking/timestamping.rst).
///
/// The kernel numbers what it makes a buffer for, and so also the frames that a queueing discipline then refuses and
/// that it makes another for later.
class tx_timestamps {
public:
    /// Off until this is called; `depth` is how many timestamps may wait to be read.
    void enable(std::size_t depth) { frames_.resize(depth); }
    bool enabled() const noexcept { return !frames_.empty(); }

    /// The kernel took the frames from this number up to that.
    void taken(std::uint64_t from, std::uint64_t to) noexcept {
        for (; from != to; ++from)
            frames_[key_ % frames_.size()] = {key_, from}, ++key_;
    }
    /// It made a buffer for a frame that it did not take.
    void refused() noexcept { ++key_; }

    /// Takes the next timestamp from the error queue; false if there is none.
    bool take(int socket, tx_timestamp& stamp) const noexcept;

private:
    struct entry {
        std::uint32_t key;
        std::uint64_t frame;
    };
    std::vector<entry> frames_;
    std::uint32_t key_ = 0;
};

} // namespace netring_asio::afpacket::detail
