#pragma once

#include <netring_asio/afpacket/tx_ring.hpp>
#include <netring_asio/detail/asio_abi.hpp>
#include <netring_asio/detail/injector_impl.hpp>
#include <netring_asio/detail/send_op.hpp>
#include <netring_asio/detail/send_steps.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/injector_options.hpp>
#include <netring_asio/injector_statistics.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <ranges>
#include <utility>

namespace netring_asio {

using afpacket::tx_frame;

/// Sends frames on a network interface through a memory-mapped ring (AF_PACKET, TPACKET_V3), as an Asio I/O object.
///
/// Frames begin with the link header. They are put into the ring, *committed*, and then *taken* by the kernel in that
/// order; a send completes when its frames are committed and the kernel was asked to take them. Frames that it did not
/// take at once, for want of room further on, are taken by the next send, flush or drain, so end a burst with a drain.
/// Needs CAP_NET_RAW in the network namespace of the interface.
///
/// @par Operations
/// One sending operation may be pending: `async_reserve`, `async_send`, `async_send_frames`; and one `async_drain`
/// beside it. A second completes with `error::operation_in_progress`.
///
/// @par Cancellation
/// All operations support total cancellation, and so partial and terminal, until the first frame is committed; after
/// that terminal and partial, with the number of frames that are, and that will be sent. They complete with
/// `net::error::operation_aborted`. A coroutine passes on terminal cancellation only, unless it calls
/// `this_coro::reset_cancellation_state`.
///
/// @par Interface down
/// By `injector_options::on_link_down`. A send that fails with `error::interface_down` leaves no frame behind. Frames
/// committed before stay in the ring and are sent when it is up; what the kernel took, it may have discarded.
///
/// @par Executors
/// Handlers run on their associated executor, by default the object's, and never within the initiating function. No
/// function but those that say so blocks.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, use a strand; except `statistics()`, which is safe on any thread
/// while the object is neither opened, moved nor destroyed.
///
/// @par Lifetime
/// Destroying the object completes what is pending with `operation_aborted`. A moved-from object may be assigned to or
/// destroyed.
template <class Executor = boost::asio::any_io_executor>
class basic_injector {
    using impl_type = detail::injector_impl<Executor>;
    template <class Frames>
    using send_step = detail::send_frames_step<impl_type, Frames>;

public:
    using executor_type = Executor;

    /// The same object for another executor.
    template <class Other>
    struct rebind_executor {
        using other = basic_injector<Other>;
    };

    /// An injector that is not open.
    explicit basic_injector(executor_type const& executor)
        : impl_{std::make_shared<impl_type>(executor)} {}
    /// An injector that is not open.
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    explicit basic_injector(Context& context)
        : basic_injector{executor_type{context.get_executor()}} {}

    /// Opens an injector; see `open`.
    basic_injector(executor_type const& executor, injector_options const& options)
        : basic_injector{executor} {
        open(options);
    }
    /// Opens an injector; see `open`.
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    basic_injector(Context& context, injector_options const& options)
        : basic_injector{executor_type{context.get_executor()}, options} {}

    basic_injector(basic_injector&&) noexcept = default;
    basic_injector& operator=(basic_injector&& other) noexcept {
        if (this != &other && impl_)
            impl_->close();
        impl_ = std::move(other.impl_);
        return *this;
    }
    /// Converts from an injector with another executor type. Nothing may be pending on it.
    template <class Other>
        requires(!std::same_as<Other, Executor> && std::convertible_to<Other, Executor>)
    basic_injector(basic_injector<Other>&& other)
        : impl_{std::make_shared<impl_type>(std::move(*other.impl_))} {}

    ~basic_injector() {
        if (impl_)
            impl_->close();
    }

    executor_type get_executor() const noexcept { return impl_->get_executor(); }

    /// Opens the ring. Blocks meanwhile.
    ///
    /// @par Errors
    /// `error::missing_privilege`, `no_such_interface`, `interface_down` (with `link_down_policy::fail`),
    /// `no_such_namespace`, `unsupported_link_type` (frames of Ethernet, loopback and raw IP devices can be sent),
    /// `invalid_option`, `invalid_ring_geometry`, `unsupported_option`, `no_ring_memory`, `already_open`; others of the
    /// system. The exception of the throwing form names the option at fault.
    void open(injector_options const& options) {
        impl_->ring.open(options);
        error_code ec;
        impl_->watch(ec);
        if (ec)
            throw system_error{ec, "epoll"};
    }
    void open(injector_options const& options, error_code& ec) {
        impl_->ring.open(options, ec);
        impl_->watch(ec);
    }

    /// Takes over a raw packet socket that was opened elsewhere and has no ring yet, as `open` does with its own. It is
    /// closed where that fails.
    void assign(int native_handle, injector_options const& options) {
        impl_->ring.assign(native_handle, options);
        error_code ec;
        impl_->watch(ec);
        if (ec)
            throw system_error{ec, "epoll"};
    }
    void assign(int native_handle, injector_options const& options, error_code& ec) {
        impl_->ring.assign(native_handle, options, ec);
        impl_->watch(ec);
    }

