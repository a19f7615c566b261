#include "engine_impl.hpp"

namespace netring_asio::subscription {

namespace session_ns = netring_asio::session;
using detail::level;

engine::impl::impl(engine_options const& options)
    : options_{options}
    , flows_{flow::five_tuple{}, options.tracking()}
    , parsers_{options.parsing(),
               session_ns::use{session_ns::dns_over_udp{}}.ports({53}).chosen(session_ns::choice::by_port),
               session_ns::use{session_ns::dns_over_tcp{}}.ports({53}).chosen(session_ns::choice::by_port),
               session_ns::use{session_ns::tls_handshake{}},
               session_ns::use{session_ns::http1_parser{}},
               session_ns::use{session_ns::quic_initial{}}}
    , decoder_{options.tracking().decoding()} {
    parsers_.connect(flow_events_, messages_);
    flows_.observe(&watcher_);
    watcher_.unshown = tombstone();
}

template <class F>
void engine::impl::run(event_list& filled, F f) {
    filled_ = &filled;
    auto const before = filled.size();
    f();
    follow();
    flow_events_.clear();
    flow_events_seen_ = 0;
    parsers_.connect(flow_events_, messages_); // who unsubscribes may come before the next events
    for (auto i = before; i != filled.size(); ++i)
        filled[i]->touched_ = false;
    filled_ = nullptr;
}

void engine::impl::track(packet_batch const& packets, event_list& filled) {
    run(filled, [&] {
        batch_ = &packets;
        at_ = packets.begin();
        place_ = 0;
        flows_.track(packets, flow_events_);
        judge_fragments_alone(max_fragmented);
        batch_ = nullptr;
    });
}

void engine::impl::advance(timestamp now, event_list& filled) {
    run(filled, [&] {
        flows_.advance(now, flow_events_);
        follow();
        if (auto const reached = flows_.now()) {
            parsers_.tick(*reached);
            read_messages();
            give_up_old(*reached);
        }
    });
}

bool engine::impl::flush(event_list& filled, std::size_t limit) {
    bool more = false;
    run(filled, [&] {
        more = flows_.flush(flow_events_, limit);
        if (!more)
            judge_fragments_alone(0);
    });
    return more;
}

std::optional<timestamp> engine::impl::next_expiry() const noexcept {
    auto next = flows_.next_expiry();
    auto const sooner = [&](std::optional<timestamp> other) {
        next = next && other ? std::min(next, other) : next ? next : other;
    };
    sooner(parsers_.next_tick());
    if (!keeping_.empty())
        sooner(keeping_.front().kept_since + options_.max_age());
    return next;
}

void engine::impl::subscribe(detail::subscriber s) {
    std::vector<std::size_t> added;
    auto const slot = registry_.add(std::move(s), added);
    registry_[slot].to->slot_ = static_cast<std::uint32_t>(slot);
    generation_ = (generation_ + 1) & generations; // what was decided against is looked at again
    watcher_.unshown = tombstone();
    if (bypass_)
        bypass_->stop();
    judged_.resize(registry_.predicates());
    subjects_.for_each([&](subject& c) {
        for (auto* const set : {&c.open, &c.matched})
            set->resize(registry_.slots());
        c.pending.resize(registry_.slots(), subject::none);
        for (auto* const set : {&c.seen, &c.hit}) {
            set->resize(registry_.predicates());
            for (auto const number : added)
                set->reset(number);
        }
        if (c.ended)
            return;
        decode::headers any;
        any.source = c.key.a.address;
        any.destination = c.key.b.address;
        any.source_port = c.key.a.port;
        any.destination_port = c.key.b.port;
        any.protocol = c.key.protocol;
        any.ip_version = c.key.ip_version;
        any.has_ports = true;
        bool const from_a = c.orientation == flow::orientation::a_to_b;
        for (auto const number : added) {
            auto const& p = registry_.predicate_at(number);
            if (p.phase == phase::tuple && info(p.what.field).stage == stage::tuple)
                c.note(number, detail::look(p.what, any));
            else if (p.phase == phase::tuple)
                c.note(number, detail::look_at_ends(p.what, from_a ? c.key.a : c.key.b, from_a ? c.key.b : c.key.a));
        }
        if (!registry_[slot].by_frame)
            open(c, slot);
        c.parsing = c.parsing || ((c.closed & detail::of_messages) == 0 && wants_messages(c));
        tidy(c);
    });
}

void engine::impl::unsubscribe(any_outlet& from) {
    auto const slot = from.slot_;
    if (slot >= registry_.slots() || registry_[slot].to.get() != &from)
        return;
    subjects_.for_each([&](subject& c) {
        refuse(c, slot);
        c.matched.reset(slot);
        tidy(c);
    });
    registry_.remove(slot);
}

engine_statistics engine::impl::statistics() const noexcept {
    return {registry_.size(), registry_.distinct(),         subjects_.size(), parsers_.sessions(), kept_frames_,
            kept_bytes_,      bypass_ ? bypass_->size() : 0};
}

// --- Connections ---

void engine::impl::packet(observed const& of, decode::headers const& h, timestamp now) {
    if (!keeping_.empty() && keeping_.front().kept_since + options_.max_age() <= now)
        give_up_old(now);
    if (complete_ && complete_->place != of.place) [[unlikely]]
        judge_fragments_alone(max_fragmented);
    if ((of.mark & decided) == tombstone()) {
        if ((of.mark & looking) != 0) {
            judge_frames(of, h);
            complete_.reset();
        } else if (!std::exchange(complete_, {})) {
            pass_by(of, h);
        }
        return;
    }
    follow();
    auto* c = of.mark != 0 && (of.mark & 1) == 0 ? &subjects_[of.mark / 2 - 1] : begin(of, h);
    if (registry_.by_frame().any() && (c != nullptr || (of.mark & looking) != 0))
        judge_frames(of, h);
    if (c == nullptr)
        return complete_.reset();
    sight const seen{h, of.orientation, c->parsing && h.payload_length != 0, of.place, {}};
    count(*c, of, h);
    if (c->parsing && !of.ended)
        parse(*c, of, h, now);
    frame_of(*c, seen, now);
    if (!c->alive()) {
        if (c->parsing)
            parsers_.forget(c->id);
        subjects_.remove(c->id);
        decide_against(of, h, c);
    }
}

// A connection that was not known, or that all had decided against before somebody else subscribed.
engine::impl::subject* engine::impl::begin(observed const& of, decode::headers const& h) {
    bool partial = was_bypassed(of.mark);
    if (bypass_ && partial)
        bypass_->remove(of.key);
    if (bypass_ && of.mark == 0) {
        // Packets that were passed over may have kept alive what the tracker has forgotten.
        auto const known = bypass_->find(of.key);
        bool const goes_on =
            known && !(h.has_tcp && (h.tcp_flags & decode::tcp_flag::syn) != 0) && known->ago < timeout_of(h);
        if (goes_on && !known->stopped) {
            of.mark = tombstone() | counting | worth_it * one_packet;
            bypass_->add(of.key, timeout_of(h) / 4);
            return nullptr;
        }
        if (known)
            bypass_->remove(of.key);
        partial = goes_on;
    }
    if (of.ended || registry_.size() == 0) {
        decide_against(of, h, nullptr);
        return nullptr;
    }
    auto const number = subjects_.spare();
    auto& c = subjects_[number];
    c.id = of.id;
    c.key = of.key;
    c.orientation = of.from_initiator ? of.orientation : flow::opposite(of.orientation);
    c.closed = detail::bit(phase::tuple);
    if (!h.has_tcp && h.protocol != decode::protocol::udp)
        c.closed |= detail::of_messages;
    c.parsing = c.ended = false;
    c.partial = partial;
    c.service = {};
    c.counted = {};
    c.counted.first_time = h.time;
    for (auto* const set : {&c.open, &c.matched}) {
        set->resize(registry_.slots());
        set->clear();
    }
    for (auto* const set : {&c.seen, &c.hit}) {
        set->resize(registry_.predicates());
        set->clear();
    }
    c.pending.assign(registry_.slots(), subject::none);
    c.requests.clear();
    bool const from_a = c.orientation == flow::orientation::a_to_b;
    for (auto const n : registry_.of_phase(phase::tuple)) {
        auto const& p = registry_.predicate_at(n).what;
        c.note(n, info(p.field).stage == stage::tuple
                      ? detail::look(p, h)
                      : detail::look_at_ends(p, from_a ? c.key.a : c.key.b, from_a ? c.key.b : c.key.a));
    }
    registry_.followed().for_each(registry_.followed(), [&](std::size_t slot) { open(c, slot); });
    if (!c.alive()) {
        decide_against(of, h, &c);
        return nullptr;
    }
    c.interface_index = view_at(of.place).interface_index;
    subjects_.add(number);
    of.mark = (number + 1) * 2;
    c.parsing = (c.closed & detail::of_messages) == 0 && wants_messages(c);
    return &c;
}

/// Nobody wants anything of the connection, but some frames for their own sake.
void engine::impl::decide_against(observed const& of, decode::headers const& h, subject const* c) {
    of.mark = tombstone();
    if (c != nullptr && wants_frames(*c)) {
        of.mark |= looking;
        return;
    }
    // What comes in fragments, in tunnels or behind tags looks different where packets are passed over.
    if (bypass_ && !of.ended && !complete_ && h.ip_layers == 1 && h.vlan_count == 0 && h.has_ports &&
        (h.has_tcp || h.protocol == decode::protocol::udp) && !may_carry(h))
        of.mark |= counting;
}

/// A packet of a connection that nobody wants.
void engine::impl::pass_by(observed const& of, decode::headers const& h) {
    constexpr auto ends = decode::tcp_flag::syn | decode::tcp_flag::fin | decode::tcp_flag::rst;
    if (!bypass_ || of.ended || (h.has_tcp && (h.tcp_flags & ends) != 0)) {
        if (bypass_ && was_bypassed(of.mark))
            bypass_->remove(of.key);
        of.mark = tombstone();
        return;
    }
    of.mark += one_packet;
    if (packets_of(of.mark) != worth_it && packets_of(of.mark) != most_packets)
        return;
    of.mark = tombstone(); // again only when all is decided again
    if (bypass_->add(of.key, timeout_of(h) / 4))
        of.mark |= counting | worth_it * one_packet;
}

void engine::impl::bypass(std::shared_ptr<connection_bypass> by) {
    if (bypass_)
        bypass_->stop();
    bypass_ = std::move(by);
}

void engine::impl::open(subject& c, std::size_t slot) {
    c.open.set(slot);
    decide(c, slot);
}

void engine::impl::count(subject& c, observed const& of, decode::headers const& h) {
    auto& side = of.from_initiator ? c.counted.forward : c.counted.reverse;
    ++side.packets;
    side.wire_bytes += h.wire_length;
    side.payload_bytes += h.payload_length;
    c.counted.last_time = h.time;
    bool changed = false;
    if (!registry_.lasting_frames().empty() && c.open.meets(registry_.beyond_packets()))
        for (auto const n : registry_.lasting_frames())
            if (!c.hit.test(n)) {
                c.note(n, detail::look(registry_.predicate_at(n).what, h));
                changed = changed || c.hit.test(n);
            }
    for (auto const n : registry_.lower_bounds())
        if (!c.hit.test(n)) {
            c.note(n, detail::look(registry_.predicate_at(n).what, c.counted));
            changed = changed || c.hit.test(n);
        }
    if (changed)
        settle(c);
}

void engine::impl::follow() {
    parsers_.follow();
    read_messages();
    for (; flow_events_seen_ != flow_events_.size(); ++flow_events_seen_)
        if (flow_events_[flow_events_seen_].kind == flow::event_kind::ended)
            end(flow_events_[flow_events_seen_]);
}

void engine::impl::end(flow::event const& e) {
    auto* const c = subjects_.find(e.flow_id);
    if (c == nullptr || c->ended)
        return;
    if (e.reason == flow::end_reason::active_timeout) {
        c->matched.for_each(registry_.of_level(level::connection), [&](std::size_t slot) {
            registry_[slot].as_connections().push({e, c->service, c->partial, c->interface_index});
            touch(*registry_[slot].to, registry_[slot].to);
        });
        return;
    }
    over(*c, e.time);
    for (auto const n : registry_.of_phase(phase::end))
        if (!c->partial)
            c->note(n, detail::look(registry_.predicate_at(n).what, e.stats));
    c->closed = detail::all_phases;
    c->ended = true;
    settle(*c);
    c->matched.for_each(registry_.of_level(level::connection), [&](std::size_t slot) {
        registry_[slot].as_connections().push({e, c->service, c->partial, c->interface_index});
        touch(*registry_[slot].to, registry_[slot].to);
        c->matched.reset(slot);
    });
    c->open.for_each(registry_.beyond_packets(), [&](std::size_t slot) { c->open.reset(slot); });
}

void engine::impl::forget(std::uint64_t id) {
    follow();
    auto* const c = subjects_.find(id);
    if (c == nullptr)
        return;
    if (c->parsing)
        parsers_.forget(id);
    drop_kept(*c);
    subjects_.remove(id);
}

/// Something more is known of a connection.
void engine::impl::settle(subject& c) {
    c.open.for_each(registry_.all(), [&](std::size_t slot) { decide(c, slot); });
    tidy(c);
}

void engine::impl::decide(subject& c, std::size_t slot) {
    auto const& s = registry_[slot];
    auto const of_packets = s.level == level::packet;
    ++s.to->statistics_.evaluated;
    auto const result = (*s.judge)([&](std::size_t n) {
        return of_packets && registry_.predicate_at(n).phase == phase::frame ? truth::unknown
               : s.level == level::session &&
                       (detail::bit(registry_.predicate_at(n).phase) & detail::of_messages & ~c.closed) != 0
                   ? truth::unknown
                   : known(c, n);
    });
    if (result == truth::no)
        return refuse(c, slot);
    if (s.level == level::session)
        return;
    if (result == truth::unknown) {
        if (of_packets && c.pending[slot] != subject::none)
            release(c, slot, false);
        return;
    }
    c.open.reset(slot);
    c.matched.set(slot);
    if (of_packets)
        release(c, slot, true);
    else if (s.at_match) {
        tell(c, slot);
        c.matched.reset(slot);
    }
}

void engine::impl::refuse(subject& c, std::size_t slot) {
    c.open.reset(slot);
    c.pending[slot] = subject::none;
}

/// Gives up what nobody needs of a connection any more.
void engine::impl::tidy(subject& c) {
    if (!c.kept.empty() && std::ranges::all_of(c.pending, [](auto first) { return first == subject::none; }))
        drop_kept(c);
    if (c.parsing && !wants_messages(c)) {
        c.parsing = false;
        parsers_.forget(c.id);
    }
}

/// Tells a connection that goes on.
void engine::impl::tell(subject& c, std::size_t slot) {
    flow::event e;
    if (auto known = flows_.standing_of(c.key); known && known->flow_id == c.id) {
        e = *std::move(known);
    } else { // it has just ended
        e.orientation = c.orientation;
        e.key = c.key;
        e.flow_id = c.id;
        e.time = flows_.now().value_or(c.counted.last_time);
        e.stats = c.counted;
    }
    e.kind = flow::event_kind::established;
    registry_[slot].as_connections().push({e, c.service, c.partial, c.interface_index});
    touch(*registry_[slot].to, registry_[slot].to);
}

void engine::impl::touch(any_outlet& to, std::shared_ptr<any_outlet> const& shared) {
    if (filled_ != nullptr && !std::exchange(to.touched_, true))
        filled_->push_back(shared);
}

// --- The engine itself ---

engine::engine(engine_options const& options)
    : impl_{std::make_unique<impl>(options)} {}
engine::engine(engine&&) noexcept = default;
engine& engine::operator=(engine&&) noexcept = default;
engine::~engine() = default;

namespace {
template <class Options>
detail::subscriber make(std::shared_ptr<outlet<Options>> to, level at) {
    detail::subscriber result;
    result.level = at;
    result.wanted = to->options().wanted();
    if constexpr (std::is_same_v<Options, packets>)
        result.only_parsed = to->options().only_parsed();
    if constexpr (std::is_same_v<Options, connections>)
        result.at_match = to->options().at_match();
    result.to = std::move(to);
    return result;
}
} // namespace

void engine::subscribe(std::shared_ptr<outlet<packets>> to) { impl_->subscribe(make(std::move(to), level::packet)); }
void engine::subscribe(std::shared_ptr<outlet<connections>> to) {
    impl_->subscribe(make(std::move(to), level::connection));
}
void engine::subscribe(std::shared_ptr<outlet<sessions>> to) { impl_->subscribe(make(std::move(to), level::session)); }
void engine::unsubscribe(any_outlet& from) { impl_->unsubscribe(from); }
void engine::track(packet_batch const& packets, event_list& filled) { impl_->track(packets, filled); }
void engine::advance(timestamp now, event_list& filled) { impl_->advance(now, filled); }
void engine::pass(std::chrono::nanoseconds elapsed) noexcept { impl_->flows().pass(elapsed); }
bool engine::flush(event_list& filled, std::size_t limit) { return impl_->flush(filled, limit); }
std::optional<timestamp> engine::now() const noexcept { return impl_->flows().now(); }
std::optional<timestamp> engine::next_expiry() const noexcept { return impl_->next_expiry(); }
std::string engine::needed() const { return impl_->needed(); }
void engine::bypass(std::shared_ptr<connection_bypass> by) { impl_->bypass(std::move(by)); }
flow::tracker_statistics engine::tracking() const noexcept { return impl_->flows().statistics(); }
engine_statistics engine::statistics() const noexcept { return impl_->statistics(); }
engine_options const& engine::options() const noexcept { return impl_->options(); }

} // namespace netring_asio::subscription
