#pragma once

#include <netring_asio/conversation_options.hpp>
#include <netring_asio/detail/bell.hpp>
#include <netring_asio/detail/handler_memory.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet_source.hpp>
#include <netring_asio/session/detail/conversation_queue.hpp>
#include <netring_asio/session/tracker.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

namespace netring_asio {

/// Which conversation something belongs to.
template <class Key>
struct conversation_info {
    Key key{};
    flow::orientation orientation = flow::orientation::a_to_b; ///< from the initiator to the responder
    std::uint64_t flow_id = 0;                                 ///< as `flow::basic_event::flow_id`
    timestamp time{};                                          ///< of its first bytes

    auto const& initiator() const noexcept
        requires requires(Key const& k) { k.a; }
    {
        return orientation == flow::orientation::a_to_b ? key.a : key.b;
    }
    auto const& responder() const noexcept
        requires requires(Key const& k) { k.b; }
    {
        return orientation == flow::orientation::a_to_b ? key.b : key.a;
    }
};

namespace detail {

using session::side;
using session::detail::conversation_queue;

/// What a reader is told at the end; nothing where that has not come.
inline error_code error_of(session::detail::ending how) noexcept {
    using session::detail::ending;
    switch (how) {
    case ending::finished:
        return boost::asio::error::eof;
    case ending::reset:
        return boost::asio::error::connection_reset;
    case ending::too_slow:
        return error::reader_too_slow;
    case ending::none:
        break;
    }
    return {};
}

/// A conversation that nobody has accepted yet.
template <class Key>
struct announced {
    conversation_info<Key> info;
    std::shared_ptr<conversation_queue> queue;
};

/// Consumes conversations that are not accepted.
template <class Key>
class conversation_sink {
public:
    virtual ~conversation_sink() = default;
    virtual void open(announced<Key> const& what) = 0;
    /// Starts what has become ready meanwhile; may call what the user supplied.
    virtual void run() = 0;
    /// The source has ended.
    virtual bool idle() const noexcept = 0;
    virtual void stop() = 0;
};

/// What a conversation stream, its conversations and pending operations share.
///
/// Packets are pulled while an operation waits for them, by one receive of the source that belongs to all of them.
template <class Source, class Extractor>
struct conversation_state : std::enable_shared_from_this<conversation_state<Source, Extractor>> {
    using executor_type = typename Source::executor_type;
    using key_type = typename Extractor::key_type;
    using tracker_type = session::tracker<Extractor, session::detail::conversation_parser>;
    using bell_type = bell<executor_type>;
    using steady_clock = std::chrono::steady_clock;
    using timer =
        boost::asio::basic_waitable_timer<steady_clock, boost::asio::wait_traits<steady_clock>, executor_type>;

    // Packets tracked between two looks at the queues, and such rounds before others on the executor get their turn.
    static constexpr std::size_t round = 64;
    static constexpr int budget = 16;

    conversation_state(Source from, typename tracker_type::flow_tracker flows, conversation_options const& with)
        : options{with}
        , pool{std::make_shared<session::detail::conversation_pool>(session::detail::conversation_pool{
              options.max_queued(),
              options.when_full().value_or(waits_for_reader<Source> ? full_queue::pause_source : full_queue::detach) ==
                  full_queue::detach})}
        , source{std::move(from)}
        , tracker{std::move(flows),
                  session::session_options{}.reassembly(options.reassembly()).max_buffered(options.max_buffered()),
                  parser(options, pool)}
        , idle_timer{source.get_executor()}
        , accepting{source.get_executor()}
        , consuming{source.get_executor()} {}

    /// Over another executor; no operation may be pending.
    template <class Other>
    explicit conversation_state(conversation_state<Other, Extractor>&& other)
        : options{other.options}
        , pool{std::move(other.pool)}
        , source{std::move(other.source)}
        , tracker{std::move(other.tracker)}
        , idle_timer{source.get_executor()}
        , accepting{source.get_executor()}
        , consuming{source.get_executor()}
        , packets{std::move(other.packets)}
        , backlog{std::move(other.backlog)}
        , counted{other.counted}
        , last_look{other.last_look}
        , ended{other.ended}
        , exhausted{other.exhausted} {}

    static auto parser(conversation_options const& options,
                       std::shared_ptr<session::detail::conversation_pool> const& pool) {
        session::use<session::detail::conversation_parser> use{session::detail::conversation_parser{pool}};
        if (!options.ports().empty())
            use.ports(options.ports()).chosen(session::choice::by_port);
        return use;
    }

    executor_type get_executor() const noexcept { return source.get_executor(); }

    // An operation waits, and packets may help it.
    void await(bell_type& where) {
        waiting.push_back(where);
        start();
    }
    // It does not any more, though nobody rang.
    void leave(bell_type& where) noexcept {
        where.unlink();
        if (waiting.empty() && receiving)
            source.cancel();
    }

    bool paused() const noexcept {
        return !pool->detaches && (pool->full != 0 || backlog.size() >= options.max_waiting());
    }
    bool wanted() const noexcept { return !waiting.empty() && !exhausted && !closed && !paused(); }

