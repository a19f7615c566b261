#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/detail/channel_message.hpp>
#include <netring_asio/detail/owned_packets.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/pcap/reader.hpp>
#include <netring_asio/pcap_source_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace netring_asio::pcap::detail {
class playback;
}

namespace netring_asio {

/// What a source did since it was opened. Totals never go back.
struct pcap_source_statistics : pcap::reader_statistics {
    std::uint64_t discarded = 0; ///< packets lost in a batch that a channel destroyed when a pipe was cancelled
};

} // namespace netring_asio

namespace netring_asio::detail {

/// The part of a `basic_pcap_source` that its operations share; compiled once, whatever the executor.
class NETRING_ASIO_API pcap_source_impl : public std::enable_shared_from_this<pcap_source_impl> {
public:
    using clock = std::chrono::steady_clock;
    using executor_type = boost::asio::any_io_executor;
    template <class Channel>
    using message_type = channel_message<Channel>;

    explicit pcap_source_impl(boost::asio::any_io_executor const& executor);
    ~pcap_source_impl();

    void open(pcap_source_options const& options, error_code& ec);
    void assign(int descriptor, pcap_source_options const& options, error_code& ec);
    [[noreturn]] static void throw_open_error(error_code ec, pcap_source_options const& options);
    bool is_open() const noexcept { return playback_ != nullptr; }
    void cancel() noexcept;
    void close() noexcept;

    pcap_source_options const& options() const noexcept { return options_; }
    pcap_source_statistics statistics() const noexcept;
    std::optional<link_type> link() const noexcept;

    bool try_receive(packet_batch& batch);
    std::size_t receive(packet_batch& batch, std::size_t most, std::chrono::nanoseconds limit, error_code& ec);

    executor_type get_executor() noexcept { return timer_.get_executor(); }
    error_code begin_receiving() noexcept;

    /// Whether the operation can complete now, with packets to take or with an error.
    bool ready(error_code& ec);
    /// Calls `op` when what `ready` found lacking may be there.
    template <class Op>
    void wait(Op&& op) {
        switch (lack_) {
        case lack::time:
            return timer_.async_wait(std::forward<Op>(op));
        case lack::input:
            return doorbell_.async_wait(boost::asio::posix::descriptor_base::wait_read, std::forward<Op>(op));
        case lack::turn:
            return boost::asio::post(timer_.get_executor(), std::forward<Op>(op));
        }
    }

    void prepare(void*) noexcept {}
    void prepare(packet_batch* batch) noexcept { batch->reset(); }
    void prepare(std::vector<owned_packet>* packets) { resize_packets(*packets, 0, spare_); }
    std::size_t take(packet_batch& batch);
    std::size_t take(std::vector<owned_packet>& packets);

    /// For `async_pipe`: waits for packets, after which the object is still receiving.
    template <class Handler>
    void fill(Handler&& handler);
    template <class Channel>
    message_type<Channel> take_message() {
        packet_batch batch;
        take(batch);
        return make_channel_message<Channel>(std::move(batch));
    }
    void count_discarded(std::size_t packets) noexcept { discarded_.fetch_add(packets, std::memory_order_relaxed); }

    boost::asio::cancellation_signal pipe_cancellation;
    unsigned cancels = 0; // an operation that sees it change was cancelled
    bool receiving = false;

private:
    enum class lack : std::uint8_t { time, input, turn };

    boost::asio::steady_timer timer_;
    boost::asio::posix::stream_descriptor doorbell_; // an eventfd, rung by the thread that reads a pipe
    pcap_source_options options_;
    std::unique_ptr<pcap::detail::playback> playback_;
    pcap::reader_statistics closed_;  // of what was closed
    std::vector<owned_packet> spare_; // memory of packets that the caller's vector had no place for
    std::atomic<std::uint64_t> discarded_{0};
    lack lack_ = lack::turn;
};

} // namespace netring_asio::detail
