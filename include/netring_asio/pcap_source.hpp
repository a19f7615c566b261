#pragma once

#include <netring_asio/channel.hpp>
#include <netring_asio/detail/asio_abi.hpp>
#include <netring_asio/detail/packet_range.hpp>
#include <netring_asio/detail/pcap_receive_op.hpp>
#include <netring_asio/detail/pcap_source_impl.hpp>
#include <netring_asio/detail/pipe_op.hpp>
#include <netring_asio/packet_source.hpp>
#include <netring_asio/pcap_source_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace netring_asio {

/// A capture file as a source of packets, at full speed or replayed at the pace it was recorded.
///
/// Regular files are read on the executor, a bounded chunk at a time, as far as operations ask for. Pipes, FIFOs and
/// standard input are read by a thread of the source, a bounded number of batches ahead; it ends with `close`.
///
/// The end of the file is `net::error::eof`, after the last packet and again for each later receive; the same goes for
/// `error::truncated_capture_file`, `error::bad_capture_file` and `error::mixed_link_types`. What a file is found to be
/// when it is opened (see `pcap::reader`) is reported by `open`, but for pipes by the first receive.
///
/// @par Operations
/// One may be pending; a second completes with `error::operation_in_progress`. All complete through the executor, never
/// inside the initiating function unless an immediate executor is bound. `cancel`, `close` and destruction complete
/// what is pending with `net::error::operation_aborted`.
/// Cancellation is total: terminal, partial and total all end the wait, and a packet that was not delivered is
/// delivered by the next receive. Operations complete into an argument, so that nothing is lost in `receive || timer`:
/// after such a race look at the batch, not at the branch that won.
///
/// @par Lifetime
/// The argument of a receive must live until it completes. Batches and frames may outlive the source and its context.
/// The source may be moved with an operation pending.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, but for `statistics` and `link` while the source is open; use a
/// strand. Batches and frames may be released on any thread.
template <class Executor = boost::asio::any_io_executor>
class basic_pcap_source {
public:
    using executor_type = Executor;
    template <class Other>
    struct rebind_executor {
        using other = basic_pcap_source<Other>;
    };
    /// A file descriptor.
    using native_handle_type = int;
    /// Nothing is lost while nobody reads.
    static constexpr bool waits_for_reader = true;

    /// A source that is not open.
    explicit basic_pcap_source(Executor const& executor)
        : executor_{executor}
        , impl_{std::make_shared<detail::pcap_source_impl>(executor)} {}
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    explicit basic_pcap_source(Context& context)
        : basic_pcap_source{Executor{context.get_executor()}} {}

    /// A source that is open.
    /// @throws system_error with what `open` reports.
    basic_pcap_source(Executor const& executor, pcap_source_options const& options)
        : basic_pcap_source{executor} {
        open(options);
    }
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    basic_pcap_source(Context& context, pcap_source_options const& options)
        : basic_pcap_source{Executor{context.get_executor()}, options} {}

    /// A source that was moved from can only be assigned to or destroyed.
    basic_pcap_source(basic_pcap_source&&) = default;
    basic_pcap_source& operator=(basic_pcap_source&& other) noexcept {
        basic_pcap_source moved{std::move(other)};
        std::swap(executor_, moved.executor_);
        std::swap(impl_, moved.impl_);
        return *this;
    }
    template <class Other>
        requires(!std::same_as<Other, Executor> && std::convertible_to<Other, Executor>)
    basic_pcap_source(basic_pcap_source<Other>&& other)
        : executor_{std::move(other.executor_)}
        , impl_{std::move(other.impl_)} {}
    ~basic_pcap_source() {
        if (impl_ != nullptr)
            impl_->close();
    }

    executor_type const& get_executor() const noexcept { return executor_; }

    /// Opens the file that the options name, waiting for nothing.
    ///
    /// Errors: those of the system, `error::invalid_option`, `error::already_open`, and for regular files those that
    /// `pcap::reader` finds in the header.
    void open(pcap_source_options const& options) {
        error_code ec;
        open(options, ec);
        if (ec)
            detail::pcap_source_impl::throw_open_error(ec, options);
    }
    void open(pcap_source_options const& options, error_code& ec) { impl_->open(options, ec); }

    /// Reads from a descriptor opened elsewhere, at its current position. It belongs to the source from here on, also
    /// where that fails.
    void assign(native_handle_type descriptor, pcap_source_options const& options) {
        error_code ec;
        assign(descriptor, options, ec);
        if (ec)
            detail::pcap_source_impl::throw_open_error(ec, options);
    }
    void assign(native_handle_type descriptor, pcap_source_options const& options, error_code& ec) {
        impl_->assign(descriptor, options, ec);
    }

    bool is_open() const noexcept { return impl_->is_open(); }

    /// Completes the pending operation with `net::error::operation_aborted`.
    void cancel() noexcept { impl_->cancel(); }

    /// As `cancel`, and ends the source; it may be opened again. Joins the thread that reads a pipe.
    void close() noexcept { impl_->close(); }

