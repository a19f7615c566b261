#pragma once

#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/session/detail/engine.hpp>
#include <netring_asio/session/event.hpp>
#include <netring_asio/session/session_options.hpp>
#include <netring_asio/session/use.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace netring_asio::session {

/// Follows flows as `flow::tracker` does, and has parsers make messages of what they carry.
///
/// The key of the extractor must tell one TCP connection from another.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
template <flow::extractor Extractor, class... Parsers>
class tracker {
    using engine = detail::engine<typename Extractor::key_type, Parsers...>;

public:
    using extractor_type = Extractor;
    using key_type = typename Extractor::key_type;
    using message_type = typename engine::message_type;
    using event_type = typename engine::event_type;
    using event_list = std::vector<event_type>;
    using flow_tracker = flow::tracker<Extractor>;

    explicit tracker(flow_tracker flows, session_options const& options, use<Parsers>... uses)
        : flows_{std::move(flows)}
        , engine_{std::make_unique<engine>(options, std::move(uses)...)} {
        flows_.observe(engine_.get());
    }

    /// Takes packets in, in the order in which they were captured, and appends what happened to `events`.
    void track(packet_batch const& packets, event_list& events) {
        run(events, [&] { flows_.track(packets, flow_events_); });
    }
    void track(std::span<packet_view const> packets, event_list& events) {
        run(events, [&] { flows_.track(packets, flow_events_); });
    }
    /// No packet came until `now`.
    void advance(timestamp now, event_list& events) {
        run(events, [&] { flows_.advance(now, flow_events_); });
        if (flows_.now())
            engine_->tick(*flows_.now());
    }
    /// As in `flow::tracker`.
    void pass(std::chrono::nanoseconds elapsed) noexcept { flows_.pass(elapsed); }
    /// Ends flows because the input ended, about `limit` at a time; returns whether some are left.
    bool flush(event_list& events, std::size_t limit = 4096) {
        bool more = false;
        run(events, [&] { more = flows_.flush(flow_events_, limit); });
        return more;
    }

    std::optional<timestamp> now() const noexcept { return flows_.now(); }
    /// When `advance` is worth calling next if no packet comes.
    std::optional<timestamp> next_expiry() const noexcept {
        auto const expiry = flows_.next_expiry();
        auto const tick = engine_->next_tick();
        return expiry && tick ? std::min(expiry, tick) : expiry ? expiry : tick;
    }

    flow::tracker_statistics statistics() const noexcept { return flows_.statistics(); }
    flow_tracker const& flows() const noexcept { return flows_; }
    /// What the last call of `track`, `advance` or `flush` led the flows to.
    typename flow_tracker::event_list const& flow_events() const noexcept { return flow_events_; }
    /// Flows that have a parser, or may still get one.
    std::size_t sessions() const noexcept { return engine_->sessions(); }
    /// Bytes that wait for missing ones.
    std::size_t buffered() const noexcept { return engine_->buffered(); }
    /// Bytes that parsers hold for what is not complete, and to choose a parser.
    std::size_t held() const noexcept { return engine_->held(); }
    /// Flows that went on unparsed because of `session_options::max_held`.
    std::uint64_t given_up() const noexcept { return engine_->given_up(); }
    session_options const& options() const noexcept { return engine_->options(); }

private:
    template <class F>
    void run(event_list& events, F f) {
        flow_events_.clear();
        engine_->connect(flow_events_, events);
        f();
        engine_->follow();
    }

    flow_tracker flows_;
    std::unique_ptr<engine> engine_; // stays where it is, as the flows' observer
    typename flow_tracker::event_list flow_events_;
};

} // namespace netring_asio::session
