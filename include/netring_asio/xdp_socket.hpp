#pragma once

#include <netring_asio/afxdp/port.hpp>
#include <netring_asio/channel.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/detail/capture_impl.hpp>
#include <netring_asio/detail/injector_impl.hpp>
#include <netring_asio/detail/packet_range.hpp>
#include <netring_asio/detail/pipe_op.hpp>
#include <netring_asio/detail/receive_op.hpp>
#include <netring_asio/detail/receive_steps.hpp>
#include <netring_asio/detail/send_op.hpp>
#include <netring_asio/detail/send_steps.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet_source.hpp>
#include <netring_asio/xdp_options.hpp>
#include <netring_asio/xdp_statistics.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

namespace netring_asio {

/// Receives and sends frames past the network stack through AF_XDP sockets, as an Asio I/O object.
///
/// One object is all queues of an interface, or those that the options name, over one memory. Batches are bursts of
/// one queue; a frame held from a batch keeps its chunk only. What is redirected reaches neither the host's stack nor
/// its captures. Needs CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF in the initial user namespace (to send only, CAP_NET_RAW
/// in that of the interface).
///
/// @par Operations
/// The names, completions, cancellation and limits are those of `capture` to receive (`async_wait`, `async_receive`,
/// `async_pipe`: one may be pending) and of `injector` to send (`async_reserve`, `async_send`, `async_send_frames`: one
/// may be pending, and one `async_drain` beside it). A second completes with `error::operation_in_progress`.
///
/// @par Checksums and offloads
/// XDP has none: frames that a local stack left to the device to finish arrive unfinished, and what is sent must be
/// whole. `explain` tells where that is likely.
///
/// @par Executors, thread safety, lifetime
/// As `capture`. `statistics` and `explain` make system calls.
template <class Executor = boost::asio::any_io_executor>
class NETRING_ASIO_API basic_xdp_socket {
    using rx_type = detail::capture_impl<Executor, afxdp::receiver>;
    using tx_type = detail::injector_impl<Executor, afxdp::transmitter>;
    template <class Frames>
    using send_step = detail::send_frames_step<tx_type, Frames>;

public:
    using executor_type = Executor;
    /// Room for one frame to send, as `tx_frame` of an injector.
    using frame_type = afxdp::tx_frame;

    /// The same object for another executor.
    template <class Other>
    struct rebind_executor {
        using other = basic_xdp_socket<Other>;
    };

    /// A socket that is not open.
    explicit basic_xdp_socket(executor_type const& executor)
        : rx_{std::make_shared<rx_type>(executor)}
        , tx_{std::make_shared<tx_type>(executor)} {}
    /// A socket that is not open.
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    explicit basic_xdp_socket(Context& context)
        : basic_xdp_socket{executor_type{context.get_executor()}} {}

    /// Opens a socket; see `open`.
    basic_xdp_socket(executor_type const& executor, xdp_options const& options)
        : basic_xdp_socket{executor} {
        open(options);
    }
    /// Opens a socket; see `open`.
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    basic_xdp_socket(Context& context, xdp_options const& options)
        : basic_xdp_socket{executor_type{context.get_executor()}, options} {}

    basic_xdp_socket(basic_xdp_socket&&) noexcept = default;
    basic_xdp_socket& operator=(basic_xdp_socket&& other) noexcept {
        if (this != &other && rx_)
            close();
        port_ = std::move(other.port_);
        rx_ = std::move(other.rx_);
        tx_ = std::move(other.tx_);
        return *this;
    }
    /// Converts from a socket with another executor type. Nothing may be pending on it.
    template <class Other>
        requires(!std::same_as<Other, Executor> && std::convertible_to<Other, Executor>)
    basic_xdp_socket(basic_xdp_socket<Other>&& other)
        : port_{std::move(other.port_)}
        , rx_{std::make_shared<rx_type>(std::move(*other.rx_))}
        , tx_{std::make_shared<tx_type>(std::move(*other.tx_))} {}

    ~basic_xdp_socket() {
        if (rx_)
            close();
    }

    executor_type get_executor() const noexcept { return rx_->get_executor(); }

    /// Opens sockets for the queues and attaches the program. Blocks, for up to a second where a queue has just been
    /// released.
    ///
    /// @par Errors
    /// `error::missing_privilege`, `no_such_interface`, `interface_down` (with `link_down_policy::fail`),
    /// `no_such_namespace`, `unsupported_link_type` (AF_XDP is for Ethernet), `program_attached`, `queue_busy`,
    /// `conflicting_options` (nothing said about what to redirect), `bad_filter`, `unsupported_filter`,
    /// `filter_too_long`, `invalid_option`, `invalid_ring_geometry` (also where a frame of the MTU has no room in a
    /// chunk), `unsupported_option`, `no_ring_memory`, `already_open`; others of the system. The exception of the
    /// throwing form says what is at fault.
    void open(xdp_options const& options) {
        error_code ec;
        std::string context;
        open(options, ec, context);
        if (ec)
            throw system_error{ec, context};
    }
    void open(xdp_options const& options, error_code& ec) {
        std::string context;
        open(options, ec, context);
    }

