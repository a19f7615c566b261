#pragma once

#include <netring_asio/detail/bell.hpp>
#include <netring_asio/detail/handler_memory.hpp>
#include <netring_asio/detail/waiting_op.hpp>
#include <netring_asio/error.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace netring_asio {

/// What happens where a consumer of a broadcast is too slow.
enum class slow_consumer : std::uint8_t {
    loses_oldest, ///< it does, and is told how many; the others notice nothing
    holds_up,     ///< the stream is not read until there is room: nobody loses anything
};

/// How a `broadcast` works.
class broadcast_options {
public:
    broadcast_options() = default;

    /// Batches that wait for one consumer. Default 256, at least 1.
    broadcast_options& max_queued(std::size_t value) noexcept {
        return max_queued_ = std::max<std::size_t>(value, 1), *this;
    }
    /// Default: it loses the oldest.
    broadcast_options& when_full(slow_consumer value) noexcept { return when_full_ = value, *this; }

    std::size_t max_queued() const noexcept { return max_queued_; }
    slow_consumer when_full() const noexcept { return when_full_; }

private:
    std::size_t max_queued_ = 256;
    slow_consumer when_full_ = slow_consumer::loses_oldest;
};

/// A batch of events that several consumers share; none of them changes it.
///
/// @par Lifetime
/// A cheap copyable handle that may outlive the stream and the `io_context`, and be released on any thread.
template <class Batch>
class shared_batch {
public:
    using value_type = typename Batch::value_type;
    using const_iterator = typename Batch::const_iterator;
    using iterator = const_iterator;

    shared_batch() noexcept = default;
    shared_batch(std::shared_ptr<Batch const> batch, std::uint64_t missed) noexcept
        : batch_{std::move(batch)}
        , missed_{missed} {}

    std::size_t size() const noexcept { return batch_ ? batch_->size() : 0; }
    bool empty() const noexcept { return size() == 0; }
    value_type const& operator[](std::size_t i) const noexcept { return (*batch_)[i]; }
    const_iterator begin() const noexcept { return batch_ ? batch_->begin() : const_iterator{}; }
    const_iterator end() const noexcept { return batch_ ? batch_->end() : const_iterator{}; }

    /// Events before this batch that this consumer lost because it was too slow.
    std::uint64_t missed() const noexcept { return missed_; }

private:
    std::shared_ptr<Batch const> batch_;
    std::uint64_t missed_ = 0;
};

/// How far a consumer is behind.
struct consumer_lag {
    std::size_t batches = 0;  ///< that wait for it now
    std::size_t events = 0;   ///< in these
    std::uint64_t missed = 0; ///< events that it has lost until now
};

namespace detail {

template <class Stream>
struct broadcast_state;

/// A consumer, and what waits for it.
template <class Stream>
struct broadcast_link {
    using batch = typename Stream::event_batch;

    explicit broadcast_link(std::shared_ptr<broadcast_state<Stream>> of)
        : state{std::move(of)}
        , receiving{state->get_executor()} {
        state->links.push_back(this);
    }
    ~broadcast_link() {
        std::erase(state->links, this);
        state->start();
    }
    broadcast_link(broadcast_link const&) = delete;
    broadcast_link& operator=(broadcast_link const&) = delete;

    bool full() const noexcept { return queue.size() >= state->options.max_queued(); }
    void push(std::shared_ptr<batch const> const& events) {
        if (full()) {
            auto const count = queue.front()->size();
            queued_events -= count;
            missed_before += count;
            missed += count;
            queue.pop_front();
        }
        queue.push_back(events);
        queued_events += events->size();
        receiving.ring();
    }
    shared_batch<batch> pop() {
        auto events = std::move(queue.front());
        queue.pop_front();
        queued_events -= events->size();
        state->start();
        return {std::move(events), std::exchange(missed_before, 0)};
    }

