#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/detail/pipe_op.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/flow/event_batch.hpp>
#include <netring_asio/subscription/engine.hpp>

#include <boost/asio/associator.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace netring_asio::detail {

/// A timer that never expires, to wait for somebody else on the executor.
template <class Executor>
using endless_timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                        boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

/// What the stream of all subscriptions and each of them share; outlives either.
template <class Executor>
struct subscription_hub {
    explicit subscription_hub(Executor const& executor)
        : room{executor, endless_timer<Executor>::time_point::max()} {}

    /// Somebody took something.
    void taken() {
        if (!waiting || woken)
            return;
        woken = true;
        room.cancel();
    }
    /// The source has ended, or the stream is gone: whoever waits is told.
    void tell_all() {
        std::erase_if(outlets, [](auto const& outlet) { return outlet.expired(); });
        for (auto const& outlet : std::vector{outlets})
            if (auto const shared = outlet.lock())
                shared->notify();
    }

    void unsubscribe(subscription::any_outlet& from) {
        if (engine == nullptr)
            return;
        engine->unsubscribe(from);
        if (changed)
            changed();
    }

    endless_timer<Executor> room;
    std::function<void()> changed;          // the subscriptions have; cleared with engine
    subscription::engine* engine = nullptr; // none: it is gone
    std::vector<std::weak_ptr<subscription::any_outlet>> outlets;
    std::vector<std::shared_ptr<subscription::any_outlet>> full;
    bool waiting = false; // for room
    bool woken = false;   // because there is some
    bool ended = false;   // the source has
};

/// The outlet of one subscription, and its pending operation.
template <class Executor, class Options>
class subscription_outlet final : public subscription::outlet<Options>,
                                  public std::enable_shared_from_this<subscription_outlet<Executor, Options>> {
public:
    using executor_type = Executor;
    using item_type = typename Options::item_type;
    using batch_type = flow::batch_of<item_type>;

    subscription_outlet(std::shared_ptr<subscription_hub<Executor>> hub, Options options)
        : subscription::outlet<Options>{std::move(options)}
        , hub_{std::move(hub)}
        , bell_{hub_->room.get_executor(), endless_timer<Executor>::time_point::max()}
        , pool_{std::make_shared<flow::detail::event_pool<item_type>>()} {}

    executor_type get_executor() const noexcept { return hub_->room.get_executor(); }
    subscription_hub<Executor>& hub() noexcept { return *hub_; }

    void notify() override {
        if (waiting_)
            bell_.cancel();
    }

    error_code begin_receiving() noexcept {
        return std::exchange(receiving, true) ? make_error_code(error::operation_in_progress) : error_code{};
    }
    bool ready() const noexcept { return !this->empty() || hub_->ended || closed_ || hub_->engine == nullptr; }
    error_code failure() const noexcept {
        return !closed_ && hub_->ended              ? error_code{boost::asio::error::eof}
               : closed_ || hub_->engine == nullptr ? error_code{boost::asio::error::operation_aborted}
                                                    : error_code{};
    }

    batch_type take_batch() {
        auto items = pool_->take();
        auto const dropped = this->take(items) + std::exchange(discarded_, 0);
        hub_->taken();
        return {std::move(items), pool_, dropped};
    }
    std::tuple<error_code, std::size_t> deliver(batch_type& out, error_code error) {
        receiving = false;
        if (error || this->empty())
            return {error ? error : failure(), 0};
        out = take_batch();
        return {error_code{}, out.size()};
    }

    void cancel() {
        ++cancels;
        cancelled_ = receiving;
        notify();
        if (receiving && !waiting_)
            pipe_cancellation.emit(boost::asio::cancellation_type::total);
    }
    /// Ends the subscription, and what is pending.
    void unsubscribe() {
        hub_->unsubscribe(*this);
        closed_ = true;
        hub_->taken();
        notify();
    }
    void close() {
        unsubscribe();
        cancel();
    }
    bool wants_pause() const noexcept override { return !closed_ && subscription::outlet<Options>::wants_pause(); }

    template <class Op>
    void wait(Op op) {
        waiting_ = true;
        cancelled_ = false;
        bell_.async_wait(std::move(op));
    }
    /// How a wait ended.
    error_code end_waiting() {
        waiting_ = false;
        return std::exchange(cancelled_, false) || !ready() ? error_code{boost::asio::error::operation_aborted}
                                                            : error_code{};
    }

    // What a pipe needs.
    template <class Channel>
    using message_type = batch_type;
    template <class Channel>
    batch_type take_message() {
        return take_batch();
    }
    template <class Handler>
    void fill(Handler&& handler);
    void count_discarded(std::size_t count) noexcept { discarded_ += count; }

    boost::asio::cancellation_signal pipe_cancellation;
    unsigned cancels = 0;
    bool receiving = false;

private:
    std::shared_ptr<subscription_hub<Executor>> hub_;
    endless_timer<Executor> bell_;
    std::shared_ptr<flow::detail::event_pool<item_type>> pool_;
    std::uint64_t discarded_ = 0; // items that a channel destroyed
    bool waiting_ = false;
    bool cancelled_ = false;
    bool closed_ = false;
};

/// Hands items to a function as they come.
template <class Options, class Function>
class subscription_callback final : public subscription::outlet<Options> {
public:
    subscription_callback(Options options, Function function)
        : subscription::outlet<Options>{std::move(options)}
        , function_{std::move(function)} {}