    bool is_open() const noexcept { return impl_->ring.is_open(); }

    /// Completes what is pending with `operation_aborted`.
    void cancel() { impl_->cancel(); }

    /// Completes what is pending and closes the socket, on a helper thread. Frames that the kernel has not taken are
    /// lost: drain first. Idempotent.
    void close() { impl_->close(); }

    /// The packet socket, -1 if not open.
    int native_handle() const noexcept { return impl_->ring.native_handle(); }

    /// The options as obtained: interface, ring geometry, send buffer.
    injector_options const& options() const noexcept { return impl_->ring.options(); }

    /// The header that frames must begin with.
    link_type link() const noexcept { return impl_->ring.link(); }

    /// The longest frame that the ring has room for.
    std::size_t frame_capacity() const noexcept { return impl_->ring.frame_capacity(); }
    /// The longest frame that ring and device take now, without a VLAN tag. Costs a system call.
    std::size_t maximum_frame_size() const noexcept { return impl_->ring.maximum_frame_size(); }
    /// Frames that fit into the ring.
    std::size_t frame_count() const noexcept { return impl_->ring.frame_count(); }
    /// Frames that can be committed without waiting.
    std::size_t available() const noexcept { return impl_->ring.available(); }
    /// Frames in the ring that the kernel is not done with.
    std::size_t pending() const noexcept { return impl_->ring.pending(); }
    /// Those of them that it has not taken yet.
    std::size_t queued() const noexcept { return impl_->ring.queued(); }

    /// Totals since it was opened, also after it was closed. Safe on any thread.
    injector_statistics statistics() const noexcept { return impl_->ring.statistics(); }

    /// Reserves room for a frame of at most `size` bytes, to be filled and committed; only one at a time. Empty without
    /// an error where the ring is full. Makes no system call while there is room.
    ///
    /// @par Errors
    /// `error::not_open`, `operation_in_progress` while a send is pending, `frame_too_short`, `frame_too_long`,
    /// `frame_reserved` while another is reserved; where the ring is full, those of `flush`.
    tx_frame try_reserve(std::size_t size) {
        error_code ec;
        auto frame = try_reserve(size, ec);
        if (ec)
            throw system_error{ec, "reserve"};
        return frame;
    }
    tx_frame try_reserve(std::size_t size, error_code& ec) {
        if (!impl_->sending)
            return impl_->ring.try_reserve(size, ec);
        ec = error::operation_in_progress;
        return {};
    }

    /// Puts a packet into the ring as `async_send_packet` does, if there is room; `flush`, a send or a drain has the
    /// kernel take it. False without an error where the ring is full. Errors as `try_reserve` and `async_send_packet`.
    bool try_send_packet(packet_view const& packet) {
        error_code ec;
        auto const sent = try_send_packet(packet, ec);
        if (ec)
            throw system_error{ec, "send"};
        return sent;
    }
    bool try_send_packet(packet_view const& packet, error_code& ec) {
        ec = impl_->sending ? error_code{error::operation_in_progress} : error_code{};
        return !ec && detail::put_frame(impl_->ring, packet, ec);
    }

    /// Takes the next transmit timestamp, with `injector_options::timestamps`; false if there is none yet. Those that
    /// the driver makes are there once their frames have left the ring, so after a drain. The kernel keeps some
    /// thousand of them, and drops what comes then. Costs a system call.
    bool try_timestamp(tx_timestamp& stamp) { return impl_->ring.try_timestamp(stamp); }

    /// Has the kernel take what is committed, and returns how many frames it took. Never blocks: what it has no room
    /// for now is taken later.
    ///
    /// @par Errors
    /// `error::not_open`, `interface_down`, `interface_removed`, `frame_too_long` with `bad_frame_policy::stop`; others
    /// of the system. The frames stay in the ring.
    std::size_t flush() { return impl_->ring.flush(); }
    std::size_t flush(error_code& ec) { return impl_->ring.flush(ec); }

    /// With `bad_frame_policy::stop`: leaves out the frame at which the ring stopped, and others too long for the
    /// device as it is now. Returns how many.
    std::size_t discard_rejected() { return impl_->ring.discard_rejected(); }

    /// Sends one frame, gathered, and returns its length. Blocks the calling thread while the ring is full. Errors as
    /// `async_send`.
    template <class ConstBufferSequence>
        requires(boost::asio::is_const_buffer_sequence<ConstBufferSequence>::value)
    std::size_t send(ConstBufferSequence const& buffers) {
        error_code ec;
        auto const size = send(buffers, ec);
        if (ec)
            throw system_error{ec, "send"};
        return size;
    }
    template <class ConstBufferSequence>
        requires(boost::asio::is_const_buffer_sequence<ConstBufferSequence>::value)
    std::size_t send(ConstBufferSequence const& buffers, error_code& ec) {
        if (!impl_->may_wait(ec))
            return 0;
        send_step<detail::one_frame<ConstBufferSequence>> step{{buffers}};
        step.begin(*impl_);
        while (!step.advance(*impl_, ec))
            impl_->ring.wait(std::chrono::nanoseconds{-1}, ec);
        impl_->ring.disarm();
        step.end(*impl_, ec);
        return step.frames.result(step.committed);
    }

