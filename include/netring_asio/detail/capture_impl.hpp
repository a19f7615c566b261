#pragma once

#include <netring_asio/afpacket/rx_ring.hpp>
#include <netring_asio/detail/channel_message.hpp>
#include <netring_asio/detail/receive_op.hpp>
#include <netring_asio/detail/receive_steps.hpp>
#include <netring_asio/detail/spinner.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/take_result.hpp>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <unistd.h>

namespace netring_asio::detail {

/// What a receiving object over a ring, a capture for instance, and its pending operation share.
template <class Executor, class Ring = afpacket::rx_ring>
struct capture_impl : std::enable_shared_from_this<capture_impl<Executor, Ring>> {
    using executor_type = Executor;
    using ring_type = Ring;

    template <class Channel>
    using message_type = channel_message<Channel>;

    explicit capture_impl(Executor const& executor)
        : wake{executor} {}
    template <class Other>
    explicit capture_impl(capture_impl<Other, Ring>&& other)
        : ring{std::move(other.ring)}
        , wake{std::move(other.wake)}
        , watched{other.watched}
        , spin{other.spin}
        , retained{std::move(other.retained)} {}

    Executor get_executor() noexcept { return wake.get_executor(); }

    void watch(std::chrono::nanoseconds spin_limit, error_code& ec) {
        if (ec)
            return;
        spin = spinner{spin_limit};
        watch_ring(ec);
        if (ec)
            ring.close();
    }

    /// Has the reactor look after what the ring says to wait for. The descriptor is a duplicate: the ring outlives the
    /// reactor where batches do.
    void watch_ring(error_code& ec) {
        auto const handle = ring.wait_handle();
        if (wake.is_open() && handle == watched)
            return;
        error_code ignored;
        wake.close(ignored);
        if (int const duplicate = ring.duplicate_wait_handle(ec); !ec)
            if (wake.assign(duplicate, ec); ec)
                ::close(duplicate);
        watched = handle;
    }

    void rejudge_retained() {
        if (!retained.empty())
            retained = ring.judge(std::move(retained));
    }

    void cancel() {
        ++cancels;
        error_code ignored;
        wake.cancel(ignored);
        pipe_cancellation.emit(boost::asio::cancellation_type::all);
    }

    void close() {
        ++cancels;
        error_code ignored;
        wake.close(ignored);
        pipe_cancellation.emit(boost::asio::cancellation_type::all);
        retained.reset();
        ring.close();
    }

    error_code begin_receiving() noexcept {
        if (!ring.is_open())
            return error::not_open;
        if (std::exchange(receiving, true))
            return error::operation_in_progress;
        return {};
    }

    take_result take(packet_batch& batch) {
        if (retained.empty())
            return ring.take(batch);
        batch = std::move(retained);
        return take_result::taken;
    }

    std::size_t receive(packet_batch& batch, std::chrono::nanoseconds limit, error_code& ec) {
        batch.reset();
        if (receiving) {
            ec = error::operation_in_progress;
            return 0;
        }
        if (retained.empty())
            return ring.receive(batch, limit, ec);
        ec = {};
        batch = std::move(retained);
        return batch.size();
    }

    template <class Handler>
    void fill(Handler&& handler) {
        start_receive(this->shared_from_this(), pipe_step{}, std::forward<Handler>(handler));
    }

    template <class Channel>
    message_type<Channel> take_message() {
        return make_channel_message<Channel>(std::exchange(retained, {}));
    }

    void count_discarded(std::size_t packets) noexcept { ring.count_discarded(packets); }

    Ring ring;
    boost::asio::posix::basic_stream_descriptor<Executor> wake;
    int watched = -1; // what `wake` is a duplicate of
    spinner spin;
    packet_batch retained; // taken already, delivered first by the next operation
    std::vector<owned_packet> spare;
    boost::asio::cancellation_signal pipe_cancellation;
    unsigned cancels = 0; // an operation that sees it change was cancelled
    bool receiving = false;
};

/// Splits the next packet off; false at the end of a `packets()` view.
template <class Impl>
struct next_packet {
    std::shared_ptr<Impl> impl;
    std::chrono::nanoseconds limit;

    bool operator()(packet_batch& packet) {
        packet.reset();
        packet_batch batch;
        error_code ec;
        if (impl->receive(batch, limit, ec) == 0) {
            if (ec == error::timed_out || ec == error::not_open)
                return false;
            throw system_error{ec, "packets"};
        }
        packet = batch.split(1);
        impl->retained = std::move(batch);
        return true;
    }
};

} // namespace netring_asio::detail