    void notify() override {
        this->take(items_);
        for (auto const& item : items_)
            function_(item);
        items_.clear();
    }

private:
    Function function_;
    std::vector<typename Options::item_type> items_;
};

/// What a receive takes from an outlet.
template <class Outlet>
struct subscription_receive_step {
    auto take(Outlet& from, error_code error) const { return from.deliver(*out, error); }
    typename Outlet::batch_type* out;
};

/// What a pipe takes: nothing yet.
template <class Outlet>
struct subscription_fill_step {
    std::tuple<error_code> take(Outlet& from, error_code error) const {
        return {error || !from.empty() ? error : from.failure()};
    }
};

/// The pending operation of a subscription.
template <class Outlet, class Step, class Handler>
class subscription_receive_op {
public:
    subscription_receive_op(std::shared_ptr<Outlet> from, Step step, Handler handler)
        : from_{std::move(from)}
        , step_{step}
        , handler_{std::move(handler)} {}

    Handler const& handler() const noexcept { return handler_; }

    void wait() {
        auto& from = *from_;
        from.wait(std::move(*this));
    }
    void operator()(error_code) {
        auto const results = step_.take(*from_, from_->end_waiting());
        from_.reset();
        std::apply(std::move(handler_), results);
    }

private:
    std::shared_ptr<Outlet> from_;
    Step step_;
    Handler handler_;
};

template <class Outlet, class Step, class Handler>
void start_subscription_receive(std::shared_ptr<Outlet> const& from, Step step, Handler&& handler) {
    if (from->ready())
        return std::apply(
            [&](auto... results) {
                complete_immediately(from->get_executor(), std::forward<Handler>(handler), results...);
            },
            step.take(*from, {}));
    subscription_receive_op<Outlet, Step, std::decay_t<Handler>>{from, step, std::forward<Handler>(handler)}.wait();
}

template <class Executor, class Options>
template <class Handler>
void subscription_outlet<Executor, Options>::fill(Handler&& handler) {
    start_subscription_receive(this->shared_from_this(), subscription_fill_step<subscription_outlet>{},
                               std::forward<Handler>(handler));
}

/// The initiation of a subscription's `async_receive`.
template <class Outlet>
class initiate_subscription_receive {
public:
    using executor_type = typename Outlet::executor_type;

    explicit initiate_subscription_receive(std::shared_ptr<Outlet> from) noexcept
        : from_{std::move(from)} {}

    executor_type get_executor() const noexcept { return from_->get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler, typename Outlet::batch_type* out) const {
        if (auto const error = from_->begin_receiving())
            return complete_immediately(get_executor(), std::forward<Handler>(handler), error, std::size_t{0});
        out->reset();
        start_subscription_receive(from_, subscription_receive_step<Outlet>{out}, std::forward<Handler>(handler));
    }

private:
    std::shared_ptr<Outlet> from_;
};

/// Goes on when there is room in all outlets that were full.
template <class Executor, class Handler>
class subscription_room_op {
public:
    subscription_room_op(std::shared_ptr<subscription_hub<Executor>> hub, Handler handler)
        : hub_{std::move(hub)}
        , handler_{std::move(handler)} {}

    Handler const& handler() const noexcept { return handler_; }

    void operator()() {
        auto& hub = *hub_;
        std::erase_if(hub.full, [](auto const& outlet) { return !outlet->wants_pause(); });
        if (hub.full.empty())
            return std::move(handler_)(error_code{});
        hub.waiting = true;
        hub.woken = false;
        hub.room.async_wait(std::move(*this));
    }
    void operator()(error_code) {
        hub_->waiting = false;
        if (hub_->woken)
            return (*this)();
        hub_->full.clear();
        std::move(handler_)(error_code{}); // which knows that it was cancelled
    }

private:
    std::shared_ptr<subscription_hub<Executor>> hub_;
    Handler handler_;
};

/// Takes the outlets that were filled as a channel would: tells who waits for them, and holds the stream up where one
/// is full.
template <class Executor>
class subscription_dispatcher {
public:
    explicit subscription_dispatcher(std::shared_ptr<subscription_hub<Executor>> hub) noexcept
        : hub_{std::move(hub)} {}

    template <class Batch, class Handler>
    void async_send(error_code end, Batch filled, Handler&& handler) {
        if (end) {
            hub_->ended = true;
            hub_->tell_all();
        }
        for (auto const& outlet : filled) {
            outlet->notify();
            if (outlet->wants_pause())
                hub_->full.push_back(outlet);
        }
        subscription_room_op<Executor, std::decay_t<Handler>>{hub_, std::forward<Handler>(handler)}();
    }

private:
    std::shared_ptr<subscription_hub<Executor>> hub_;
};

} // namespace netring_asio::detail

template <template <class, class> class Associator, class Outlet, class Step, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::subscription_receive_op<Outlet, Step, Handler>,
                               Default> : Associator<Handler, Default> {
    using op = netring_asio::detail::subscription_receive_op<Outlet, Step, Handler>;
    static auto get(op const& o) noexcept { return Associator<Handler, Default>::get(o.handler()); }
    static auto get(op const& o, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(o.handler(), fallback);
    }
};

template <template <class, class> class Associator, class Executor, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::subscription_room_op<Executor, Handler>, Default>
    : Associator<Handler, Default> {
    using op = netring_asio::detail::subscription_room_op<Executor, Handler>;
    static auto get(op const& o) noexcept { return Associator<Handler, Default>::get(o.handler()); }
    static auto get(op const& o, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(o.handler(), fallback);
    }
};
