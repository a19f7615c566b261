#pragma once

#include <netring_asio/detail/asio_abi.hpp>
#include <netring_asio/detail/pacer_impl.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/pacer_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

namespace netring_asio {

/// Tells a sender of any kind when its packets may go: by packets a second, bits a second, or both.
///
/// @code
/// nr::pacer pacer{executor, nr::pacer_options{}.packets_per_second(10'000)};
/// for (auto const& packet : packets) {
///     co_await pacer.async_acquire(1, packet.size(), net::use_awaitable);
///     co_await injector.async_send(net::buffer(packet), net::use_awaitable);
/// }
/// @endcode
///
/// Each rate is a token bucket: in any time t go at most `burst + rate * t` packets. Who waits longer than asked,
/// because a timer woke late, catches up with what it missed in up to 10 ms; these may come on top. A sender that
/// always has packets waiting so keeps its rate, as long as nothing holds it up for longer than the burst lasts. An
/// acquire that has to wait at high rates waits for a millisecond's worth, half a burst at most, so that the next ones
/// are granted at once and not every packet costs a wake-up. What is asked for at once should be no more than half a
/// burst; what is larger than the burst waits until all of it is there, and is worked off afterwards.
///
/// @par Operations
/// One acquire may be pending; a second completes with `error::operation_in_progress`.
///
/// @par Cancellation
/// Total, and so partial and terminal: `net::error::operation_aborted`, and nothing was taken. A coroutine passes on
/// terminal cancellation only, unless it calls `this_coro::reset_cancellation_state`.
///
/// @par Executors
/// Handlers run on their associated executor, by default the object's, and never within the initiating function.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, use a strand.
///
/// @par Lifetime
/// Destroying the object completes what is pending with `operation_aborted`; it may be moved meanwhile. A moved-from
/// object may be assigned to or destroyed.
///
/// @tparam Clock measures the time, steadily; for another than the default, `boost::asio::wait_traits` may be
/// specialised.
template <class Executor = boost::asio::any_io_executor, class Clock = std::chrono::steady_clock>
class basic_pacer {
    using impl_type = detail::pacer_impl<Executor, Clock>;

public:
    using executor_type = Executor;
    using clock_type = Clock;

    /// The same object for another executor.
    template <class Other>
    struct rebind_executor {
        using other = basic_pacer<Other, Clock>;
    };

    /// A pacer that holds nothing back.
    explicit basic_pacer(executor_type const& executor)
        : impl_{std::make_shared<impl_type>(executor)} {}
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    explicit basic_pacer(Context& context)
        : basic_pacer{executor_type{context.get_executor()}} {}

    /// A pacer that begins with a burst.
    /// @throws system_error with `error::invalid_option`.
    basic_pacer(executor_type const& executor, pacer_options const& options)
        : basic_pacer{executor} {
        set_options(options, true);
    }
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&>
    basic_pacer(Context& context, pacer_options const& options)
        : basic_pacer{executor_type{context.get_executor()}, options} {}

    basic_pacer(basic_pacer&&) noexcept = default;
    basic_pacer& operator=(basic_pacer&& other) noexcept {
        if (this != &other && impl_)
            impl_->cancel();
        impl_ = std::move(other.impl_);
        return *this;
    }
    /// Converts from a pacer with another executor type. Nothing may be pending on it.
    template <class Other>
        requires(!std::same_as<Other, Executor> && std::convertible_to<Other, Executor>)
    basic_pacer(basic_pacer<Other, Clock>&& other)
        : impl_{std::make_shared<impl_type>(std::move(*other.impl_))} {}

    ~basic_pacer() {
        if (impl_)
            impl_->cancel();
    }

    executor_type get_executor() const noexcept { return impl_->timer.get_executor(); }

    pacer_options const& options() const noexcept { return impl_->options; }

    /// Changes the rates, also while an acquire is pending, which then goes by the new ones. There is no new burst: it
    /// has to be saved up. Without effect where that fails, with `error::invalid_option`.
    void set_options(pacer_options const& options) { set_options(options, false); }
    void set_options(pacer_options const& options, error_code& ec) { impl_->set_options(options, false, ec); }

    /// Completes what is pending with `operation_aborted`.
    void cancel() { impl_->cancel(); }

    /// Takes leave for so many packets of so many bytes together, and tells whether it was given; never while an
    /// acquire is pending. At most 2^31 of each count.
    bool try_acquire(std::size_t packets, std::size_t bytes) {
        return !impl_->acquiring && impl_->take({packets, bytes}, false);
    }

    /// Waits until so many packets of so many bytes together may go, blocking the calling thread. Nothing may be
    /// pending.
    void acquire(std::size_t packets, std::size_t bytes) {
        detail::pace_request const request{packets, bytes};
        for (bool waited = false; !impl_->take(request, waited); waited = true)
            std::this_thread::sleep_until(impl_->wake(request));
    }

    /// Waits until so many packets of so many bytes together may go.
    ///
    /// @par Completion signature
    /// `void(error_code)`
    ///
    /// @par Errors
    /// `operation_aborted`, `error::operation_in_progress`.
    template <boost::asio::completion_token_for<void(error_code)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_acquire(std::size_t packets, std::size_t bytes,
                       Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(detail::initiate_pace<impl_type>{impl_}, token,
                                                                    detail::pace_request{packets, bytes});
    }

private:
    template <class, class>
    friend class basic_pacer;

    void set_options(pacer_options const& options, bool burst) {
        error_code ec;
        impl_->set_options(options, burst, ec);
        if (ec)
            throw system_error{ec, "pacer_options"};
    }

    std::shared_ptr<impl_type> impl_;
};

/// A pacer for any executor.
using pacer = basic_pacer<>;

} // namespace netring_asio
