#pragma once

#include "../detail/unique_descriptor.hpp"
#include <netring_asio/pcap/reader.hpp>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace netring_asio::pcap::detail {

/// Reads a pipe on a thread of its own, some batches ahead. Destruction ends the thread, also while the pipe is silent.
class pipe_feed {
public:
    /// `doorbell` is an eventfd that is rung when there is something to pop, and must outlive the feed.
    pipe_feed(netring_asio::detail::unique_descriptor descriptor, reader_options const& options, std::size_t read_ahead,
              int doorbell);

    /// The next batch, or none and the error that ended the pipe (`eof`), or none and no error: wait for the doorbell.
    bool pop(packet_batch& batch, error_code& ec);

    reader_statistics statistics() const noexcept { return reader_.statistics(); }
    std::optional<link_type> link() const noexcept { return reader_.link(); }

private:
    void run(std::stop_token const& stop, int descriptor, reader_options options) noexcept;
    void push(std::stop_token const& stop, packet_batch batch);

    int const doorbell_;
    reader reader_;
    std::mutex mutex_;
    std::condition_variable_any popped_;
    std::vector<packet_batch> ring_;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    error_code end_; // what comes after the last batch
    std::jthread thread_;
};

} // namespace netring_asio::pcap::detail
