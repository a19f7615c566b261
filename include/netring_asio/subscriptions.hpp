#pragma once

#include <netring_asio/channel.hpp>
#include <netring_asio/detail/flow_receive_op.hpp>
#include <netring_asio/detail/flow_stream_state.hpp>
#include <netring_asio/detail/pipe_op.hpp>
#include <netring_asio/detail/source_bypass.hpp>
#include <netring_asio/detail/subscription_outlet.hpp>
#include <netring_asio/packet_source.hpp>
#include <netring_asio/subscription/engine.hpp>

#include <boost/asio/async_result.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

namespace netring_asio {

/// One subscription of `subscriptions`; while it lives, its items come.
///
/// @par Operations
/// One `async_receive` or `async_pipe` at a time. A second one completes with `error::operation_in_progress`.
///
/// @par Lifetime
/// May outlive the `subscriptions`; what was delivered by then can still be received. Destruction ends the
/// subscription, and what is pending with `net::error::operation_aborted`.
///
/// @par Thread safety
/// As the `subscriptions` that it is of: use both on one strand. To another thread use `async_pipe`.
///
/// @tparam Options `subscription::packets`, `subscription::connections` or `subscription::sessions`
template <class Options, class Executor>
class subscriber {
    using outlet = detail::subscription_outlet<Executor, Options>;

public:
    using executor_type = Executor;
    using item_type = typename Options::item_type;
    using batch = flow::batch_of<item_type>;

    subscriber(subscriber&&) noexcept = default;
    subscriber& operator=(subscriber&& other) noexcept {
        subscriber moved{std::move(other)};
        std::swap(outlet_, moved.outlet_);
        return *this;
    }
    ~subscriber() {
        if (outlet_)
            outlet_->close();
    }

    executor_type get_executor() const noexcept { return outlet_->get_executor(); }
    Options const& options() const noexcept { return outlet_->options(); }
    subscription::subscription_statistics const& statistics() const noexcept { return outlet_->statistics(); }

    /// Ends a pending operation with `net::error::operation_aborted`. What waits stays for the next one.
    void cancel() { outlet_->cancel(); }
    /// Ends the subscription. What waits can still be received, then `net::error::operation_aborted`.
    void unsubscribe() { outlet_->unsubscribe(); }

    /// Gives what waits, oldest first. Returns false, with an empty batch, if nothing does, or an operation is pending.
    bool try_receive(batch& items) {
        if (outlet_->receiving)
            return false;
        items.reset();
        if (outlet_->empty())
            return false;
        items = outlet_->take_batch();
        return true;
    }

    /// Waits for items.
    ///
    /// @par Completion signature
    /// `void(error_code, std::size_t items)`; never zero items without an error.
    ///
    /// @param items filled before completion, with all that waits; what it held is released at initiation. It must stay
    /// valid until then. After a race with another operation look at the batch, not at which of them won. Its
    /// `dropped()` says how many items were lost before it.
    ///
    /// @par Errors
    /// `net::error::eof` after the last item of a source that ended; `net::error::operation_aborted`, also where the
    /// `subscriptions` are gone; `error::operation_in_progress`. What the source fails with is told by `async_run`.
    ///
    /// @par Cancellation
    /// Total. Nothing is lost.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(batch& items, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiate_subscription_receive<outlet>{outlet_}, token, &items);
    }

    /// Sends every batch of items to a channel of yours of `void(error_code, batch)`, for instance a
    /// `concurrent_channel` to another thread, until cancelled or until the source ends, which is sent as `(eof, {})`.
    ///
    /// @par Completion signature, cancellation
    /// As `flow_stream::async_pipe`.
    template <channel_of<batch> Channel, boost::asio::completion_token_for<void(error_code)> Token =
                                             boost::asio::default_completion_token_t<executor_type>>
    auto async_pipe(Channel& channel, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(detail::initiate_pipe<outlet>{outlet_}, token,
                                                                    &channel);
    }

private:
    template <packet_source>
    friend class subscriptions;
    explicit subscriber(std::shared_ptr<outlet> from) noexcept
        : outlet_{std::move(from)} {}

