#pragma once

#include <netring_asio/capture_options.hpp>
#include <netring_asio/capture_statistics.hpp>
#include <netring_asio/channel.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/detail/asio_abi.hpp>
#include <netring_asio/detail/capture_impl.hpp>
#include <netring_asio/detail/packet_range.hpp>
#include <netring_asio/detail/pipe_op.hpp>
#include <netring_asio/packet_source.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution_context.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <utility>

namespace netring_asio {

/// Receives packets from a network interface through a memory-mapped ring (AF_PACKET, TPACKET_V3), as an Asio I/O
/// object.
///
/// Packets come in batches, one block of the ring each, without a copy. Needs CAP_NET_RAW in the network namespace of
/// the interface.
///
/// @par Operations
/// One receiving operation may be pending: `async_wait`, both forms of `async_receive`, `async_pipe`, or a synchronous
/// `receive`. A second completes with `error::operation_in_progress`. What an operation took and could not hand over
/// stays with the object and is delivered by the next.
///
/// @par Racing a receive
/// In `co_await (capture.async_receive(batch, use_awaitable) || timer.async_wait(use_awaitable))` both may finish. The
/// packets are in `batch` whichever branch won, so look there; or race `async_wait`, which takes nothing, and then use
/// `try_receive`.
///
/// @par Cancellation
/// All receiving operations support total cancellation, and so partial and terminal: they complete with
/// `net::error::operation_aborted`, and the packets stay in the ring. A coroutine passes on terminal cancellation only,
/// unless it calls `this_coro::reset_cancellation_state`. `async_pipe` says what may be lost.
///
/// @par Executors
/// Handlers run on their associated executor, by default the object's, and never within the initiating function.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, use a strand; except `statistics()`, which is safe on any thread
/// while the object is neither opened, moved nor destroyed. Batches and frames may be released on any thread.
///
/// @par Lifetime
/// Destroying the object completes what is pending with `operation_aborted`. Batches and frames may outlive it and its
/// `io_context`. A moved-from object may be assigned to or destroyed.
template <class Executor = boost::asio::any_io_executor>
class NETRING_ASIO_API basic_capture {
    using impl_type = detail::capture_impl<Executor>;

public:
    using executor_type = Executor;

    /// The same object for another executor.
    template <class Other>
    struct rebind_executor {
        using other = basic_capture<Other>;
    };

    /// A capture that is not open.
    explicit basic_capture(executor_type const& executor)
        : impl_{std::make_shared<impl_type>(executor)} {}
    /// A capture that is not open.
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    explicit basic_capture(Context& context)
        : basic_capture{executor_type{context.get_executor()}} {}

    /// Opens a capture; see `open`.
    basic_capture(executor_type const& executor, capture_options const& options)
        : basic_capture{executor} {
        open(options);
    }
    /// Opens a capture; see `open`.
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    basic_capture(Context& context, capture_options const& options)
        : basic_capture{executor_type{context.get_executor()}, options} {}

    basic_capture(basic_capture&&) noexcept = default;
    basic_capture& operator=(basic_capture&& other) noexcept {
        if (this != &other && impl_)
            impl_->close();
        impl_ = std::move(other.impl_);
        return *this;
    }
    /// Converts from a capture with another executor type. Nothing may be pending on it.
    template <class Other>
        requires(!std::same_as<Other, Executor> && std::convertible_to<Other, Executor>)
    basic_capture(basic_capture<Other>&& other)
        : impl_{std::make_shared<impl_type>(std::move(*other.impl_))} {}

    ~basic_capture() {
        if (impl_)
            impl_->close();
    }

    executor_type get_executor() const noexcept { return impl_->get_executor(); }

