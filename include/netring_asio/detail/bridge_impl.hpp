#pragma once

#include <netring_asio/bridge_options.hpp>
#include <netring_asio/capture.hpp>
#include <netring_asio/detail/bridge_direction.hpp>
#include <netring_asio/injector.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/wait_traits.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace netring_asio::detail {

/// What a bridge and its run share.
template <class Executor>
struct bridge_impl : std::enable_shared_from_this<bridge_impl<Executor>> {
    using executor_type = Executor;
    using clock = std::chrono::steady_clock;
    using timer = boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, Executor>;
    using direction = bridge_direction<bridge_impl, basic_capture<Executor>, basic_injector<Executor>>;

    explicit bridge_impl(Executor const& executor)
        : left_source{executor}
        , right_source{executor}
        , left_sink{executor}
        , right_sink{executor}
        , done{executor}
        , stop_timer{executor} {}
    template <class Other>
    explicit bridge_impl(bridge_impl<Other>&& other)
        : options{std::move(other.options)}
        , left_source{std::move(other.left_source)}
        , right_source{std::move(other.right_source)}
        , left_sink{std::move(other.left_sink)}
        , right_sink{std::move(other.right_sink)}
        , done{std::move(other.done)}
        , stop_timer{std::move(other.stop_timer)} {}

    Executor get_executor() noexcept { return done.get_executor(); }
    bool is_open() const noexcept { return left_source.is_open(); }

    void open(bridge_options const& wanted) {
        if (is_open())
            throw system_error{error::already_open, "open"};
        if (wanted.stop_limit().count() < 1)
            throw system_error{error::invalid_option, "stop_limit"};
        try {
            // Sinks first, so that nothing comes that could not be sent.
            left_sink.open(wanted.sending(bridge_side::left));
            right_sink.open(wanted.sending(bridge_side::right));
            if (left_sink.link() != right_sink.link())
                throw system_error{error::mixed_link_types, "open"};
            left_source.open(wanted.receiving(bridge_side::left));
            right_source.open(wanted.receiving(bridge_side::right));
        } catch (...) {
            close();
            throw;
        }
        options = wanted;
    }

    error_code begin_run() {
        if (!is_open())
            return error::not_open;
        if (state != run_state::idle)
            return error::operation_in_progress;
        error_code ec;
        left_source.resume(ec);
        if (!ec)
            right_source.resume(ec);
        if (ec)
            return ec;
        state = run_state::running;
        done.expires_at(clock::time_point::max());
        return {};
    }

    void start() {
        left_to_right.start();
        right_to_left.start();
    }

    void fail(error_code ec) {
        if (state == run_state::running)
            stop(ec);
    }

    /// Ends the run once everything that has come until now is sent.
    void stop(error_code why) {
        if (state != run_state::running)
            return;
        state = run_state::stopping;
        result = why;
        error_code ignored;
        left_source.pause(ignored);
        right_source.pause(ignored);
        // The block that the kernel is filling is closed by its timeout, which some kernels round up to their tick.
        expire_after(2 * options.block_timeout() + std::chrono::milliseconds{10}, [](bridge_impl& self) {
            self.left_to_right.finish();
            self.right_to_left.finish();
            self.expire_after(self.options.stop_limit(), [](bridge_impl& late) {
                late.left_to_right.abandon();
                late.right_to_left.abandon();
            });
        });
    }

    void cancel() { stop(boost::asio::error::operation_aborted); }

    void close() {
        if (state == run_state::running)
            result = boost::asio::error::operation_aborted;
        if (state != run_state::idle)
            state = run_state::stopping;
        stop_timer.cancel();
        left_source.close();
        right_source.close();
        left_sink.close();
        right_sink.close();
    }

    void ended() {
        if (!left_to_right.has_ended() || !right_to_left.has_ended())
            return;
        stop_timer.cancel();
        done.cancel();
    }

    bridge_options options{std::string{}, std::string{}};
    basic_capture<Executor> left_source, right_source;
    basic_injector<Executor> left_sink, right_sink;
    direction left_to_right{*this, left_source, right_sink, bridge_side::left};
    direction right_to_left{*this, right_source, left_sink, bridge_side::right};
    timer done; // of the run: cancelled when it ends
    timer stop_timer;
    enum class run_state : std::uint8_t { idle, running, stopping } state = run_state::idle;
    error_code result;

private:
    template <class Function>
    void expire_after(std::chrono::milliseconds time, Function function) {
        stop_timer.expires_after(time);
        stop_timer.async_wait([self = this->shared_from_this(), function](error_code ec) {
            if (!ec)
                function(*self);
        });
    }
};

} // namespace netring_asio::detail
