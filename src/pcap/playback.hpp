#pragma once

#include "pipe_feed.hpp"
#include <netring_asio/pcap/reader.hpp>
#include <netring_asio/pcap_source_options.hpp>

#include <chrono>
#include <optional>

namespace netring_asio::pcap::detail {

/// The packets of a file or pipe and the times at which they are due.
class playback {
public:
    using clock = std::chrono::steady_clock;

    /// What stands between a receive and its packets.
    enum class outlook {
        packets,   ///< nothing: `take` them
        end,       ///< there are no more; the error code says why
        not_due,   ///< the next packet is due at `due()`
        no_input,  ///< the writer of the pipe; the doorbell will ring
        look_again ///< more work than one step may do: give others their turn
    };

    /// With a doorbell, an eventfd, the descriptor is a pipe.
    playback(netring_asio::detail::unique_descriptor descriptor, pcap_source_options const& options,
             std::optional<int> doorbell, error_code& ec);

    outlook look(error_code& ec);
    clock::time_point due() const noexcept { return due_; }

    /// The packets that are due, but at most `limit`. To be called when `look` said `packets`.
    packet_batch take(std::size_t limit = static_cast<std::size_t>(-1));

    reader_statistics statistics() const noexcept { return feed_ ? feed_->statistics() : reader_.statistics(); }
    std::optional<link_type> link() const noexcept { return feed_ ? feed_->link() : reader_.link(); }

private:
    bool paced() const noexcept { return speed_.has_value(); }
    void schedule(timestamp time) noexcept;

    std::optional<double> speed_;
    std::chrono::nanoseconds max_gap_;
    reader reader_;                 // of a file
    std::optional<pipe_feed> feed_; // or pipe
    packet_batch current_;          // read and not taken
    bool started_ = false;
    timestamp time_{}; // of the packet that is due next,
    clock::time_point due_{};
};

} // namespace netring_asio::pcap::detail