    /// Reads on where that is wanted.
    void start() {
        if (!pulling && wanted()) {
            pulling = true;
            pull(pull_op{this->shared_from_this()});
        }
    }

    void cancel() {
        waiting.fail(boost::asio::error::operation_aborted);
        if (receiving)
            source.cancel();
    }

    conversation_statistics statistics() const noexcept {
        auto result = counted;
        result.detached = pool->detached;
        result.queued = pool->queued;
        result.full = pool->full;
        return result;
    }

    struct pull_op {
        using executor_type = typename conversation_state::executor_type;
        using allocator_type = handler_allocator<void>;
        executor_type get_executor() const noexcept { return state->get_executor(); }
        allocator_type get_allocator() const noexcept { return allocator_type{state->memory}; }

        void operator()() {
            auto& s = *state;
            s.pull(std::move(*this));
        }
        void operator()(error_code error, std::size_t) {
            auto& s = *state;
            s.receiving = false;
            s.idle_timer.cancel();
            if (!error)
                s.tracker.pass(s.passed());
            else if (error == boost::asio::error::eof)
                s.ended = true;
            else if (error != boost::asio::error::operation_aborted)
                s.waiting.fail(error);
            s.pull(std::move(*this));
        }
        std::shared_ptr<conversation_state> state;
    };

    struct idle_op {
        using executor_type = typename conversation_state::executor_type;
        using allocator_type = handler_allocator<void>;
        executor_type get_executor() const noexcept { return executor; }
        allocator_type get_allocator() const noexcept { return allocator; }

        void operator()(error_code error) {
            auto const s = state.lock();
            if (error || !s || !s->receiving)
                return;
            s->advance();
            if (s->wanted())
                return s->wait_for_expiry();
            s->source.cancel();
        }
        std::weak_ptr<conversation_state> state;
        executor_type executor;
        allocator_type allocator;
    };

    void pull(pull_op op) {
        for (int i = 0; i != budget; ++i) {
            if (!wanted()) {
                pulling = false;
                counted.pauses += !waiting.empty() && paused() ? 1 : 0;
                return;
            }
            if (packets.empty() && ended) {
                exhausted = !tracker.flush(events);
                digest();
                if (exhausted)
                    finish();
                continue;
            }
            if (packets.empty()) {
                if (!source.try_receive(packets)) {
                    advance();
                    if (!wanted())
                        continue;
                    receiving = true;
                    wait_for_expiry();
                    return source.async_receive(packets, std::move(op));
                }
                tracker.pass(passed());
            }
            auto part = packets.split(round);
            tracker.track(part, events);
            part.reset();
            digest();
        }
        auto const executor = get_executor();
        boost::asio::post(executor, std::move(op));
    }

    void wait_for_expiry() {
        auto const next = tracker.next_expiry();
        if (!next)
            return;
        idle_timer.expires_at(last_look +
                              std::max<std::chrono::nanoseconds>(*next - *tracker.now(), std::chrono::milliseconds{1}));
        idle_timer.async_wait(idle_op{this->weak_from_this(), get_executor(), handler_allocator<void>{memory}});
    }

    void advance() {
        auto const elapsed = passed();
        if (auto const now = tracker.now()) {
            tracker.pass(elapsed);
            tracker.advance(*now + elapsed, events);
            digest();
        }
    }

    /// Hands new conversations on.
    void digest() {
        for (auto& e : events) {
            auto const* const queue = e.message();
            if (!queue)
                continue;
            ++counted.conversations;
            announced<key_type> what{{e.key, e.orientation, e.flow_id, e.time}, *queue};
            if (sink) {
                sink->open(what);
            } else if (pool->detaches && backlog.size() >= options.max_waiting()) {
                ++counted.refused;
                what.queue->close(side::initiator);
                what.queue->close(side::responder);
            } else {
                backlog.push_back(std::move(what));
                accepting.ring();
            }
        }
        events.clear();
        if (sink)
            sink->run();
    }

    /// No packet will come any more: what waits hears of it.
    void finish() {
        accepting.ring();
        if (!sink || sink->idle())
            consuming.ring();
    }

    std::chrono::nanoseconds passed() noexcept {
        auto const now = steady_clock::now();
        return now - std::exchange(last_look, now);
    }

    conversation_options options;
    std::shared_ptr<session::detail::conversation_pool> pool;
    Source source;
    tracker_type tracker;
    timer idle_timer;
    bell_type accepting;
    bell_type consuming;
    std::shared_ptr<handler_memory> memory = std::make_shared<handler_memory>();
    packet_batch packets;
    typename tracker_type::event_list events;
    std::deque<announced<key_type>> backlog;
    std::shared_ptr<conversation_sink<key_type>> sink;
    waiting_bells<executor_type> waiting;
    conversation_statistics counted;
    steady_clock::time_point last_look = steady_clock::now();
    bool pulling = false;   // a pull_op is on its way
    bool receiving = false; // it waits for the source
    bool ended = false;     // the source has, and flows may be left to flush
    bool exhausted = false; // nothing is left
    bool closed = false;    // the stream is gone
};

} // namespace detail
} // namespace netring_asio