    /// Opens the ring and starts capturing. Takes 8 to 16 ms and blocks meanwhile.
    ///
    /// @par Errors
    /// `error::missing_privilege`, `no_such_interface`, `interface_down` (with `link_down_policy::fail`),
    /// `no_such_namespace`, `invalid_option`, `invalid_ring_geometry`, `conflicting_options`, `unsupported_option`,
    /// `no_ring_memory`, `bad_filter`, `filter_too_long`, `fanout_conflict`, `already_open`; others of the system. The
    /// exception of the throwing form names the option at fault, or the place in the filter.
    void open(capture_options const& options) {
        impl_->ring.open(options);
        error_code ec;
        impl_->watch(impl_->ring.options().spin(), ec);
        if (ec)
            throw system_error{ec, "epoll"};
    }
    void open(capture_options const& options, error_code& ec) {
        impl_->ring.open(options, ec);
        impl_->watch(impl_->ring.options().spin(), ec);
    }

    /// Takes over a packet socket that was opened elsewhere and has no ring yet, as `open` does with its own. It is
    /// closed where that fails.
    void assign(int native_handle, capture_options const& options) {
        impl_->ring.assign(native_handle, options);
        error_code ec;
        impl_->watch(impl_->ring.options().spin(), ec);
        if (ec)
            throw system_error{ec, "epoll"};
    }
    void assign(int native_handle, capture_options const& options, error_code& ec) {
        impl_->ring.assign(native_handle, options, ec);
        impl_->watch(impl_->ring.options().spin(), ec);
    }

    bool is_open() const noexcept { return impl_->ring.is_open(); }

    /// Completes what is pending with `operation_aborted`.
    void cancel() { impl_->cancel(); }

    /// Stops capturing at once: completes what is pending, leaves promiscuous mode and the fanout group, and releases
    /// the socket on a helper thread. Held packets stay valid; what is left in the ring is lost. Idempotent.
    void close() { impl_->close(); }

    /// The packet socket, -1 if not open. Do not read from it.
    int native_handle() const noexcept { return impl_->ring.native_handle(); }

    /// The options as obtained: interface, ring geometry, filter.
    capture_options const& options() const noexcept { return impl_->ring.options(); }

    /// The header that captured packets begin with.
    link_type link() const noexcept { return impl_->ring.link(); }

    /// The id of the fanout group, if the capture is in one.
    std::optional<std::uint16_t> fanout_id() const noexcept { return impl_->ring.fanout_id(); }

    /// Totals since it was opened, also after it was closed. Costs a system call. Safe on any thread.
    capture_statistics statistics() const noexcept { return impl_->ring.statistics(); }

    /// Replaces the filter while capturing; the empty expression accepts everything. Packets that are in the ring
    /// already have passed the old filter and are judged by the new one when they are received. On failure the old one
    /// stays.
    ///
    /// @par Errors
    /// `error::bad_filter`, `filter_too_long`, `not_open`.
    void set_filter(std::string expression) {
        impl_->ring.set_filter(std::move(expression));
        impl_->rejudge_retained();
    }
    void set_filter(std::string expression, error_code& ec) {
        impl_->ring.set_filter(std::move(expression), ec);
        if (!ec)
            impl_->rejudge_retained();
    }

    /// Stops capturing for the time being: what is in the ring stays there to be received, and nothing more comes. A
    /// block that is not full is there at the latest after the block timeout. `set_filter` resumes as well.
    ///
    /// @par Errors
    /// `error::not_open`; others of the system.
    void pause() { impl_->ring.pause(); }
    void pause(error_code& ec) { impl_->ring.pause(ec); }
    /// Goes on capturing.
    void resume() { impl_->ring.resume(); }
    void resume(error_code& ec) { impl_->ring.resume(ec); }

    /// Takes the next batch if there is one, releasing what `batch` held. No system call, no completion. False while an
    /// operation is pending.
    ///
    /// In a loop, take a bounded number before you let other handlers run.
    bool try_receive(packet_batch& batch) {
        if (impl_->receiving)
            return false;
        batch.reset();
        return impl_->take(batch) == afpacket::take_result::taken;
    }

