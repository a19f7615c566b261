#pragma once

#include <netring_asio/flow/tracker.hpp>

#include <algorithm>
#include <new>
#include <random>

namespace netring_asio::flow {

/// Packets that go through each step of tracking together. The steps are loops of their own, and short: then the
/// processor works on the cache and TLB misses of several packets at once, and nothing is read while it is still being
/// written. Between a step that asks for memory and the one that needs it lies a step of another group.
template <extractor Extractor>
struct tracker<Extractor>::group {
    static constexpr std::size_t capacity = 8;

    std::array<decode::headers, capacity> headers;
    std::array<std::optional<found_key>, capacity> found;
    std::array<std::uint32_t, capacity> hash;
    std::array<std::uint32_t, capacity> candidate;
    std::array<clock_source, capacity> clock;
    unsigned corrupt = 0; // a bit for each packet
    std::array<std::uint32_t, capacity> place;
    std::size_t size = 0;
};

namespace detail {

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
    shortest_timeout_ = std::min({options.tcp_timeout(), options.udp_timeout(), options.other_timeout(),
                                  options.unanswered_timeout(), options.linger()});
    if (options.expected_flows() != 0)
        records_.populate(options.expected_flows());
}

namespace detail {

// A packet that no receiver would take.
inline bool is_corrupt(decode::headers const& packet, checksum_state state) noexcept {
    auto const verdict = decode::verify_checksums(packet, state);
    return verdict == decode::checksum_verdict::wrong_network || verdict == decode::checksum_verdict::wrong_transport;
}

// A corrupt packet is no word of the connection's.
inline void forget_connection(decode::headers& packet) noexcept {
    packet.has_tcp = false;
    packet.tcp_flags = 0;
}

// Has the headers of a packet come, without making room for them where flows lie.
inline void fetch(packet_view const& packet) noexcept {
    constexpr std::size_t cache_line = 64;
    __builtin_prefetch(packet.data.data(), 0, 0);
    __builtin_prefetch(packet.data.data() + cache_line, 0, 0);
}

} // namespace detail

template <extractor Extractor>
template <std::ranges::input_range Packets>
void tracker<Extractor>::track_range(Packets const& packets, event_list& events) {
    constexpr std::ptrdiff_t far_ahead = 8;
    constexpr std::size_t steps = 4;
    std::array<group, steps> groups;
    std::size_t current = 0;
    std::uint32_t place = 0;
    auto const proceed = [&] {
        find_keys(groups[current]);
        look_up(groups[(current + steps - 1) % steps]);
        look_at(groups[(current + steps - 2) % steps]);
        current = (current + 1) % steps;
        update(groups[current], events);
    };
    for (packet_view const& packet : packets) {
        if constexpr (std::ranges::contiguous_range<Packets>)
            if (auto const left = std::ranges::data(packets) + std::ranges::size(packets) - &packet; left > far_ahead)
                detail::fetch(*(&packet + far_ahead));
        auto const here = place++;
        if (dedup_ && !(*dedup_)(packet)) {
            ++statistics_.copies;
            continue;
        }
        auto& g = groups[current];
        g.place[g.size] = here;
        g.clock[g.size] = packet.clock;
        decoder_(packet, g.headers[g.size]);
        if (options_.verifying_checksums() && detail::is_corrupt(g.headers[g.size], packet.checksum)) [[unlikely]]
            g.corrupt |= 1U << g.size;
        if (++g.size == group::capacity)
            proceed();
    }
    for (std::size_t i = 0; i != steps; ++i)
        proceed();
}

template <extractor Extractor>
void tracker<Extractor>::find_keys(group& g) {
    for (std::size_t i = 0; i != g.size; ++i)
        ::new (&g.found[i]) std::optional<found_key>(extract_(g.headers[i])); // an assignment would copy it
    for (std::size_t i = 0; i != g.size; ++i)
        if (g.found[i]) {
            g.hash[i] = hash(g.found[i]->key);
            index_.prefetch(g.hash[i]);
        }
}

template <extractor Extractor>
void tracker<Extractor>::look_up(group& g) {
    // By hash alone, to have the record on its way; the key is compared when it has come.
    for (std::size_t i = 0; i != g.size; ++i) {
        g.candidate[i] = g.found[i] && (g.corrupt >> i & 1U) == 0
                             ? index_.find(g.hash[i], [](std::uint32_t) { return true; })
                             : none;
        if (g.candidate[i] != none)
            records_.prefetch(g.candidate[i]);
    }
}

// Has the rest come of flows to which something happens.
template <extractor Extractor>
void tracker<Extractor>::look_at(group& g) {
    for (std::size_t i = 0; i != g.size; ++i) {
        auto const at = g.candidate[i];
        if (at == none)
            continue;
        auto const& r = records_[at];
        std::size_t const side = g.found[i]->orientation == r.orientation ? 0 : 1;
        if ((r.plain & record::plain_kind(side, g.headers[i].payload_length != 0)) == 0)
            records_.prefetch_rest(at);
    }
}

template <extractor Extractor>
void tracker<Extractor>::update(group& g, event_list& events) {
    for (std::size_t i = 0; i != g.size; ++i)
        update(g, i, events);
    g.size = 0;
    g.corrupt = 0;
}

template <extractor Extractor>
void tracker<Extractor>::update(group& g, std::size_t i, event_list& events) {
    auto const& h = g.headers[i];
    auto const now = tick(h, g.clock[i], events);
    ++statistics_.packets;
    if (g.candidate[i] != none && carry_on(g.candidate[i], *g.found[i], h, g.place[i], now)) [[likely]]
        return;
    if ((g.corrupt >> i & 1U) != 0) [[unlikely]]
        return update_corrupt(g, i, now, events);
    if (h.fragment_layer != 0) [[unlikely]]
        return update_fragment(h, g.place[i], now, events);
    if (!g.found[i]) {
        ++statistics_.unmatched;
        if (observer_ != nullptr)
            observer_->apart(h, g.place[i], clock_.shown(now));
        return;
    }
    auto const& found = *g.found[i];
    auto const at = flow_of(found, g.hash[i], g.candidate[i], h, now, events);
    std::size_t const side = found.orientation == records_[at].orientation ? 0 : 1;
    count(at, side, {1, h.wire_length, h.ip_length, h.payload_length}, h.time, h.time, now, events);
    note_datagram(at, side);
    if (observer_ != nullptr && records_[at].mark != observer_->unshown)
        show(at, side, h, g.place[i], now);
    progress(at, side, h, now, events);
}

// Most packets carry on what goes on; this is `flow_of`, `count`, `show` and `progress` for these. Returns false, and
// has done nothing, if the packet is another.
template <extractor Extractor>
bool tracker<Extractor>::carry_on(std::uint32_t at, found_key const& found, decode::headers const& h, std::size_t place,
                                  timestamp now) {
    auto& r = records_[at];
    std::size_t const side = found.orientation == r.orientation ? 0 : 1;
    bool const by_tcp = is_one_connection<Extractor> && h.has_tcp;
    if ((r.plain & record::plain_kind(side, h.payload_length != 0)) == 0 || by_tcp != r.is_tcp ||
        !detail::same_key(r.key, found.key) || h.fragment_layer != 0 || doubting_ || has_expired(r, now)) [[unlikely]]
        return false;
    if (by_tcp && !r.tcp.carries_on(h, side)) [[unlikely]]
        return false;
    r.last_time = h.time;
    r.see(now);
    r.add(side, {1, h.wire_length, h.ip_length, h.payload_length}, records_.rest(at));
    auto const way = side == 0 ? r.orientation : opposite(r.orientation);
    if (observer_ != nullptr && r.mark != observer_->unshown)
        show(at, side, h, place, now);
    if constexpr (requires { extract_.update(states_[at], h, way); })
        extract_.update(states_[at], h, way);
    return true;
}

// The time at which a packet is processed.
template <extractor Extractor>
timestamp tracker<Extractor>::tick(decode::headers const& packet, clock_source clock, event_list& events) {
    if (clock_.goes_on(packet.time)) [[likely]] {
        expire(*clock_.now(), events);
        return *clock_.now();
    }
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
                if (records_[at].live && records_.rest(at).id == id)
                    records_[at].see(now);
            defragmenter_.jump(*before, now);
        }
        doubted_.clear();
    }
    expire(now, events);
    return now;
}

