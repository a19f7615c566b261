#pragma once

#include <netring_asio/error.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/intrusive/list.hpp>

#include <chrono>
#include <utility>

namespace netring_asio::detail {

/// Where an operation waits for something to happen. Ringing it completes the wait.
template <class Executor>
class bell : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    using steady_clock = std::chrono::steady_clock;

public:
    explicit bell(Executor const& executor)
        : timer_{executor, steady_clock::time_point::max()} {}

    template <class Handler>
    void async_wait(Handler&& handler) {
        timer_.async_wait(std::forward<Handler>(handler));
    }
    void ring() noexcept {
        this->unlink();
        timer_.cancel();
    }

    bool busy = false; // an operation is pending
    error_code error;  // with which it has to end

private:
    boost::asio::basic_waitable_timer<steady_clock, boost::asio::wait_traits<steady_clock>, Executor> timer_;
};

/// Operations that wait, each at its bell.
template <class Executor>
class waiting_bells {
public:
    void push_back(bell<Executor>& where) noexcept {
        where.error = {};
        list_.push_back(where);
    }
    bool empty() const noexcept { return list_.empty(); }
    /// Ends all of them.
    void fail(error_code const& error) noexcept {
        while (!list_.empty()) {
            auto& where = list_.front();
            where.error = error;
            where.ring();
        }
    }

private:
    boost::intrusive::list<bell<Executor>, boost::intrusive::constant_time_size<false>> list_;
};

} // namespace netring_asio::detail
