#pragma once

#include <netring_asio/detail/conversation_state.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/recycling_allocator.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace netring_asio {

/// A piece of what one side of a conversation sent, as a consumer gets it. Valid until the consumer completes.
struct chunk {
    std::uint64_t offset = 0; ///< of the piece in the stream
    std::span<std::byte const> bytes;
    std::uint64_t missing = 0; ///< instead of bytes: so many were not captured, or not kept
    /// Instead of both, and last: `net::error::eof` where the connection was closed or idle, or the input ended,
    /// `net::error::connection_reset` where it was reset, evicted or reused, `error::reader_too_slow`.
    error_code end;
    timestamp time{}; ///< of the first packet of the piece
    session::side from = session::side::initiator;
};

namespace detail {

template <class T>
inline constexpr bool is_awaitable = false;
template <class T, class Executor>
inline constexpr bool is_awaitable<boost::asio::awaitable<T, Executor>> = true;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class Consumer>
struct consumer_of {
    using type = Consumer;
};
template <class Consumer>
struct consumer_of<std::optional<Consumer>> {
    using type = Consumer;
};

template <class Consumer>
concept awaited_consumer =
    std::invocable<Consumer&, chunk const&> && is_awaitable<std::invoke_result_t<Consumer&, chunk const&>>;

/// Feeds conversations to consumers that the user's factory makes, a chunk of each direction at a time.
template <class State, class Factory>
class conversation_consumers final : public conversation_sink<typename State::key_type>,
                                     public std::enable_shared_from_this<conversation_consumers<State, Factory>> {
    using info_type = conversation_info<typename State::key_type>;
    using made = std::invoke_result_t<Factory&, info_type const&, side>;
    using consumer = typename consumer_of<made>::type;

    /// One direction.
    struct feed final : session::detail::conversation_listener {
        feed(conversation_consumers& in, std::shared_ptr<conversation_queue> from, side which, consumer c)
            : owner{in}
            , queue{std::move(from)}
            , of{which}
            , consume{std::move(c)} {
            queue->listen(of, this);
        }
        ~feed() { queue->close(of); }
        feed(feed const&) = delete;
        feed& operator=(feed const&) = delete;

        void readable(side) noexcept override {
            if (!running && !queued) {
                queued = true;
                owner.ready_.push_back(this);
            }
        }

        conversation_consumers& owner;
        std::shared_ptr<conversation_queue> queue;
        side of;
        consumer consume;
        chunk current;
        boost::asio::cancellation_signal stop;
        typename std::list<feed>::iterator place;
        std::optional<error_code> result; // of a consumer that completed within its initiating call
        bool starting = false;
        bool running = false;
        bool queued = false;
    };

    /// What the consumer completes.
    struct consumed {
        using executor_type = typename State::executor_type;
        using allocator_type = boost::asio::recycling_allocator<void>;
        using cancellation_slot_type = boost::asio::cancellation_slot;
        executor_type get_executor() const noexcept { return state->get_executor(); }
        allocator_type get_allocator() const noexcept { return {}; }
        cancellation_slot_type get_cancellation_slot() const noexcept { return of->stop.slot(); }

        void operator()(error_code error) { consumers->complete(*of, error); }
        void operator()(std::exception_ptr exception) {
            error_code error;
            try {
                if (exception)
                    std::rethrow_exception(exception);
            } catch (system_error const& e) {
                error = e.code() ? e.code() : make_error_code(netring_asio::error::consumer_failed);
            } catch (...) {
                error = netring_asio::error::consumer_failed;
            }
            consumers->complete(*of, error);
        }

        std::shared_ptr<State> state;
        std::shared_ptr<conversation_consumers> consumers;
        feed* of;
    };

public:
    conversation_consumers(State& state, Factory factory)
        : state_{state}
        , factory_{std::move(factory)} {}

    void open(announced<typename State::key_type> const& what) override {
        for (auto const from : {side::initiator, side::responder}) {
            auto result = factory_(what.info, from);
            if constexpr (is_optional<made>) {
                if (result)
                    add(what.queue, from, *std::move(result));
                else
                    what.queue->close(from);
            } else {
                add(what.queue, from, std::move(result));
            }
        }
    }

    void run() override {
        while (!ready_.empty()) {
            auto& f = *ready_.back();
            ready_.pop_back();
            f.queued = false;
            step(f);
        }
    }

    bool idle() const noexcept override { return feeds_.empty(); }

    void stop() override {
        stopped_ = true;
        ready_.clear();
        std::vector<feed*> running;
        for (auto at = feeds_.begin(); at != feeds_.end();) {
            auto& f = *at++;
            if (f.running)
                running.push_back(&f);
            else
                feeds_.erase(f.place);
        }
        for (auto* const f : running)
            f->stop.emit(boost::asio::cancellation_type::all);
    }

private:
    void add(std::shared_ptr<conversation_queue> const& queue, side from, consumer c) {
        auto& f = feeds_.emplace_back(*this, queue, from, std::move(c));
        f.place = std::prev(feeds_.end());
        f.readable(from);
    }

    void step(feed& f) {
        do {
            if (!take(f))
                return;
            f.running = f.starting = true;
            consumed done{state_.shared_from_this(), this->shared_from_this(), &f};
            if constexpr (awaited_consumer<consumer>)
                boost::asio::co_spawn(state_.get_executor(), f.consume(std::as_const(f.current)), std::move(done));
            else
                f.consume(std::as_const(f.current), std::move(done));
            f.starting = false;
        } while (f.result && settle(f, *std::exchange(f.result, std::nullopt)));
    }

    /// Takes the next chunk, if there is one.
    static bool take(feed& f) {
        using session::detail::ending;
        f.current = {};
        f.current.from = f.of;
        if (auto const piece = f.queue->front(f.of)) {
            f.current.offset = piece->offset;
            f.current.bytes = piece->bytes;
            f.current.missing = piece->missing;
            f.current.time = piece->time;
            return true;
        }
        f.current.end = error_of(f.queue->end(f.of));
        return f.current.end.failed();
    }

    void complete(feed& f, error_code error) {
        auto const state = state_.shared_from_this();
        if (f.starting)
            f.result = error;
        else if (settle(f, error))
            step(f);
        state->start();
    }

    /// A chunk was consumed; whether there may be more.
    bool settle(feed& f, error_code error) {
        f.running = false;
        state_.counted.failed += error && !stopped_ ? 1 : 0;
        if (!error && !stopped_ && !f.current.end) {
            f.queue->consume(f.of, f.current.bytes.size());
            return true;
        }
        auto const at = f.place;
        feeds_.erase(at);
        if (feeds_.empty() && (stopped_ || state_.exhausted))
            state_.consuming.ring();
        return false;
    }

    State& state_;
    Factory factory_;
    std::list<feed> feeds_;
    std::vector<feed*> ready_;
    bool stopped_ = false;
};

template <class State>
struct conversation_consume_step {
    using result = std::optional<std::tuple<error_code>>;
    static result failed(error_code error) { return {{error}}; }
    auto& bell(State& s) const noexcept { return s.consuming; }
    bool pulls() const noexcept { return !sink; }

    result take(State& s) const {
        if (sink || !s.exhausted || !s.sink->idle())
            return {};
        s.sink.reset();
        return {{error_code{}}};
    }
    /// Completes once no consumer runs.
    result stop(State& s, error_code error) {
        if (!sink) {
            sink = std::move(s.sink);
            reason = error;
            sink->stop();
        }
        return sink->idle() ? failed(reason) : result{};
    }

    std::shared_ptr<conversation_sink<typename State::key_type>> sink; // once it is stopped
    error_code reason;
};

} // namespace detail
} // namespace netring_asio
