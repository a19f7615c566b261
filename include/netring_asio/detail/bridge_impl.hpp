#pragma once

#include <netring_asio/bridge_packet.hpp>
#include <netring_asio/detail/bridge_direction.hpp>
#include <netring_asio/error.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/wait_traits.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace netring_asio::detail {

/// What a bridge and its run share. `Ends` is what it receives from and sends to.
template <class Executor, template <class> class Ends>
struct bridge_impl : std::enable_shared_from_this<bridge_impl<Executor, Ends>> {
    using executor_type = Executor;
    using clock = std::chrono::steady_clock;
    using timer = boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, Executor>;
    using ends_type = Ends<Executor>;
    using options_type = typename ends_type::options_type;
    using direction = bridge_direction<bridge_impl, typename ends_type::source_type, typename ends_type::sink_type>;

    explicit bridge_impl(Executor const& executor)
        : ends{executor}
        , done{executor}
        , stop_timer{executor} {}
    template <class Other>
    explicit bridge_impl(bridge_impl<Other, Ends>&& other)
        : options{std::move(other.options)}
        , ends{std::move(other.ends)}
        , done{std::move(other.done)}
        , stop_timer{std::move(other.stop_timer)} {}

    Executor get_executor() noexcept { return done.get_executor(); }
    bool is_open() const noexcept { return ends.is_open(); }

    void open(options_type const& wanted) {
        if (is_open())
            throw system_error{error::already_open, "open"};
        if (wanted.stop_limit().count() < 1)
            throw system_error{error::invalid_option, "stop_limit"};
        try {
            ends.open(wanted);
        } catch (...) {
            ends.close();
            throw;
        }
        options = wanted;
    }

    error_code begin_run() {
        if (!is_open())
            return error::not_open;
        if (state != run_state::idle)
            return error::operation_in_progress;
        if (auto const ec = ends.resume())
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
        ends.pause();
        expire_after(options.longest_delay(), [](bridge_impl& self) {
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
        ends.close();
    }

    void ended() {
        if (!left_to_right.has_ended() || !right_to_left.has_ended())
            return;
        stop_timer.cancel();
        done.cancel();
    }

    options_type options = ends_type::no_options();
    ends_type ends;
    direction left_to_right{*this, ends.source(bridge_side::left), ends.sink(bridge_side::right), bridge_side::left};
    direction right_to_left{*this, ends.source(bridge_side::right), ends.sink(bridge_side::left), bridge_side::right};
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