template <extractor Extractor>
void tracker<Extractor>::update_corrupt(group& g, std::size_t i, timestamp now, event_list& events) {
    ++statistics_.bad_checksums;
    if (!g.found[i] || decode::verify_checksums(g.headers[i]) == decode::checksum_verdict::wrong_network)
        return;
    auto h = g.headers[i];
    detail::forget_connection(h);
    auto const& found = *g.found[i];
    auto const at = flow_of(found, g.hash[i], none, h, now, events);
    auto& r = records_[at];
    std::size_t const side = found.orientation == r.orientation ? 0 : 1;
    count(at, side, {1, h.wire_length, h.ip_length, h.payload_length}, h.time, h.time, now, events);
    troubles_of(at).note_corrupt(side, r.history(records_.rest(at)));
    if (r.ended)
        return;
    r.see(now);
    classify(at, r);
}

// Each fragment counts as it comes, and the datagram acts on the connection when it is complete.
template <extractor Extractor>
void tracker<Extractor>::update_fragment(decode::headers const& packet, std::size_t place, timestamp now,
                                         event_list& events) {
    if (observer_ != nullptr)
        observer_->apart(packet, place, clock_.shown(now));
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
        if (result.cut && observer_ != nullptr && packet.protocol == decode::protocol::udp)
            show_cut(packet, place, now, events);
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
        bool const corrupt = options_.verifying_checksums() &&
                             decode::verify_datagram(whole, fragment) == decode::checksum_verdict::wrong_transport;
        if (corrupt) {
            ++statistics_.bad_checksums;
            detail::forget_connection(whole);
        }
        auto const at = flow_of(*found, hash(found->key), none, whole, now, events);
        std::size_t const side = found->orientation == records_[at].orientation ? 0 : 1;
        if (corrupt) {
            troubles_of(at).note_corrupt(side, records_[at].history(records_.rest(at)));
            return;
        }
        if (observer_ != nullptr)
            show(at, side, whole, place, now);
        progress(at, side, whole, now, events);
    }
}

