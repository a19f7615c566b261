#pragma once

#include <netring_asio/flow/tracker.hpp>

// The life of one flow in the table: how it is made, told, timed and forgotten.

namespace netring_asio::flow {

// The initiator turned out to be the other side.
template <extractor Extractor>
void tracker<Extractor>::flip(std::uint32_t at) noexcept {
    auto& rest = records_.rest(at);
    records_[at].flip(rest);
    if (rest.troubles != none)
        troubles_[rest.troubles].flip();
}

template <extractor Extractor>
std::uint32_t tracker<Extractor>::create(found_key const& found, std::uint32_t hash, decode::headers const& h,
                                         timestamp now, event_list& events) {
    if (records_.full())
        evict(now, events);
    auto const& [key, way] = found;
    auto const at = records_.allocate();
    auto& r = records_[at];
    auto& rest = records_.rest(at);
    r = {};
    rest = {};
    r.key = key;
    r.live = true;
    r.orientation = way;
    if constexpr (is_one_connection<Extractor>) {
        // Who answers a SYN that was not seen is not who began.
        constexpr auto syn_ack = decode::tcp_flag::syn | decode::tcp_flag::ack;
        if (h.has_tcp && (h.tcp_flags & syn_ack) == syn_ack) {
            r.orientation = opposite(way);
            r.history(rest).flip();
        }
        r.is_tcp = h.has_tcp;
        r.protocol = h.protocol;
    }
    r.last_seen = now;
    r.begun = detail::low_tick(now);
    rest.first_time = r.last_time = h.time;
    rest.id = next_id_++;
    index_.insert(hash, at);
    states_.create(at);
    records_.append(at, detail::eviction_class::one_sided);
    link_timer(at);
    ++statistics_.started;
    ++statistics_.flows;
    tell(event_kind::started, end_reason::none, at, now, events);
    return at;
}

template <extractor Extractor>
void tracker<Extractor>::tell(event_kind kind, end_reason reason, std::uint32_t at, timestamp now, event_list& events) {
    auto& told = events.emplace_back();
    told.kind = kind;
    told.reason = reason;
    told.time = clock_.shown(now);
    describe(at, told);
    if (kind == event_kind::ended) {
        ++statistics_.ended;
        --statistics_.flows;
    }
}

template <extractor Extractor>
void tracker<Extractor>::describe(std::uint32_t at, event_type& told) const {
    auto const& r = records_[at];
    auto const& rest = records_.rest(at);
    told.orientation = r.orientation;
    told.key = r.key;
    told.flow_id = rest.id;
    told.state = states_[at];
    auto& stats = told.stats;
    stats.first_time = rest.first_time;
    stats.last_time = r.last_time;
    for (std::size_t side = 0; side != 2; ++side) {
        auto& to = side == 0 ? stats.forward : stats.reverse;
        auto const carried = r.carried(side, rest);
        to.packets = carried[0];
        to.wire_bytes = carried[1];
        to.ip_bytes = carried[2];
        to.payload_bytes = carried[3];
    }
    stats.history = rest.history;
    if (rest.troubles != none)
        troubles_[rest.troubles].describe(stats);
    if (r.is_tcp) {
        stats.state = r.tcp.zeek_state(r.marks);
        r.tcp.describe(stats);
        rest.beginning.describe(stats);
    } else if (r.protocol == decode::protocol::udp) {
        bool const sent = r.marks.seen[0] != 0;
        bool const answered = r.marks.seen[1] != 0;
        stats.state = !answered ? connection_state::s0 : sent ? connection_state::sf : connection_state::shr;
    }
}

template <extractor Extractor>
void tracker<Extractor>::clear_counters(std::uint32_t at) noexcept {
    auto& rest = records_.rest(at);
    records_[at].clear(rest);
    if (rest.troubles != none)
        troubles_[rest.troubles].clear_counters();
}

// The end of whatever the timer or the input's end found.
template <extractor Extractor>
void tracker<Extractor>::end(std::uint32_t at, end_reason reason, timestamp now, event_list& events) {
    auto& r = records_[at];
    if (!r.ended && !r.resumed) {
        if (reason == end_reason::idle && now < idle_deadline(r)) {
            cut(at, now, events);
            return;
        }
        // Both sides said that they were done; that the last acknowledgment was missed does not matter.
        if (reason == end_reason::idle && r.is_tcp && r.tcp.closing())
            reason = end_reason::fin;
        tell(event_kind::ended, reason, at, now, events);
    }
    remove(at, now, events);
}

// Tells a part of a flow that goes on.
template <extractor Extractor>
void tracker<Extractor>::cut(std::uint32_t at, timestamp now, event_list& events) {
    auto& r = records_[at];
    tell(event_kind::ended, end_reason::active_timeout, at, now, events);
    clear_counters(at);
    r.resumed = true;
    r.begun = detail::low_tick(now);
    link_timer(at);
}

template <extractor Extractor>
void tracker<Extractor>::remember(std::uint32_t at, end_reason reason, timestamp now, event_list& events) {
    auto& r = records_[at];
    tell(event_kind::ended, reason, at, now, events);
    r.ended = true;
    ++statistics_.remembered;
    clear_counters(at);
    hasten_timer(at);
    classify(at, r);
}

template <extractor Extractor>
void tracker<Extractor>::remove(std::uint32_t at, timestamp now, event_list& events) {
    auto& r = records_[at];
    if (r.ended) {
        if (!r.empty())
            tell(event_kind::late, end_reason::none, at, now, events);
        --statistics_.remembered;
    }
    if (observer_ != nullptr)
        observer_->forget(records_.rest(at).id);
    r.live = 0;
    r.plain = 0;
    if (r.troubled)
        troubles_.free(records_.rest(at).troubles);
    states_.destroy(at);
    index_.erase(hash(r.key), at);
    wheel_.unlink(at, [this](std::uint32_t n) -> auto& { return records_.rest(n).timer; });
    records_.unlink(at);
    records_.free(at);
}

template <extractor Extractor>
timestamp tracker<Extractor>::idle_deadline(record const& r) const noexcept {
    if (r.ended)
        return r.last_seen + options_.linger();
    if constexpr (requires { extract_.idle_timeout(r.key); })
        if (std::optional<std::chrono::nanoseconds> const own = extract_.idle_timeout(r.key))
            return r.last_seen + *own;
    if (r.is_tcp)
        return r.last_seen + (r.tcp.unanswered() ? options_.unanswered_timeout()
                              : r.tcp.closing()  ? options_.linger()
                                                 : options_.tcp_timeout());
    if (r.protocol == decode::protocol::udp)
        return r.last_seen + options_.udp_timeout();
    return r.last_seen + options_.other_timeout();
}

template <extractor Extractor>
timestamp tracker<Extractor>::deadline(record const& r) const noexcept {
    auto const idle = idle_deadline(r);
    auto const active = options_.active_timeout();
    if (active.count() == 0 || r.ended || r.resumed) [[likely]]
        return idle;
    // It began within the tick, so its end counts.
    auto const age = static_cast<std::uint32_t>(detail::low_tick(r.last_seen) - r.begun);
    auto const begun = static_cast<std::int64_t>(detail::tick_of(r.last_seen) - age + 1) * detail::tick_nanoseconds;
    return std::min(idle, timestamp{std::chrono::nanoseconds{begun}} + active);
}

template <extractor Extractor>
bool tracker<Extractor>::has_expired(record const& r, timestamp now) const noexcept {
    // Most were used just now, and no timeout is so short.
    if constexpr (!requires { extract_.idle_timeout(r.key); })
        if (now - r.last_seen < shortest_timeout_ && options_.active_timeout().count() == 0) [[likely]]
            return false;
    return deadline(r) <= now;
}

template <extractor Extractor>
void tracker<Extractor>::link_timer(std::uint32_t at) noexcept {
    auto const links = [this](std::uint32_t n) -> auto& { return records_.rest(n).timer; };
    wheel_.unlink(at, links);
    wheel_.link(at, detail::tick_of(deadline(records_[at])), links);
}

// It is looked at no later than its deadline, and linked again if that has moved by then.
template <extractor Extractor>
void tracker<Extractor>::hasten_timer(std::uint32_t at) noexcept {
    if (!wheel_.is_linked_by(records_.rest(at).timer, detail::tick_of(deadline(records_[at]))))
        link_timer(at);
}

template <extractor Extractor>
void tracker<Extractor>::classify(std::uint32_t at, record& r) noexcept {
    using detail::eviction_class;
    auto const rank = r.ended                          ? eviction_class::ended
                      : r.is_tcp && r.tcp.unanswered() ? eviction_class::unanswered
                      : r.is_one_sided()               ? eviction_class::one_sided
                                                       : eviction_class::answered;
    if (rank == r.rank)
        return;
    records_.unlink(at);
    records_.append(at, rank);
    if (rank == eviction_class::unanswered) // waits for less than the timer that was set before
        hasten_timer(at);
}

// What `progress` and all that it calls would do to such packets is to change numbers.
template <extractor Extractor>
std::uint8_t tracker<Extractor>::plain_kinds(std::uint32_t at) const noexcept {
    auto const& r = records_[at];
    if (!r.live || r.ended || r.resumed || r.full)
        return 0;
    unsigned result = 0;
    for (std::size_t side = 0; side != 2; ++side) {
        if ((r.sent >> side & 1U) == 0)
            continue;
        bool const settled = !r.troubled || troubles_[records_.rest(at).troubles].is_settled(side);
        bool const steady = r.is_tcp ? r.tcp.is_steady(side, r.established) && settled : r.established || side == 0;
        for (bool const has_payload : {false, true}) {
            auto const mark = r.is_tcp ? has_payload ? detail::seen::data : detail::seen::ack
                              : r.protocol == decode::protocol::udp ? detail::seen::data
                                                                    : 0;
            if (steady && (r.marks.seen[side] & mark) == mark)
                result |= record::plain_kind(side, has_payload);
        }
    }
    return static_cast<std::uint8_t>(result);
}

template <extractor Extractor>
void tracker<Extractor>::expire_due(timestamp now, event_list& events) {
    auto const limit = detail::tick_of(now);
    for (auto tick = wheel_.next(limit); tick < limit; tick = wheel_.next(limit)) {
        wheel_.advance(tick);
        std::size_t fetched = 0;
        for (auto at = wheel_.first(tick); at != none; at = wheel_.first(tick)) {
            if (fetched == 0)
                fetched = fetch_chain(at);
            --fetched;
            auto& r = records_[at];
            if (deadline(r) <= now)
                end(at, end_reason::idle, now, events);
            else
                link_timer(at);
        }
    }
    wheel_.advance(limit);
}

// Has come what it takes to end the flows of a timer's chain, a few at a time: how many.
template <extractor Extractor>
std::size_t tracker<Extractor>::fetch_chain(std::uint32_t at) const noexcept {
    constexpr std::size_t most = 16;
    std::array<std::uint32_t, most> chain;
    std::size_t size = 0;
    for (; size != most && at != none; at = records_.rest(at).timer.next) {
        chain[size++] = at;
        records_.prefetch(at);
        records_.prefetch_neighbours(at);
    }
    for (std::size_t i = 0; i != size; ++i)
        index_.prefetch(hash(records_[chain[i]].key));
    return size;
}

template <extractor Extractor>
void tracker<Extractor>::evict(timestamp now, event_list& events) {
    auto const at = records_.victim();
    if (!records_[at].ended && !records_[at].resumed) {
        tell(event_kind::ended, end_reason::evicted, at, now, events);
        ++statistics_.evicted;
    }
    remove(at, now, events);
}

} // namespace netring_asio::flow