    bool is_open() const noexcept { return port_.is_open(); }

    /// Completes what is pending with `operation_aborted`: all, or in one direction.
    void cancel() {
        cancel_receive();
        cancel_send();
    }
    void cancel_receive() { rx_->cancel(); }
    void cancel_send() { tx_->cancel(); }

    /// Completes what is pending, detaches the program and closes the sockets, for which the kernel takes 20 to 40
    /// milliseconds. Held packets stay valid; what is left in the rings is lost. Where the memory is shared, the first
    /// socket over it keeps its queue until the last is closed. Idempotent.
    void close() {
        rx_->close();
        tx_->close();
    }

    /// The socket of the n-th open queue, -1 if there is none.
    int native_handle(std::size_t n = 0) const noexcept { return port_.native_handle(n); }

    /// The options as obtained: interface, queues, attach and copy mode, memory.
    xdp_options const& options() const noexcept { return port_.options(); }

    /// The memory, to be shared by other sockets.
    afxdp::umem memory() const noexcept { return port_.memory(); }

    /// How things are, and why nothing may be coming and what to try, in words.
    std::string explain() const { return port_.explain(); }

    /// Totals since it was opened, also after it was closed, of all queues or of the n-th open one.
    xdp_statistics statistics() const noexcept { return port_.statistics(); }
    xdp_statistics statistics(std::size_t n) const noexcept { return port_.statistics(n); }

    /// Replaces what is redirected while frames come; packets that were received already have passed the old filter.
    /// On failure the old one stays.
    ///
    /// @par Errors
    /// `error::bad_filter`, `unsupported_filter`, `filter_too_long`, `not_open`, `conflicting_options` (the program is
    /// not made here).
    void set_filter(std::string const& expression) {
        error_code ec;
        set_filter(expression, ec);
        if (ec)
            throw system_error{ec, "filter"};
    }
    void set_filter(std::string const& expression, error_code& ec) {
        auto const compiled = filter::compile(expression, link_type::ethernet, filter::whole_packet, ec);
        if (!ec)
            port_.set_filters({compiled}, ec);
    }
    /// The same with rules, which are tried in this order; none redirects nothing.
    void set_rules(std::vector<xdp_rule> const& rules, error_code& ec) {
        ec = {};
        std::vector<filter> filters;
        for (auto const& rule : rules)
            if (!ec)
                filters.push_back(filter::compile(rule.expression(), link_type::ethernet, filter::whole_packet, ec));
        if (rules.empty()) {
            filter::instruction const reject{.code = 6};
            filters.push_back(filter::from_instructions({&reject, 1}));
        }
        if (!ec)
            port_.set_filters(filters, ec);
    }

    /// The connections whose frames pass to the stack whatever is redirected, to be added to and removed from; nothing
    /// unless `xdp_options::bypass` made room for some. It is gone with `close`.
    afxdp::bypass* bypass() noexcept { return port_.bypass(); }

    /// Has nothing more come, until `resume`: frames pass to the stack meanwhile. What came before can be received.
    void pause(error_code& ec) { rx_->ring.pause(ec); }
    void resume(error_code& ec) { rx_->ring.resume(ec); }

    /// Takes the next batch if there is one, releasing what `batch` held, and gives the kernel back what chunks came
    /// back. No completion, and a system call only where the driver asks for one. False while an operation is pending.
    bool try_receive(packet_batch& batch) {
        if (rx_->receiving)
            return false;
        batch.reset();
        return rx_->take(batch) == take_result::taken;
    }

    /// Waits for the next batch at most this long (negative: for ever), blocking the calling thread; as
    /// `capture::receive`.
    std::size_t receive(packet_batch& batch, std::chrono::nanoseconds limit) {
        error_code ec;
        auto const count = rx_->receive(batch, limit, ec);
        if (ec && ec != error::timed_out)
            throw system_error{ec, "receive"};
        return count;
    }
    std::size_t receive(packet_batch& batch, std::chrono::nanoseconds limit, error_code& ec) {
        return rx_->receive(batch, limit, ec);
    }

    /// The packets one by one, as a move-only input view that blocks the calling thread; as `capture::packets`.
    auto packets(std::chrono::nanoseconds limit = std::chrono::nanoseconds{-1}) {
        return detail::packet_range{detail::next_packet<rx_type>{rx_, limit}};
    }