    std::shared_ptr<broadcast_state<Stream>> state;
    bell<typename Stream::executor_type> receiving;
    std::deque<std::shared_ptr<batch const>> queue;
    std::size_t queued_events = 0;
    std::uint64_t missed_before = 0; // what is told with the next batch
    std::uint64_t missed = 0;
    error_code failure;
};

/// What a broadcast and its consumers share. The stream is read while one of them waits.
template <class Stream>
struct broadcast_state : std::enable_shared_from_this<broadcast_state<Stream>> {
    using executor_type = typename Stream::executor_type;
    using batch = typename Stream::event_batch;
    using bell_type = bell<executor_type>;

    broadcast_state(Stream from, broadcast_options const& with)
        : stream{std::move(from)}
        , options{with} {}

    executor_type get_executor() const noexcept { return stream.get_executor(); }

    void await(bell_type& where) {
        waiting.push_back(where);
        start();
    }
    void leave(bell_type& where) noexcept {
        where.unlink();
        if (waiting.empty() && pulling)
            stream.cancel();
    }
    bool wanted() const noexcept {
        return !waiting.empty() && !ended && !closed &&
               (options.when_full() == slow_consumer::loses_oldest ||
                std::ranges::none_of(links, [](auto const* link) { return link->full(); }));
    }
    void start() {
        if (pulling || !wanted())
            return;
        pulling = true;
        stream.async_receive(events, pull_op{this->shared_from_this()});
    }

    struct pull_op {
        using executor_type = typename Stream::executor_type;
        using allocator_type = handler_allocator<void>;
        executor_type get_executor() const noexcept { return state->get_executor(); }
        allocator_type get_allocator() const noexcept { return allocator_type{state->memory}; }

        void operator()(error_code error, std::size_t) {
            auto const s = std::move(state);
            s->pulling = false;
            if (!s->events.empty()) {
                auto const shared =
                    std::allocate_shared<batch>(handler_allocator<batch>{s->batch_memory}, std::move(s->events));
                for (auto* const link : s->links)
                    link->push(shared);
            }
            if (error == boost::asio::error::eof)
                s->ended = true;
            if (error && error != boost::asio::error::operation_aborted)
                for (auto* const link : s->links) {
                    link->failure = error;
                    link->receiving.ring();
                }
            s->start();
        }
        std::shared_ptr<broadcast_state> state;
    };

    Stream stream;
    broadcast_options options;
    std::vector<broadcast_link<Stream>*> links;
    waiting_bells<executor_type> waiting;
    batch events;
    std::shared_ptr<handler_memory> memory = std::make_shared<handler_memory>();
    std::shared_ptr<handler_memory> batch_memory = std::make_shared<handler_memory>();
    bool pulling = false;
    bool ended = false;
    bool closed = false;
};

template <class Stream>
struct broadcast_step {
    using result = std::optional<std::tuple<error_code, std::size_t>>;
    static result failed(error_code error) { return {{error, std::size_t{0}}}; }
    auto& bell(broadcast_state<Stream>&) const noexcept { return link->receiving; }
    static constexpr bool pulls() noexcept { return true; }

    result take(broadcast_state<Stream>& s) const {
        if (!link->queue.empty()) {
            *out = link->pop();
            return {{error_code{}, out->size()}};
        }
        if (link->failure)
            return failed(std::exchange(link->failure, {}));
        if (s.ended)
            return failed(boost::asio::error::eof);
        return s.closed ? failed(boost::asio::error::operation_aborted) : result{};
    }
    result stop(broadcast_state<Stream>&, error_code error) const { return failed(error); }

    std::shared_ptr<broadcast_link<Stream>> link;
    shared_batch<typename Stream::event_batch>* out;
};

} // namespace detail

/// One of several consumers of a stream's events, made by `broadcast::subscribe`.
///
/// @par Thread safety
/// As `broadcast`.
template <class Stream>
class broadcast_consumer {
    using state = detail::broadcast_state<Stream>;

public:
    using executor_type = typename Stream::executor_type;
    using event_type = typename Stream::event_type;
    using event_batch = shared_batch<typename Stream::event_batch>;