    std::shared_ptr<outlet> outlet_;
};

/// What is wanted of the packets of a source, declared: frames, connections, and messages by expression.
///
/// @code
/// nr::subscriptions interest{nr::capture{executor, nr::capture_options{"eth0"}}};
/// auto frames = interest.subscribe(nr::subscription::packets{nr::subscription::expression{"tls.sni ~ 'example'"}});
/// interest.async_run(net::detached);
/// decltype(frames)::batch batch;
/// co_await frames.async_receive(batch);
/// @endcode
///
/// Runs ahead of its consumers: while `async_run` is pending, the source is read, and what is found waits for each
/// subscription, within its bounds.
///
/// @par Moving
/// Allowed at any time, also with an operation pending. A moved-from object may only be assigned to or destroyed.
///
/// @par Destruction
/// Closes the source; what is pending, also at its subscriptions, completes with `net::error::operation_aborted`.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe. It, its subscriptions and the handlers of their operations must not
/// run at the same time: use a context run by one thread, or a strand.
template <packet_source Source>
class subscriptions {
public:
    using source_type = Source;
    using executor_type = typename Source::executor_type;
    template <class Options>
    using subscriber_of = subscriber<Options, executor_type>;

    /// The same over its source on another executor type.
    template <class Executor>
    struct rebind_executor {
        using other = subscriptions<typename Source::template rebind_executor<Executor>::other>;
    };

    explicit subscriptions(Source source, subscription::engine_options const& options = subscription::engine_options{})
        : state_{std::make_shared<state>(std::move(source), subscription::engine{options})} {}

    subscriptions(subscriptions&&) noexcept = default;
    subscriptions& operator=(subscriptions&& other) noexcept {
        subscriptions moved{std::move(other)};
        std::swap(state_, moved.state_);
        return *this;
    }
    /// From one over a convertible source, which has no subscriptions yet and no operation pending.
    template <class Other>
        requires(!std::same_as<Other, Source> && std::constructible_from<Source, Other &&>)
    subscriptions(subscriptions<Other>&& other)
        : state_{std::make_shared<state>(Source{std::move(other.state_->source)}, std::move(other.state_->tracker))} {
        other.state_.reset();
    }
    ~subscriptions() {
        if (!state_)
            return;
        if (state_->receiving) {
            state_->closed = true;
            state_->cancel();
            state_->source.close();
        }
        state_->hub->engine = nullptr;
        state_->hub->changed = nullptr;
        state_->hub->tell_all();
    }

    executor_type get_executor() const noexcept { return state_->source.get_executor(); }
    Source& source() noexcept { return state_->source; }
    Source const& source() const noexcept { return state_->source; }

    /// Ends a pending `async_run` with `net::error::operation_aborted`. It may be started again, and goes on.
    void cancel() { state_->cancel(); }
    /// Closes the source and ends what is pending.
    void close() {
        cancel();
        state_->source.close();
    }

    /// Asks for something, also while running; what comes from here on is looked at.
    template <class Options>
    subscriber_of<Options> subscribe(Options options) {
        using outlet = detail::subscription_outlet<executor_type, Options>;
        auto to = std::make_shared<outlet>(state_->hub, std::move(options));
        add(to);
        return subscriber_of<Options>{std::move(to)};
    }
    /// Hands each item to a function, within `async_run` on its executor. Returns what ends the subscription when it
    /// is the last reference that goes; the function may also end it itself.
    template <class Options, std::invocable<typename Options::item_type const&> Function>
    [[nodiscard]] std::shared_ptr<void> subscribe(Options options, Function function) {
        using outlet = detail::subscription_callback<Options, Function>;
        auto to = std::make_shared<outlet>(std::move(options), std::move(function));
        add(to);
        return {to.get(), [to, hub = state_->hub](void*) { hub->unsubscribe(*to); }};
    }