    /// Waits for the next batch at most this long (negative: for ever), blocking the calling thread. Returns its number
    /// of packets, 0 when the time is over; that is `error::timed_out` in the second form, and no exception in the
    /// first.
    std::size_t receive(packet_batch& batch, std::chrono::nanoseconds limit) {
        error_code ec;
        auto const count = impl_->receive(batch, limit, ec);
        if (ec && ec != error::timed_out)
            throw system_error{ec, "receive"};
        return count;
    }
    std::size_t receive(packet_batch& batch, std::chrono::nanoseconds limit, error_code& ec) {
        return impl_->receive(batch, limit, ec);
    }

    /// The packets one by one, as a move-only input view that blocks the calling thread.
    ///
    /// A packet is fetched when it is looked at, never by `++`, so that `packets() | std::views::take(5)` takes exactly
    /// five; the rest of the block is delivered by the next operation. Ends when the capture is closed, or when nothing
    /// came for `limit` (negative: never); other errors are thrown. A packet is valid until the next is looked at.
    auto packets(std::chrono::nanoseconds limit = std::chrono::nanoseconds{-1}) {
        return detail::packet_range{detail::next_packet<impl_type>{impl_, limit}};
    }

    /// Waits until `try_receive` would succeed. Takes nothing.
    ///
    /// Completes with `void(error_code)`. Errors as `async_receive`.
    template <boost::asio::completion_token_for<void(error_code)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_wait(Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate<void(error_code)>(token, detail::fill_step{});
    }

    /// Waits for the next batch.
    ///
    /// Completes with `void(error_code, std::size_t packets)`, never with no packets and no error. What `batch` held is
    /// released at the start; it must stay valid until completion.
    ///
    /// @par Errors
    /// `operation_aborted`, `error::not_open`, `operation_in_progress`; by the link-down policy
    /// `error::interface_down`, once each time, and `error::interface_removed`, from then on. Packets in the ring are
    /// delivered first.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(packet_batch& batch, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate<void(error_code, std::size_t)>(token, detail::receive_step{{&batch}});
    }

    /// Waits for the next batch and copies its packets; the block is back with the kernel before completion.
    ///
    /// Completes with `void(error_code, std::size_t packets)`. The vector holds exactly these packets then, and none
    /// after an error; its memory is used again. It must stay valid until completion. Errors as the other form.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(std::vector<owned_packet>& packets,
                       Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate<void(error_code, std::size_t)>(token, detail::receive_owned_step{{&packets}});
    }

    /// Sends every batch to a channel of yours, until cancelled.
    ///
    /// The channel's signature chooses: `void(error_code, packet_batch)` without a copy, or
    /// `void(error_code, std::vector<owned_packet>)`. Any type with such an `async_send` will do, for instance
    /// `experimental::channel` or, to another thread, `experimental::concurrent_channel`. The channel must stay valid
    /// until completion; a full one holds the pipe up, and the ring is the buffer.
    ///
    /// Completes with `void(error_code)`: `operation_aborted` when cancelled, the channel's error when that is closed,
    /// else as `async_receive`. When cancelled while the channel was full, the channel destroys the message that it was
    /// to take; its packets are counted in `capture_statistics::discarded`.
    template <channel_of<packet_batch, std::vector<owned_packet>> Channel,
              boost::asio::completion_token_for<void(error_code)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_pipe(Channel& channel, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(detail::initiate_pipe<impl_type>{impl_}, token,
                                                                    &channel);
    }

private:
    template <class>
    friend class basic_capture;

    template <class Signature, class Token, class Step>
    auto initiate(Token& token, Step step) {
        return boost::asio::async_initiate<Token, Signature>(detail::initiate_receive<impl_type, Step>{impl_}, token,
                                                             step);
    }

    std::shared_ptr<impl_type> impl_;
};

/// A capture for any executor.
using capture = basic_capture<>;

static_assert(packet_source<capture>);

extern template class basic_capture<>;

} // namespace netring_asio