    broadcast_consumer(broadcast_consumer&&) noexcept = default;
    broadcast_consumer& operator=(broadcast_consumer&& other) noexcept {
        broadcast_consumer moved{std::move(other)};
        std::swap(link_, moved.link_);
        return *this;
    }
    /// Takes no more events. What is pending completes with `net::error::operation_aborted`.
    ~broadcast_consumer() { cancel(); }

    executor_type get_executor() const noexcept { return link_->state->get_executor(); }
    consumer_lag lag() const noexcept { return {link_->queue.size(), link_->queued_events, link_->missed}; }

    void cancel() {
        if (!link_)
            return;
        link_->receiving.error = boost::asio::error::operation_aborted;
        link_->receiving.ring();
    }

    /// Gives a batch that waits; false, with an empty one, if there is none.
    bool try_receive(event_batch& events) {
        events = {};
        if (link_->receiving.busy || link_->queue.empty())
            return false;
        events = link_->pop();
        return true;
    }

    /// Waits for events.
    ///
    /// @par Completion signature
    /// `void(error_code, std::size_t events)`; never zero events without an error.
    ///
    /// @param events filled before completion; must stay valid until then.
    ///
    /// @par Errors
    /// Those of the stream, told to each consumer, after the events before: `net::error::eof`; what the source fails
    /// with. `error::operation_in_progress`; `operation_aborted`.
    ///
    /// @par Cancellation
    /// Total. Nothing is lost by it.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(event_batch& events, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        events = {};
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiate_waiting_op<state>{link_->state}, token, detail::broadcast_step<Stream>{link_, &events});
    }

private:
    template <class>
    friend class broadcast;
    explicit broadcast_consumer(std::shared_ptr<detail::broadcast_link<Stream>> link) noexcept
        : link_{std::move(link)} {}

    std::shared_ptr<detail::broadcast_link<Stream>> link_;
};

/// Gives the events of one stream to several consumers.
///
/// The batches are shared, not copied. The stream is read while a consumer waits; what comes then waits for the others
/// too. How far each is behind shows in `broadcast_consumer::lag`, what it lost also in its next batch.
/// @code
/// nr::broadcast events{nr::flow_stream{std::move(capture)}};
/// auto log = events.subscribe();
/// auto alerts = events.subscribe();
/// @endcode
///
/// @par Lifetime
/// Destroying it closes the stream; consumers then end with `net::error::operation_aborted`, after what waits.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, and a broadcast and its consumers are one object: call them where
/// the stream's executor runs, on one thread or a strand that the source was constructed with.
///
/// @tparam Stream a `flow_stream`, `session_stream` or `datagram_stream`
template <class Stream>
class broadcast {
    using state = detail::broadcast_state<Stream>;

public:
    using executor_type = typename Stream::executor_type;
    using consumer = broadcast_consumer<Stream>;

    explicit broadcast(Stream stream, broadcast_options const& options = broadcast_options{})
        : state_{std::make_shared<state>(std::move(stream), options)} {}
    broadcast(broadcast&&) noexcept = default;
    broadcast& operator=(broadcast&& other) noexcept {
        broadcast moved{std::move(other)};
        std::swap(state_, moved.state_);
        return *this;
    }
    ~broadcast() {
        if (!state_)
            return;
        state_->closed = true;
        state_->stream.close();
        state_->waiting.fail(boost::asio::error::operation_aborted);
    }

    executor_type get_executor() const noexcept { return state_->get_executor(); }
    /// The stream, to look at its statistics. Receiving from it takes events from the consumers.
    Stream& stream() noexcept { return state_->stream; }

    /// Gives the stream back; no operation may be pending. This is then as if moved from, and its consumers may only be
    /// destroyed.
    Stream release() {
        auto const of = std::move(state_);
        of->closed = true;
        return std::move(of->stream);
    }

    /// A consumer of the events from here on.
    consumer subscribe() { return consumer{std::make_shared<detail::broadcast_link<Stream>>(state_)}; }
    std::size_t consumers() const noexcept { return state_->links.size(); }

private:
    std::shared_ptr<state> state_;
};

} // namespace netring_asio