    /// Keeps the source's filter at what the subscriptions need, so that the kernel drops all else, as they come and
    /// go. It takes the place of the filter that the source has; `own` is a filter that packets must pass besides. For
    /// a source with a `set_filter`, as `capture` and `xdp_socket` have. An XDP program passes to the stack what is not
    /// needed, and, where `xdp_options::bypass` made room, connections that all subscriptions have decided against.
    ///
    /// The subscriptions must be the source's only consumers. They own it, and a source that others see the packets of,
    /// as `tapped`, has no `set_filter`; for who reads `source()` besides there is `share_source`.
    ///
    /// What is dropped or passed over in the kernel is in no statistics here.
    void push_down(bool value, std::string own = {})
        requires requires(Source& s, std::string text, error_code& ec) { s.set_filter(text, ec); }
    {
        auto* const s = state_.get();
        s->hub->changed = [s, value, own = std::move(own)] {
            auto const alone = value && s->sharing.expired();
            if constexpr (detail::bypassing_source<Source>)
                if (alone != (s->bypass != nullptr)) {
                    s->bypass = alone ? std::make_shared<detail::source_bypass<Source>>(s->source) : nullptr;
                    s->tracker.bypass(s->bypass);
                }
            auto const needed = alone ? s->tracker.needed() : std::string{};
            error_code error;
            s->source.set_filter(own.empty()      ? needed
                                 : needed.empty() ? own
                                                  : "(" + own + ") and (" + needed + ")",
                                 error);
            if (error) // more than the kernel takes: everything passes
                s->source.set_filter(own, error);
        };
        s->hub->changed();
        if (!value)
            s->hub->changed = nullptr;
    }

    /// Has everything come from the source while the result lives, whatever `push_down` said: for who reads `source()`
    /// besides.
    [[nodiscard]] std::shared_ptr<void> share_source() {
        auto result = state_->sharing.lock();
        if (!result) {
            result = {state_.get(), [hub = state_->hub](void*) {
                          if (hub->changed)
                              hub->changed();
                      }};
            state_->sharing = result;
            if (state_->hub->changed)
                state_->hub->changed();
        }
        return result;
    }

    flow::tracker_statistics tracking() const noexcept { return state_->tracker.tracking(); }
    subscription::engine_statistics statistics() const noexcept { return state_->tracker.statistics(); }

    /// Reads the source and delivers, until it ends or the operation is cancelled.
    ///
    /// @par Completion signature
    /// `void(error_code)`: success when the source has ended and everything was delivered.
    ///
    /// @par Errors
    /// `net::error::operation_aborted`; `error::operation_in_progress`; what the source reports.
    ///
    /// @par Cancellation
    /// Total. What was found waits at the subscriptions, and the operation may be started again.
    template <boost::asio::completion_token_for<void(error_code)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_run(Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code)>(detail::initiate_pipe<stream_state>{state_}, token,
                                                                    &state_->dispatcher);
    }

private:
    template <packet_source>
    friend class subscriptions;

    using stream_state = detail::flow_stream_state<Source, subscription::engine>;
    using hub = detail::subscription_hub<executor_type>;
    struct state final : stream_state {
        state(Source from, subscription::engine with)
            : stream_state{std::move(from), std::move(with)}
            , hub{std::make_shared<subscriptions::hub>(this->source.get_executor())}
            , dispatcher{hub} {
            hub->engine = &this->tracker;
        }
        std::shared_ptr<subscriptions::hub> hub;
        std::shared_ptr<subscription::connection_bypass> bypass; // where pushed down
        std::weak_ptr<void> sharing;                             // of the source
        detail::subscription_dispatcher<executor_type> dispatcher;
    };

    template <class Outlet>
    void add(std::shared_ptr<Outlet> const& to) {
        using base = subscription::outlet<typename Outlet::options_type>;
        state_->tracker.subscribe(std::static_pointer_cast<base>(to));
        std::erase_if(state_->hub->outlets, [](auto const& outlet) { return outlet.expired(); });
        state_->hub->outlets.push_back(to);
        if (state_->hub->changed)
            state_->hub->changed();
    }

    std::shared_ptr<state> state_;
};

template <class Source>
subscriptions(Source) -> subscriptions<Source>;
template <class Source>
subscriptions(Source, subscription::engine_options) -> subscriptions<Source>;

} // namespace netring_asio
