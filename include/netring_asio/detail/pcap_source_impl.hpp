#pragma once

#include <netring_asio/error.hpp>
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/pcap/reader.hpp>
#include <netring_asio/pcap_source_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

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

namespace netring_asio::detail {

/// The part of a `basic_pcap_source` that its operations share; compiled once, whatever the executor.
class pcap_source_impl {
public:
    using clock = std::chrono::steady_clock;

    explicit pcap_source_impl(boost::asio::any_io_executor const& executor);
    ~pcap_source_impl();

    void open(pcap_source_options const& options, error_code& ec);
    void assign(int descriptor, pcap_source_options const& options, error_code& ec);
    [[noreturn]] static void throw_open_error(error_code ec, pcap_source_options const& options);
    bool is_open() const noexcept { return playback_ != nullptr; }
    void cancel() noexcept;
    void close() noexcept;

    pcap_source_options const& options() const noexcept { return options_; }
    pcap::reader_statistics statistics() const noexcept;
    std::optional<link_type> link() const noexcept;

    bool try_receive(packet_batch& batch);
    std::size_t receive(packet_batch& batch, std::size_t limit, std::chrono::nanoseconds timeout, error_code& ec);

    /// Names the operation that begins now; after `cancel` it is no longer current. Fails while another is pending.
    std::uint64_t begin(error_code& ec) noexcept;
    void end(std::uint64_t operation) noexcept {
        if (is_current(operation))
            pending_ = false;
    }
    bool is_current(std::uint64_t operation) const noexcept { return operation == operation_; }

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

    std::size_t take(packet_batch& batch);
    std::size_t take(std::vector<owned_packet>& packets);

private:
    enum class lack : std::uint8_t { time, input, turn };

    boost::asio::steady_timer timer_;
    boost::asio::posix::stream_descriptor doorbell_; // an eventfd, rung by the thread that reads a pipe
    pcap_source_options options_;
    std::unique_ptr<pcap::detail::playback> playback_;
    std::vector<owned_packet> spare_; // memory of packets that the caller's vector had no place for
    std::uint64_t operation_ = 0;
    bool pending_ = false;
    lack lack_ = lack::turn;
};

} // namespace netring_asio::detail