    /// As given to `open`.
    pcap_source_options const& options() const noexcept { return impl_->options(); }
    /// Totals since it was opened, also after it was closed.
    pcap_source_statistics statistics() const noexcept { return impl_->statistics(); }
    /// The link type of the packets, as soon as the file header was read.
    std::optional<link_type> link() const noexcept { return impl_->link(); }

    /// Completes when `try_receive` would succeed, or with the error that ends the source. Consumes nothing.
    ///
    /// @par Completion signature
    /// `void(error_code)`
    template <
        boost::asio::completion_token_for<void(error_code)> Token = boost::asio::default_completion_token_t<Executor>>
    auto async_wait(Token&& token = boost::asio::default_completion_token_t<Executor>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(
            detail::initiate_pcap_receive<Executor>{executor_, impl_}, token, static_cast<void*>(nullptr));
    }

    /// Receives the packets that are there, if there are any, no operation is pending, and they are due; what the batch
    /// held is released first. Reads at most one chunk of a regular file.
    bool try_receive(packet_batch& batch) { return impl_->try_receive(batch); }

    /// Receives the next packets, at least one unless there is an error. What the batch held is released at initiation.
    ///
    /// @par Completion signature
    /// `void(error_code, std::size_t packets)`
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<Executor>>
    auto async_receive(packet_batch& batch, Token&& token = boost::asio::default_completion_token_t<Executor>{}) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiate_pcap_receive<Executor>{executor_, impl_}, token, &batch);
    }

    /// Receives copies of the next packets. The vector holds exactly these then, and none after an error; its memory is
    /// used again.
    ///
    /// @par Completion signature
    /// `void(error_code, std::size_t packets)`
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<Executor>>
    auto async_receive(std::vector<owned_packet>& packets,
                       Token&& token = boost::asio::default_completion_token_t<Executor>{}) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiate_pcap_receive<Executor>{executor_, impl_}, token, &packets);
    }

    /// Sends every batch to a channel of yours, until the end or cancelled.
    ///
    /// The channel's signature chooses: `void(error_code, packet_batch)` without a copy, or
    /// `void(error_code, std::vector<owned_packet>)`. Any type with such an `async_send` will do, for instance
    /// `experimental::channel` or, to another thread, `experimental::concurrent_channel`. The channel must stay valid
    /// until completion; a full one holds the pipe up. The end of the file is sent as a message, `eof` with nothing,
    /// and the pipe then completes with success.
    ///
    /// When cancelled while the channel was full, the channel destroys the message that it was to take; its packets are
    /// counted in `pcap_source_statistics::discarded`. A closed channel completes the pipe with its error.
    ///
    /// @par Completion signature
    /// `void(error_code)`
    template <
        channel_of<packet_batch, std::vector<owned_packet>> Channel,
        boost::asio::completion_token_for<void(error_code)> Token = boost::asio::default_completion_token_t<Executor>>
    auto async_pipe(Channel& channel, Token&& token = boost::asio::default_completion_token_t<Executor>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(
            detail::initiate_pipe<detail::pcap_source_impl>{impl_}, token, &channel);
    }

    /// Waits for the next packets at most this long (negative: for ever), blocking the calling thread. Returns their
    /// number, 0 when the time is over; that is `error::timed_out` in the second form, and no exception in the first.
    std::size_t receive(packet_batch& batch, std::chrono::nanoseconds limit) {
        error_code ec;
        auto const count = receive(batch, limit, ec);
        if (ec && ec != error::timed_out)
            throw system_error{ec, "receive"};
        return count;
    }
    std::size_t receive(packet_batch& batch, std::chrono::nanoseconds limit, error_code& ec) {
        return impl_->receive(batch, static_cast<std::size_t>(-1), limit, ec);
    }

    /// The packets as a move-only input view, without a running context.
    ///
    /// It fetches a packet when that is looked at, never in `++`: `packets() | std::views::take(5)` consumes exactly
    /// five, and the next receive gets the sixth. A packet is valid until the next is fetched. The view ends at the end
    /// of the file, at `close`, and when no packet came for `limit` (negative: never); other errors are thrown.
    auto packets(std::chrono::nanoseconds limit = std::chrono::nanoseconds{-1}) {
        return detail::packet_range{next_packet{impl_, limit}};
    }

private:
    template <class>
    friend class basic_pcap_source;

    struct next_packet {
        std::shared_ptr<detail::pcap_source_impl> impl;
        std::chrono::nanoseconds limit;

        bool operator()(packet_batch& packet) const {
            error_code ec;
            impl->receive(packet, 1, limit, ec);
            if (ec && ec != boost::asio::error::eof && ec != error::timed_out && ec != error::not_open)
                throw system_error{ec, "packets"};
            return !ec;
        }
    };

    Executor executor_;
    std::shared_ptr<detail::pcap_source_impl> impl_;
};

/// A `basic_pcap_source` on any executor.
using pcap_source = basic_pcap_source<>;

static_assert(packet_source<pcap_source>);

} // namespace netring_asio