// The beginning of a datagram that can never be put together says more than nothing.
template <extractor Extractor>
void tracker<Extractor>::show_cut(decode::headers const& packet, std::size_t place, timestamp now, event_list& events) {
    if (auto const found = extract_(packet)) {
        auto const at = flow_of(*found, hash(found->key), none, packet, now, events);
        show(at, found->orientation == records_[at].orientation ? 0 : 1, packet, place, now);
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
    std::size_t const side = found->orientation == r.orientation ? 0 : 1;
    count(at, side, {add.packets, add.wire_bytes, add.ip_bytes, add.payload_bytes}, add.first_time, add.last_time, now,
          events);
    note_datagram(at, side);
    if (!r.ended)
        r.see(now);
}

template <extractor Extractor>
std::uint32_t tracker<Extractor>::flow_of(found_key const& found, std::uint32_t hash, std::uint32_t candidate,
                                          decode::headers const& h, timestamp now, event_list& events) {
    // A packet in between may have ended the candidate's flow.
    auto at = candidate;
    if (at == none || !records_[at].live || !detail::same_key(records_[at].key, found.key)) [[unlikely]]
        at = find(found.key, hash);
    if (at != none && has_expired(records_[at], now)) [[unlikely]] {
        end(at, end_reason::idle, now, events);
        at = find(found.key, hash);
    }
    if (at != none && h.has_tcp && (h.tcp_flags & decode::tcp_flag::syn) != 0) [[unlikely]] {
        auto& r = records_[at];
        std::size_t const side = found.orientation == r.orientation ? 0 : 1;
        if (is_one_connection<Extractor> && r.is_tcp && r.tcp.is_new_attempt(h, side, records_.rest(at).beginning)) {
            if (!r.ended)
                tell(event_kind::ended, end_reason::reused, at, now, events);
            remove(at, now, events);
            at = none;
        } else if (r.tcp.is_reversed(h, side)) {
            flip(at);
        }
    }
    if (at == none) [[unlikely]]
        at = create(found, hash, h, now, events);
    if (doubting_ && doubted_.size() < most_doubted) [[unlikely]]
        doubted_.emplace_back(at, records_.rest(at).id);
    return at;
}

template <extractor Extractor>
void tracker<Extractor>::count(std::uint32_t at, std::size_t side, detail::amounts const& more, timestamp first,
                               timestamp last, timestamp now, event_list& events) {
    auto& r = records_[at];
    if (r.full || r.resumed || r.empty()) [[unlikely]]
        begin_part(at, first, now, events);
    if ((r.sent >> side & 1U) == 0)
        r.plain = 0;
    r.last_time = last;
    r.add(side, more, records_.rest(at));
}

template <extractor Extractor>
void tracker<Extractor>::note_datagram(std::uint32_t at, std::size_t side) noexcept {
    auto& r = records_[at];
    if (r.protocol == decode::protocol::udp)
        r.history(records_.rest(at)).note(side, detail::seen::data);
}

// Made when the first are to be noted.
template <extractor Extractor>
detail::tcp_troubles& tracker<Extractor>::troubles_of(std::uint32_t at) {
    auto& r = records_[at];
    auto& rest = records_.rest(at);
    if (!r.troubled)
        rest.troubles = troubles_.allocate();
    r.troubled = true;
    return troubles_[rest.troubles];
}

// The counters are empty, or too full.
template <extractor Extractor>
void tracker<Extractor>::begin_part(std::uint32_t at, timestamp first, timestamp now, event_list& events) {
    auto& r = records_[at];
    if (r.full && !r.ended)
        cut(at, now, events);
    if (r.empty())
        records_.rest(at).first_time = first;
    if (!r.resumed)
        return;
    r.resumed = false;
    r.begun = detail::low_tick(now);
    tell(event_kind::started, end_reason::none, at, now, events);
    ++statistics_.started;
    ++statistics_.flows;
}

template <extractor Extractor>
void tracker<Extractor>::show(std::uint32_t at, std::size_t side, decode::headers const& h, std::size_t place,
                              timestamp now) {
    auto& r = records_[at];
    auto const way = side == 0 ? r.orientation : opposite(r.orientation);
    observer_->packet({records_.rest(at).id, r.key, way, side == 0, r.ended != 0, r.mark, place}, h, clock_.shown(now));
}

template <extractor Extractor>
void tracker<Extractor>::progress(std::uint32_t at, std::size_t side, decode::headers const& h, timestamp now,
                                  event_list& events) {
    auto& r = records_[at];
    if (!r.ended)
        r.see(now);
    auto const way = side == 0 ? r.orientation : opposite(r.orientation);
    if constexpr (requires { extract_.update(states_[at], h, way); })
        extract_.update(states_[at], h, way);
    if (is_one_connection<Extractor> && h.has_tcp) {
        progress_tcp(at, side, h, now, events);
    } else if (!r.ended) {
        if (!r.is_tcp && !r.established && side == 1) {
            r.established = true;
            tell(event_kind::established, end_reason::none, at, now, events);
        }
        classify(at, r);
    }
    r.plain = plain_kinds(at);
}

template <extractor Extractor>
void tracker<Extractor>::progress_tcp(std::uint32_t at, std::size_t side, decode::headers const& h, timestamp now,
                                      event_list& events) {
    auto& r = records_[at];
    auto& rest = records_.rest(at);
    r.is_tcp = true;
    auto const was_closing = r.tcp.closing();
    detail::tcp_connection::report report;
    r.tcp.update(h, side, rest.beginning, rest.first_time, r.history(rest), report);
    if (detail::tcp_troubles::has(report)) [[unlikely]]
        troubles_of(at).note(report, h, side, r.history(rest));
    if (r.troubled && report.acknowledges)
        troubles_[rest.troubles].acknowledged(side, h.acknowledgment, r.history(rest));
    if (r.ended)
        return;
    using outcome = detail::tcp_connection::outcome;
    if (report.outcome == outcome::closed)
        return remember(at, end_reason::fin, now, events);
    if (report.outcome == outcome::reset)
        return remember(at, end_reason::rst, now, events);
    if (report.outcome == outcome::answered && !r.established) {
        r.established = true;
        tell(event_kind::established, end_reason::none, at, now, events);
    }
    if (!was_closing && r.tcp.closing())
        hasten_timer(at);
    classify(at, r);
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
    event_type result;
    result.kind = records_[at].established ? event_kind::established : event_kind::started;
    result.time = now().value_or(timestamp{});
    describe(at, result);
    return result;
}

template <extractor Extractor>
auto tracker<Extractor>::standing_of(key_type const& key) const -> std::optional<event_type> {
    auto const at = find(key, hash(key));
    return at == none || records_[at].ended ? std::nullopt : std::optional{standing(at)};
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
    result.record_bytes = records_.memory();
    result.index_bytes = index_.memory();
    result.datagrams = defragmenter_.datagrams();
    result.fragment_bytes = defragmenter_.bytes();
    return result;
}

} // namespace netring_asio::flow

#include <netring_asio/flow/impl/tracker_flows.hpp>

namespace netring_asio::flow {

extern template class tracker<five_tuple>;

} // namespace netring_asio::flow