    /// Flushes and waits until no frame is in the ring, at most this long (negative: for ever), blocking the calling
    /// thread. Returns what left the ring since the last drain; nothing with an error, and the next drain goes on.
    ///
    /// @par Errors
    /// Those of `flush`, except what the link-down policy has it wait for; `error::timed_out`,
    /// `operation_in_progress`.
    tx_result wait_drained(std::chrono::nanoseconds limit) {
        error_code ec;
        auto const result = wait_drained(limit, ec);
        if (ec)
            throw system_error{ec, "wait_drained"};
        return result;
    }
    tx_result wait_drained(std::chrono::nanoseconds limit, error_code& ec) {
        return impl_->may_wait(ec) ? impl_->ring.wait_drained(limit, ec) : tx_result{};
    }

    /// Waits for room for a frame of at most `size` bytes, and reserves it; see `try_reserve`.
    ///
    /// Completes with `void(error_code)`. What `frame` held is dropped at the start; it must stay valid until
    /// completion. Errors as `try_reserve`, and `operation_aborted`.
    template <boost::asio::completion_token_for<void(error_code)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_reserve(tx_frame& frame, std::size_t size,
                       Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate<void(error_code)>(token, detail::reserve_step<impl_type>{&frame, size});
    }

    /// Sends one frame, gathered: waits for room, copies it into the ring and has the kernel take it.
    ///
    /// Completes with `void(error_code, std::size_t bytes)`. The buffers must stay valid until completion.
    ///
    /// @par Errors
    /// `operation_aborted`, `error::not_open`, `operation_in_progress`, `frame_too_short`, `frame_too_long`,
    /// `frame_reserved` while one is reserved; `interface_down`, `interface_removed`; others of the system. The frame
    /// is not sent then.
    template <class ConstBufferSequence, boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                                             boost::asio::default_completion_token_t<executor_type>>
        requires(boost::asio::is_const_buffer_sequence<ConstBufferSequence>::value)
    auto async_send(ConstBufferSequence const& buffers,
                    Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate<void(error_code, std::size_t)>(token,
                                                       send_step<detail::one_frame<ConstBufferSequence>>{{buffers}});
    }

    /// Sends many frames, each a buffer sequence, as `async_send` does with one, but has the kernel take them together.
    ///
    /// Completes with `void(error_code, std::size_t frames)`: how many of them are committed, from the first on. Where
    /// one is at fault, those before it are sent. Range and buffers must stay valid until completion.
    template <std::ranges::forward_range Frames, boost::asio::completion_token_for<void(error_code, std::size_t)>
                                                     Token = boost::asio::default_completion_token_t<executor_type>>
        requires(boost::asio::is_const_buffer_sequence<std::ranges::range_value_t<Frames const>>::value)
    auto async_send_frames(Frames const& frames,
                           Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        using range = detail::many_frames<std::ranges::iterator_t<Frames const>, std::ranges::sentinel_t<Frames const>>;
        return initiate<void(error_code, std::size_t)>(
            token, send_step<range>{{std::ranges::begin(frames), std::ranges::end(frames)}});
    }

    /// Sends a packet that was captured, or read from a file, as it was on the wire: with the tag in its metadata put
    /// back, and the checksum finished where that was left to the device. A frame that was not cut into segments yet is
    /// sent by an injector with `injector_options::offload`, which leaves both to the kernel. A truncated packet is
    /// sent as far as it is there.
    ///
    /// Completes with `void(error_code, std::size_t bytes)`: the length on the wire. The packet's bytes must stay valid
    /// until completion. Errors as `async_send`; `error::unsupported_link_type` for one that does not begin with the
    /// header of `link()`; `error::invalid_offload`: in particular for segmentation within a tunnel.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_send_packet(packet_view const& packet,
                           Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate<void(error_code, std::size_t)>(token, send_step<detail::one_packet>{{packet}});
    }

    /// Has the kernel take what is committed now, and waits until it has left the ring.
    ///
    /// Completes with `void(error_code, tx_result)`: what left the ring since the last drain that succeeded. Errors as
    /// `wait_drained`, and `operation_aborted`.
    template <boost::asio::completion_token_for<void(error_code, tx_result)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_drain(Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate<void(error_code, tx_result)>(token, detail::drain_step<impl_type>{});
    }

private:
    template <class>
    friend class basic_injector;

    template <class Signature, class Token, class Step>
    auto initiate(Token& token, Step step) {
        return boost::asio::async_initiate<Token, Signature>(detail::initiate_send<impl_type>{impl_}, token,
                                                             std::move(step));
    }

    std::shared_ptr<impl_type> impl_;
};

/// An injector for any executor.
using injector = basic_injector<>;

} // namespace netring_asio
