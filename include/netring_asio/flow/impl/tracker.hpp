#pragma once

#include <netring_asio/flow/tracker.hpp>

#include <algorithm>
#include <random>

namespace netring_asio::flow {

template <extractor Extractor>
struct tracker<Extractor>::group {
    std::array<decode::headers, group_size> headers;
    std::array<std::optional<extracted<key_type>>, group_size> found;
    std::array<std::uint32_t, group_size> hash;
    std::array<std::uint32_t, group_size> candidate;
    std::array<clock_source, group_size> clock;
    std::size_t size = 0;
};

namespace detail {

inline constexpr std::int64_t tick_nanoseconds = std::int64_t{1} << 26;

inline std::uint64_t tick_of(timestamp time) noexcept {
    auto const count = time.time_since_epoch().count();
    return count <= 0 ? 0 : static_cast<std::uint64_t>(count / tick_nanoseconds);
}

inline std::uint32_t low_tick(timestamp time) noexcept { return static_cast<std::uint32_t>(tick_of(time)); }

} // namespace detail

template <extractor Extractor>
tracker<Extractor>::tracker(Extractor extract, tracker_options const& options)
    : extract_{std::move(extract)}
    , options_{options}
    , decoder_{options.decoding()}
    , dedup_{options.deduplicating() ? std::optional<dedup>{*options.deduplicating()} : std::nullopt}
    , defragmenter_{options.defragmenting()}
    , clock_{options.max_clock_jump(), options.max_live_clock_jump()}
    , seed_{(static_cast<std::uint64_t>(std::random_device{}()) << 32) | std::random_device{}()}
    , index_{std::min(options.expected_flows(), options.max_flows())}
    , records_{std::clamp<std::size_t>(options.max_flows(), 1, std::size_t{1} << 31)}
    , troubles_{std::clamp<std::size_t>(options.max_flows(), 1, std::size_t{1} << 31)} {
    if (options.expected_flows() != 0)
        records_.populate(options.expected_flows());
}

template <extractor Extractor>
template <std::ranges::input_range Packets>
void tracker<Extractor>::track_range(Packets const& packets, event_list& events) {
    group g;
    for (packet_view const& packet : packets) {
        if (dedup_ && !(*dedup_)(packet)) {
            ++statistics_.copies;
            continue;
        }
        auto const i = g.size++;
        g.clock[i] = packet.clock;
        decoder_(packet, g.headers[i]);
        g.found[i] = extract_(g.headers[i]);
        if (g.found[i]) {
            g.hash[i] = hash(g.found[i]->key);
            index_.prefetch(g.hash[i]);
        }
        if (g.size == group_size)
            process(g, events);
    }
    process(g, events);
}

template <extractor Extractor>
void tracker<Extractor>::process(group& g, event_list& events) {
    // A first look by hash alone, to have the record on its way; the key is compared when it has come.
    for (std::size_t i = 0; i != g.size; ++i) {
        if (!g.found[i])
            continue;
        g.candidate[i] = index_.find(g.hash[i], [](std::uint32_t) { return true; });
        if (g.candidate[i] != none)
            records_.prefetch(g.candidate[i]);
    }
    for (std::size_t i = 0; i != g.size; ++i)
        update(g, i, events);
    g.size = 0;
}

template <extractor Extractor>
void tracker<Extractor>::update(group& g, std::size_t i, event_list& events) {
    auto const& h = g.headers[i];
    auto const now = tick(h, g.clock[i], events);
    ++statistics_.packets;
    if (h.fragment_layer != 0) [[unlikely]]
        return update_fragment(h, now, events);
    if (!g.found[i]) {
        ++statistics_.unmatched;
        return;
    }
    auto const& found = *g.found[i];
    auto const at = flow_of(found, g.hash[i], g.candidate[i], h, now, events);
    std::size_t const side = found.orientation == records_[at].orientation ? 0 : 1;
    count(at, side, {1, h.wire_length, h.ip_length, h.payload_length, h.time, h.time}, now, events);
    progress(at, side, h, now, events);
}

// The time at which a packet is processed.
template <extractor Extractor>
timestamp tracker<Extractor>::tick(decode::headers const& packet, clock_source clock, event_list& events) {
    auto const before = clock_.now();
    auto const doubts = clock_.doubts();
    auto const jumps = clock_.jumps();
    auto const now = clock_.observe(packet.time, clock);
    if (!before) {
        wheel_.start(detail::tick_of(now));
        return now;
    }
    doubting_ = clock_.doubts() != doubts;
    if (doubting_ || now != *before) [[likely]] {
        if (clock_.jumps() != jumps) {
            for (auto const& [at, id] : doubted_)
                if (records_[at].live && records_[at].id == id)
                    records_[at].see(now);
            defragmenter_.jump(*before, now);
        }
        doubted_.clear();
    }
    expire(now, events);
    return now;
}

// Each fragment counts as it comes, and the datagram acts on the connection when it is complete.
template <extractor Extractor>
void tracker<Extractor>::update_fragment(decode::headers const& packet, timestamp now, event_list& events) {
    expire_fragments(now, events);
    auto fragment = packet;
    if (packet.ip_layers != packet.fragment_layer)
        decoder_.layer(packet, packet.fragment_layer, fragment);
    auto const result = defragmenter_.add(fragment, now);
    share const own{1, packet.wire_length, packet.ip_length, packet.payload_length, packet.time, packet.time};
    if (fragment.fragment_offset == 0) {
        count_only(packet, own, now, events);
        if (result.waiting.packets != 0)
            count_only(fragment, result.waiting, now, events);
    } else if (result.attributed) {
        fragment.protocol = result.protocol;
        fragment.source_port = result.source_port;
        fragment.destination_port = result.destination_port;
        count_only(fragment, own, now, events);
    }
    if (result.datagram.empty())
        return;
    decode::headers whole = fragment;
    if (!decoder_.datagram(result.datagram, whole))
        return;
    if (auto const found = extract_(whole)) {
        auto const at = flow_of(*found, hash(found->key), none, whole, now, events);
        progress(at, found->orientation == records_[at].orientation ? 0 : 1, whole, now, events);
    }
}

template <extractor Extractor>
void tracker<Extractor>::expire_fragments(timestamp now, event_list& events) {
    decode::headers orphan;
    share waiting;
    while (defragmenter_.expire(now, orphan, waiting))
        if (waiting.packets != 0) {
            statistics_.orphan_fragments += waiting.packets;
            count_only(orphan, waiting, now, events);
        }
}

template <extractor Extractor>
void tracker<Extractor>::count_only(decode::headers const& packet, share const& add, timestamp now,
                                    event_list& events) {
    auto const found = extract_(packet);
    if (!found) {
        statistics_.unmatched += add.packets;
        return;
    }
    auto const at = flow_of(*found, hash(found->key), none, packet, now, events);
    auto& r = records_[at];
    count(at, found->orientation == r.orientation ? 0 : 1, add, now, events);
    if (!r.ended)
        r.see(now);
}

template <extractor Extractor>
std::uint32_t tracker<Extractor>::flow_of(found_key const& found, std::uint32_t hash, std::uint32_t candidate,
                                          decode::headers const& h, timestamp now, event_list& events) {
    // An earlier packet of the group may have ended the candidate's flow.
    auto at = candidate;
    if (at == none || !records_[at].live || !detail::same_key(records_[at].key, found.key))
        at = find(found.key, hash);
    if (at != none && deadline(records_[at]) <= now) {
        end(at, end_reason::idle, now, events);
        at = find(found.key, hash);
    }
    if (at != none && is_one_connection<Extractor> && h.has_tcp && records_[at].is_tcp &&
        records_[at].tcp.is_new_attempt(h, found.orientation == records_[at].orientation ? 0 : 1)) {
        if (!records_[at].ended)
            tell(event_kind::ended, end_reason::reused, at, now, events);
        remove(at, now, events);
        at = none;
    } else if (at != none && h.has_tcp &&
               records_[at].tcp.is_reversed(h, found.orientation == records_[at].orientation ? 0 : 1))
        flip(records_[at]);
    if (at == none)
        at = create(found, hash, h, now, events);
    if (doubting_ && doubted_.size() < group_size)
        doubted_.emplace_back(at, records_[at].id);
    return at;
}

template <extractor Extractor>
void tracker<Extractor>::count(std::uint32_t at, std::size_t side, share const& add, timestamp now,
                               event_list& events) {
    auto& r = records_[at];
    if (r.sides[side].full() && !r.ended) [[unlikely]]
        cut(at, now, events);
    if (r.resumed) {
        r.resumed = false;
        r.begun = detail::low_tick(now);
        r.first_time = add.first_time;
        tell(event_kind::started, end_reason::none, at, now, events);
        ++statistics_.started;
        ++statistics_.flows;
    }
    if (r.empty())
        r.first_time = add.first_time;
    r.last_time = add.last_time;
    if (r.protocol == decode::protocol::udp)
        r.history.note(side, detail::seen::data);
    r.sides[side].add(add.packets, add.wire_bytes, add.ip_bytes, add.payload_bytes);
}

template <extractor Extractor>
void tracker<Extractor>::progress(std::uint32_t at, std::size_t side, decode::headers const& h, timestamp now,
                                  event_list& events) {
    auto& r = records_[at];
    auto const way = side == 0 ? r.orientation : opposite(r.orientation);
    if (observer_ != nullptr)
        observer_->packet({r.id, r.key, way, side == 0, r.ended != 0, r.mark}, h, clock_.shown(now));
    if (!r.ended)
        r.see(now);
    if constexpr (requires { extract_.update(states_[at], h, way); })
        extract_.update(states_[at], h, way);
    if (is_one_connection<Extractor> && h.has_tcp)
        return progress_tcp(at, side, h, now, events);
    if (r.ended)
        return;
    if (!r.is_tcp && !r.established && side == 1) {
        r.established = true;
        tell(event_kind::established, end_reason::none, at, now, events);
    }
    classify(at, r);
}

template <extractor Extractor>
void tracker<Extractor>::progress_tcp(std::uint32_t at, std::size_t side, decode::headers const& h, timestamp now,
                                      event_list& events) {
    auto& r = records_[at];
    r.is_tcp = true;
    auto const was_closing = r.tcp.closing();
    auto const report = r.tcp.update(h, side, r.first_time, r.history);
    if (detail::tcp_troubles::has(report)) [[unlikely]] {
        if (r.troubles == none)
            r.troubles = troubles_.allocate();
        troubles_[r.troubles].note(report, h, side, r.history);
    }
    if (r.troubles != none && report.acknowledges)
        troubles_[r.troubles].acknowledged(side, h.acknowledgment, r.history);
    if (r.ended)
        return;
    switch (report.outcome) {
    case detail::tcp_connection::outcome::none:
        if (!was_closing && r.tcp.closing())
            link_timer(at, r);
        break;
    case detail::tcp_connection::outcome::established:
        r.established = true;
        tell(event_kind::established, end_reason::none, at, now, events);
        break;
    case detail::tcp_connection::outcome::closed:
        return remember(at, end_reason::fin, now, events);
    case detail::tcp_connection::outcome::reset:
        return remember(at, end_reason::rst, now, events);
    }
    classify(at, r);
}

// The initiator turned out to be the other side.
template <extractor Extractor>
void tracker<Extractor>::flip(record& r) noexcept {
    r.orientation = opposite(r.orientation);
    std::swap(r.sides[0], r.sides[1]);
    r.tcp.flip();
    r.history.flip();
    if (r.troubles != none)
        troubles_[r.troubles].flip();
}

template <extractor Extractor>
std::uint32_t tracker<Extractor>::create(found_key const& found, std::uint32_t hash, decode::headers const& h,
                                         timestamp now, event_list& events) {
    if (records_.full())
        evict(now, events);
    auto const& [key, way] = found;
    auto const at = records_.allocate();
    auto& r = records_[at];
    r = {};
    r.key = key;
    r.live = true;
    r.orientation = way;
    if constexpr (is_one_connection<Extractor>) {
        // Who answers a SYN that was not seen is not who began.
        constexpr auto syn_ack = decode::tcp_flag::syn | decode::tcp_flag::ack;
        if (h.has_tcp && (h.tcp_flags & syn_ack) == syn_ack) {
            r.orientation = opposite(way);
            r.history.flip();
        }
        r.is_tcp = h.has_tcp;
        r.protocol = h.protocol;
    }
    r.last_seen = now;
    r.begun = detail::low_tick(now);
    r.first_time = r.last_time = h.time;
    r.id = next_id_++;
    index_.insert(hash, at);
    states_.create(at);
    records_.append(at, detail::eviction_class::one_sided);
    link_timer(at, r);
    ++statistics_.started;
    ++statistics_.flows;
    tell(event_kind::started, end_reason::none, at, now, events);
    return at;
}

template <extractor Extractor>
void tracker<Extractor>::tell(event_kind kind, end_reason reason, std::uint32_t at, timestamp now, event_list& events) {
    auto const& r = records_[at];
    events.push_back({kind, reason, r.orientation, r.key, r.id, clock_.shown(now), describe(r), states_[at]});
    if (kind == event_kind::ended) {
        ++statistics_.ended;
        --statistics_.flows;
    }
}

template <extractor Extractor>
flow_stats tracker<Extractor>::describe(record const& r) const noexcept {
    flow_stats stats;
    stats.first_time = r.first_time;
    stats.last_time = r.last_time;
    for (std::size_t i = 0; i != 2; ++i) {
        auto& to = i == 0 ? stats.forward : stats.reverse;
        to.packets = r.sides[i].packets();
        to.wire_bytes = r.sides[i].wire_bytes();
        to.ip_bytes = r.sides[i].ip_bytes();
        to.payload_bytes = r.sides[i].payload_bytes();
    }
    stats.history = r.history.text();
    if (r.is_tcp) {
        stats.state = r.tcp.zeek_state(r.history);
        r.tcp.describe(stats);
        if (r.troubles != none)
            troubles_[r.troubles].describe(stats);
    } else if (r.protocol == decode::protocol::udp) {
        bool const sent = r.history.of(0) != 0;
        bool const answered = r.history.of(1) != 0;
        stats.state = !answered ? connection_state::s0 : sent ? connection_state::sf : connection_state::shr;
    }
    return stats;
}

template <extractor Extractor>
void tracker<Extractor>::clear_counters(record& r) noexcept {
    r.sides = {};
    r.first_time = r.last_time = {};
    if (r.troubles != none)
        troubles_[r.troubles].clear_counters();
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
    clear_counters(r);
    r.resumed = true;
    r.begun = detail::low_tick(now);
    link_timer(at, r);
}

template <extractor Extractor>
void tracker<Extractor>::remember(std::uint32_t at, end_reason reason, timestamp now, event_list& events) {
    auto& r = records_[at];
    tell(event_kind::ended, reason, at, now, events);
    r.ended = true;
    ++statistics_.remembered;
    clear_counters(r);
    link_timer(at, r);
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
        observer_->forget(r.id);
    r.live = false;
    if (r.troubles != none)
        troubles_.free(r.troubles);
    states_.destroy(at);
    index_.erase(hash(r.key), at);
    wheel_.unlink(at, [this](std::uint32_t n) -> auto& { return records_[n].timer; });
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
void tracker<Extractor>::link_timer(std::uint32_t at, record& r) noexcept {
    auto const links = [this](std::uint32_t n) -> auto& { return records_[n].timer; };
    wheel_.unlink(at, links);
    wheel_.link(at, detail::tick_of(deadline(r)), links);
}

template <extractor Extractor>
void tracker<Extractor>::classify(std::uint32_t at, record& r) noexcept {
    using detail::eviction_class;
    auto const rank = r.ended                                    ? eviction_class::ended
                      : r.is_tcp && r.tcp.unanswered()           ? eviction_class::unanswered
                      : r.sides[0].empty() || r.sides[1].empty() ? eviction_class::one_sided
                                                                 : eviction_class::answered;
    if (rank == r.rank)
        return;
    records_.unlink(at);
    records_.append(at, rank);
    if (rank == eviction_class::unanswered) // waits for less than the timer that was set before
        link_timer(at, r);
}

template <extractor Extractor>
void tracker<Extractor>::expire(timestamp now, event_list& events) {
    auto const limit = detail::tick_of(now);
    if (limit <= wheel_.now()) [[likely]]
        return;
    for (auto tick = wheel_.next(limit); tick < limit; tick = wheel_.next(limit)) {
        wheel_.advance(tick);
        for (auto at = wheel_.first(tick); at != none; at = wheel_.first(tick)) {
            auto& r = records_[at];
            if (deadline(r) <= now)
                end(at, end_reason::idle, now, events);
            else
                link_timer(at, r);
        }
    }
    wheel_.advance(limit);
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

template <extractor Extractor>
void tracker<Extractor>::advance(timestamp now, event_list& events) {
    clock_.idle_until(clock_.deadline_of(now));
    if (clock_.now()) {
        expire(*clock_.now(), events);
        expire_fragments(*clock_.now(), events);
    }
}

template <extractor Extractor>
bool tracker<Extractor>::flush(event_list& events, std::size_t limit) {
    auto const now = clock_.now().value_or(timestamp{});
    decode::headers orphan;
    share waiting;
    while (defragmenter_.flush(orphan, waiting))
        if (waiting.packets != 0) {
            statistics_.orphan_fragments += waiting.packets;
            count_only(orphan, waiting, now, events);
        }
    for (std::size_t c = 0; c != detail::eviction_classes; ++c)
        for (; limit != 0; --limit) {
            auto const at = records_.oldest(static_cast<detail::eviction_class>(c));
            if (at == none)
                break;
            end(at, end_reason::flushed, now, events);
        }
    return records_.size() != 0;
}

template <extractor Extractor>
std::optional<timestamp> tracker<Extractor>::next_expiry() const noexcept {
    if (records_.size() == 0)
        return std::nullopt;
    auto const tick = wheel_.next(wheel_.now() + detail::timer_wheel::buckets);
    return clock_.shown(
        timestamp{std::chrono::nanoseconds{static_cast<std::int64_t>(tick + 1) * detail::tick_nanoseconds}});
}

template <extractor Extractor>
tracker_statistics tracker<Extractor>::statistics() const noexcept {
    auto result = statistics_;
    result.dropped_datagrams = defragmenter_.dropped();
    result.doubted_stamps = clock_.doubts();
    result.clock_jumps = clock_.jumps();
    return result;
}

template <extractor Extractor>
auto tracker<Extractor>::standing(std::uint32_t at) const -> event_type {
    auto const& r = records_[at];
    auto const kind = r.established ? event_kind::established : event_kind::started;
    return {kind, end_reason::none, r.orientation, r.key, r.id, now().value_or(timestamp{}), describe(r), states_[at]};
}

template <extractor Extractor>
bool tracker<Extractor>::snapshot(snapshot_cursor& cursor, event_list& flows, std::size_t limit) const {
    auto const used = records_.used();
    for (; limit != 0 && cursor.next_ < used; --limit, ++cursor.next_) {
        auto const& r = records_[cursor.next_];
        if (r.live && !r.ended && !r.resumed)
            flows.push_back(standing(cursor.next_));
    }
    return cursor.next_ < used;
}

template <extractor Extractor>
template <class Measure>
auto tracker<Extractor>::top(std::size_t count, Measure measure) const -> event_list {
    top_flows<event_type, Measure> greatest{count, std::move(measure)};
    snapshot_cursor cursor;
    event_list part;
    for (bool more = true; more; part.clear()) {
        more = snapshot(cursor, part, 1024);
        greatest.offer(part);
    }
    return greatest.take();
}

template <extractor Extractor>
table_statistics tracker<Extractor>::table() const noexcept {
    table_statistics result;
    result.flows = static_cast<std::size_t>(statistics_.flows);
    result.remembered = static_cast<std::size_t>(statistics_.remembered);
    result.capacity = records_.capacity();
    result.record_bytes = records_.used() * sizeof(record);
    result.index_bytes = index_.memory();
    result.datagrams = defragmenter_.datagrams();
    result.fragment_bytes = defragmenter_.bytes();
    return result;
}

extern template class tracker<five_tuple>;

} // namespace netring_asio::flow