    /// Waits until `try_receive` would succeed. Takes nothing. Completes with `void(error_code)`.
    template <boost::asio::completion_token_for<void(error_code)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_wait(Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate_receive<void(error_code)>(token, detail::fill_step{});
    }

    /// Waits for the next batch. Completes with `void(error_code, std::size_t packets)`; as `capture::async_receive`.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(packet_batch& batch, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate_receive<void(error_code, std::size_t)>(token, detail::receive_step{{&batch}});
    }

    /// Waits for the next batch and copies its packets. Completes with `void(error_code, std::size_t packets)`; as
    /// `capture::async_receive`.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(std::vector<owned_packet>& packets,
                       Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate_receive<void(error_code, std::size_t)>(token, detail::receive_owned_step{{&packets}});
    }

    /// Sends every batch to a channel of yours, until cancelled. Completes with `void(error_code)`; as
    /// `capture::async_pipe`.
    template <channel_of<packet_batch, std::vector<owned_packet>> Channel,
              boost::asio::completion_token_for<void(error_code)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_pipe(Channel& channel, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(detail::initiate_pipe<rx_type>{rx_}, token,
                                                                    &channel);
    }

    /// The longest frame that ring and device take now, without a VLAN tag. Costs a system call.
    std::size_t maximum_frame_size() const noexcept { return tx_->ring.maximum_frame_size(); }
    /// Frames that fit into the transmit ring.
    std::size_t frame_count() const noexcept { return tx_->ring.frame_count(); }
    /// Frames that can be committed without waiting.
    std::size_t available() const noexcept { return tx_->ring.available(); }
    /// Frames committed that the kernel has not looked at.
    std::size_t queued() const noexcept { return tx_->ring.queued(); }
    /// Frames that the kernel is not done with.
    std::size_t pending() const noexcept { return tx_->ring.pending(); }

    /// Reserves room for a frame of at most `size` bytes; only one at a time. Empty without an error where there is
    /// none. Errors as `injector::try_reserve`.
    frame_type try_reserve(std::size_t size) {
        error_code ec;
        auto frame = try_reserve(size, ec);
        if (ec)
            throw system_error{ec, "reserve"};
        return frame;
    }
    frame_type try_reserve(std::size_t size, error_code& ec) {
        if (!tx_->sending)
            return tx_->ring.try_reserve(size, ec);
        ec = error::operation_in_progress;
        return {};
    }

    /// Puts a packet into the ring as `async_send_packet` does, if there is room; `flush`, a send or a drain has the
    /// kernel take it. False without an error where the ring is full. Errors as `try_reserve` and `async_send_packet`.
    bool try_send_packet(packet_view const& packet, error_code& ec) {
        ec = tx_->sending ? error_code{error::operation_in_progress} : error_code{};
        return !ec && detail::put_frame(tx_->ring, packet, ec);
    }

    /// Takes the next transmit timestamp, with `xdp_options::timestamps`; false if there is none yet. Each is there
    /// once its frame has left the ring, so after a drain. Kept are the last, twice as many as the transmit ring has
    /// places.
    bool try_timestamp(tx_timestamp& stamp) { return tx_->ring.try_timestamp(stamp); }

    /// Has the kernel take what is committed, and returns how many frames it took. Never blocks.
    std::size_t flush() {
        error_code ec;
        auto const count = flush(ec);
        if (ec)
            throw system_error{ec, "flush"};
        return count;
    }
    std::size_t flush(error_code& ec) { return tx_->ring.flush(ec); }

    /// Puts packets of the batch into the transmit ring, as many as it has room for, takes them out of the batch, and
    /// has the kernel send them; returns how many. Packets of a socket over the same memory are sent in place, without
    /// a copy, and their chunks go back where they came from; others, and what has a tag in its metadata, are copied as
    /// by `async_send_packet`. Never blocks.
    ///
    /// Nobody may write to what is sent in place; frames held of it stay valid to read.
    ///
    /// @par Errors
    /// `error::not_open`, `operation_in_progress` while a send is pending; those of `async_send_packet` for the first
    /// that remains, and those of `flush`.
    std::size_t forward(packet_batch& batch, error_code& ec) {
        if (tx_->sending) {
            ec = error::operation_in_progress;
            return 0;
        }
        auto const count = tx_->ring.forward(batch, ec);
        error_code flush_error;
        tx_->ring.flush(flush_error);
        if (!ec)
            ec = flush_error;
        return count;
    }
    std::size_t forward(packet_batch& batch) {
        error_code ec;
        auto const count = forward(batch, ec);
        if (ec)
            throw system_error{ec, "forward"};
        return count;
    }

    /// Sends one frame, gathered. Blocks the calling thread while there is no room. Errors as `async_send`.
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
        if (!tx_->may_wait(ec))
            return 0;
        send_step<detail::one_frame<ConstBufferSequence>> step{{buffers}};
        step.begin(*tx_);
        while (!step.advance(*tx_, ec))
            tx_->ring.wait(std::chrono::nanoseconds{-1}, ec);
        tx_->ring.disarm();
        step.end(*tx_, ec);
        return step.frames.result(step.committed);
    }

    /// Flushes and waits until the kernel is done with all, blocking the calling thread; as `injector::wait_drained`.
    tx_result wait_drained(std::chrono::nanoseconds limit) {
        error_code ec;
        auto const result = wait_drained(limit, ec);
        if (ec)
            throw system_error{ec, "wait_drained"};
        return result;
    }
    tx_result wait_drained(std::chrono::nanoseconds limit, error_code& ec) {
        return tx_->may_wait(ec) ? tx_->ring.wait_drained(limit, ec) : tx_result{};
    }

    /// Waits for room for a frame of at most `size` bytes, and reserves it. Completes with `void(error_code)`; as
    /// `injector::async_reserve`.
    template <boost::asio::completion_token_for<void(error_code)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_reserve(frame_type& frame, std::size_t size,
                       Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate_send<void(error_code)>(token, detail::reserve_step<tx_type>{&frame, size});
    }

    /// Sends one frame, gathered. Completes with `void(error_code, std::size_t bytes)`; as `injector::async_send`.
    template <class ConstBufferSequence, boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                                             boost::asio::default_completion_token_t<executor_type>>
        requires(boost::asio::is_const_buffer_sequence<ConstBufferSequence>::value)
    auto async_send(ConstBufferSequence const& buffers,
                    Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate_send<void(error_code, std::size_t)>(
            token, send_step<detail::one_frame<ConstBufferSequence>>{{buffers}});
    }

    /// Sends many frames, each a buffer sequence. Completes with `void(error_code, std::size_t frames)`; as
    /// `injector::async_send_frames`.
    template <std::ranges::forward_range Frames, boost::asio::completion_token_for<void(error_code, std::size_t)>
                                                     Token = boost::asio::default_completion_token_t<executor_type>>
        requires(boost::asio::is_const_buffer_sequence<std::ranges::range_value_t<Frames const>>::value)
    auto async_send_frames(Frames const& frames,
                           Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        using range = detail::many_frames<std::ranges::iterator_t<Frames const>, std::ranges::sentinel_t<Frames const>>;
        return initiate_send<void(error_code, std::size_t)>(
            token, send_step<range>{{std::ranges::begin(frames), std::ranges::end(frames)}});
    }

    /// Sends a packet as it was on the wire: in place, without a copy, where it was received by a socket over the same
    /// memory, as `forward` does; else copied, with the tag in its metadata put back and the checksum finished where
    /// that was left to the device. Completes with `void(error_code, std::size_t bytes)`, the length on the wire. The
    /// packet's bytes must stay valid until completion. Errors as `async_send`; `error::invalid_offload` for a frame
    /// that is to be cut into segments; `error::unsupported_link_type` for one without an Ethernet header.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_send_packet(packet_view const& packet,
                           Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate_send<void(error_code, std::size_t)>(token, send_step<detail::one_packet>{{packet}});
    }

    /// Has the kernel take what is committed now, and waits until it is done with it. Completes with
    /// `void(error_code, tx_result)`; as `injector::async_drain`.
    template <boost::asio::completion_token_for<void(error_code, tx_result)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_drain(Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return initiate_send<void(error_code, tx_result)>(token, detail::drain_step<tx_type>{});
    }

private:
    template <class>
    friend class basic_xdp_socket;

    void open(xdp_options const& options, error_code& ec, std::string& context) {
        port_.open(options, ec, context);
        if (ec)
            return;
        rx_->ring = port_.receiver();
        tx_->ring = port_.transmitter();
        context = "epoll";
        rx_->watch(port_.options().spin(), ec);
        tx_->watch(ec);
        if (ec)
            close();
    }

    template <class Signature, class Token, class Step>
    auto initiate_receive(Token& token, Step step) {
        return boost::asio::async_initiate<Token, Signature>(detail::initiate_receive<rx_type, Step>{rx_}, token, step);
    }
    template <class Signature, class Token, class Step>
    auto initiate_send(Token& token, Step step) {
        return boost::asio::async_initiate<Token, Signature>(detail::initiate_send<tx_type>{tx_}, token,
                                                             std::move(step));
    }

    afxdp::port port_;
    std::shared_ptr<rx_type> rx_;
    std::shared_ptr<tx_type> tx_;
};

/// An AF_XDP socket for any executor.
using xdp_socket = basic_xdp_socket<>;

static_assert(packet_source<xdp_socket>);

extern template class basic_xdp_socket<>;

} // namespace netring_asio
