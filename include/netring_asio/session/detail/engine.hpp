#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/reassembly_memory.hpp>
#include <netring_asio/flow/stream_pair.hpp>
#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/session/detail/chooser.hpp>
#include <netring_asio/session/detail/holding.hpp>
#include <netring_asio/session/detail/joined_message.hpp>
#include <netring_asio/session/detail/packet_facts.hpp>
#include <netring_asio/session/event.hpp>
#include <netring_asio/session/session_options.hpp>
#include <netring_asio/session/use.hpp>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace netring_asio::session::detail {

/// The parsers of all flows of a tracker.
template <class Key, class... Parsers>
class NETRING_ASIO_API engine final : public flow::packet_observer<Key> {
public:
    using message_type = typename joined_message<typename Parsers::message_type...>::type;
    using event_type = basic_event<Key, message_type>;
    using event_list = std::vector<event_type>;
    using flow_event = flow::basic_event<Key>;
    using flow_event_list = std::vector<flow_event>;
    using observed = typename flow::packet_observer<Key>::flow;

    engine(session_options const& options, use<Parsers>... uses)
        : options_{options}
        , memory_{options.max_buffered()}
        , chooser_{options.max_probed(), std::move(uses)...} {}

    /// Where events of flows come in, and events of sessions go, from here on.
    void connect(flow_event_list const& in, event_list& out) noexcept {
        in_ = &in;
        out_ = &out;
        seen_ = 0;
    }

    void packet(observed const& of, decode::headers const& h, timestamp now) override {
        follow();
        tick(now);
        if (of.ended || !(h.has_tcp || h.protocol == decode::protocol::udp))
            return;
        auto const way = way_of<Key>(of, h);
        auto& s = session_of(of, h, way);
        if (s.state == state::ignored)
            return;
        if (h.has_tcp)
            segment(s, h, way, now);
        else
            datagram(s, h, side_of(s, way), now);
    }

    void forget(std::uint64_t id) override {
        follow();
        if (auto const at = sessions_.find(id); at != sessions_.end())
            retire(at);
    }

    /// Whether messages of a flow may still come.
    bool follows(std::uint64_t id) const noexcept {
        auto const at = sessions_.find(id);
        return at != sessions_.end() && at->second->state != state::ignored;
    }

    /// Reads the flow events that came since the last call.
    void follow() {
        for (; seen_ != in_->size(); ++seen_) {
            auto const& e = (*in_)[seen_];
            if (e.kind == flow::event_kind::ended && e.reason != flow::end_reason::active_timeout)
                end(e);
        }
    }

    void tick(timestamp now) {
        if (now < next_tick_)
            return;
        next_tick_ = now + options_.tick_interval();
        waiters due;
        for (due.swap(waiters_); !due.empty();) {
            auto& s = due.front();
            waiters_.splice(waiters_.end(), due, due.begin());
            if (s.streams)
                with_streams(s, now, [&](auto& streams, auto& a, auto& b) { streams.advance(now, a, b); });
            with_parser(s, now, [&](auto& parser, auto& out) {
                if constexpr (requires { parser.tick(now, out); })
                    parser.tick(now, out);
            });
            settle(s, now);
        }
    }

    /// When `tick` is worth calling next; nothing if nobody waits for time.
    std::optional<timestamp> next_tick() const noexcept {
        return waiters_.empty() ? std::nullopt : std::optional{next_tick_};
    }
    std::size_t sessions() const noexcept { return sessions_.size(); }
    std::size_t buffered() const noexcept { return memory_.used(); }
    std::size_t held() const noexcept { return held_; }
    std::uint64_t given_up() const noexcept { return given_up_; }
    session_options const& options() const noexcept { return options_; }

private:
    static constexpr std::size_t max_probed_datagrams = 4;
    enum class state : std::uint8_t { choosing, parsing, ignored };

    template <class Tag>
    using hook = boost::intrusive::list_base_hook<boost::intrusive::tag<Tag>,
                                                  boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
    using holder = hook<struct holding>;
    using waiter = hook<struct waiting>;

    struct session : holder, waiter {
        Key key{};
        std::uint64_t id = 0;
        flow::orientation orientation{};
        std::variant<std::monostate, Parsers...> parser;
        std::optional<flow::stream_pair> streams;
        std::vector<held_bytes> held; // until the parser is chosen
        std::array<std::vector<std::byte>, 2> prefix;
        std::array<bool, 2> begun{}; // by way
        std::array<bool, 2> fed{};   // by side
        std::array<bool, 2> finished{};
        std::size_t probed = 0;        // bytes in `held` and `prefix`
        std::size_t counted_bytes = 0; // these, and what the parser holds
        std::size_t datagrams = 0;
        counters counted;
        std::string_view protocol;
        detail::engine<Key, Parsers...>::state state = state::choosing;
        bool told = false;
    };
    using holders = boost::intrusive::list<session, boost::intrusive::base_hook<holder>,
                                           boost::intrusive::constant_time_size<false>>;
    using waiters = boost::intrusive::list<session, boost::intrusive::base_hook<waiter>,
                                           boost::intrusive::constant_time_size<false>>;
    using session_map = boost::unordered_flat_map<std::uint64_t, session*>;

    /// Takes what the parser of one session makes.
    template <class Message>
    struct sink final : output<Message> {
        sink(engine& e, session& to, timestamp at) noexcept
            : in{e}
            , of{to}
            , time{at} {}
        void operator()(side from, Message&& message) override {
            ++of.counted.messages;
            if (of.holder::is_linked())
                in.holders_.splice(in.holders_.end(), in.holders_, in.holders_.iterator_to(of));
            auto& what = in.tell(of, from, time).what;
            if constexpr (std::is_same_v<Message, message_type>)
                what.template emplace<1>(std::move(message));
            else if constexpr (is_variant<Message>)
                std::visit([&]<class M>(M&& m) { what.template emplace<1>(std::in_place_type<M>, std::forward<M>(m)); },
                           std::move(message));
            else
                what.template emplace<1>(std::in_place_type<Message>, std::move(message));
        }
        engine& in;
        session& of;
        timestamp time;
    };

    /// Takes what the reassembler of one direction hands over.
    struct feeder final : flow::byte_consumer {
        feeder(engine& e, session& to, flow::orientation direction, timestamp at) noexcept
            : in{e}
            , of{to}
            , way{direction}
            , time{at} {}
        void data(std::uint64_t offset, std::span<std::byte const> bytes) override {
            in.bytes(of, side_of(of, way), offset, bytes, time);
        }
        void gap(std::uint64_t offset, std::uint64_t length) override {
            in.missing(of, side_of(of, way), offset, length, time);
        }
        engine& in;
        session& of;
        flow::orientation way;
        timestamp time;
    };

    static side side_of(session const& s, flow::orientation way) noexcept {
        return way == s.orientation ? side::initiator : side::responder;
    }

    session& session_of(observed const& of, decode::headers const& h, flow::orientation way) {
        auto& slot = sessions_.try_emplace(of.id, nullptr).first->second;
        if (slot)
            return *slot;
        if (spare_.empty()) {
            auto& chunk = *chunks_.emplace_back(std::make_unique<std::array<session, 64>>());
            spare_.reserve(chunks_.size() * chunk.size());
            for (auto& s : chunk)
                spare_.push_back(&s);
        }
        slot = spare_.back();
        spare_.pop_back();
        auto& s = *slot;
        s.key = of.key;
        s.id = of.id;
        s.orientation = of.from_initiator ? way : flow::opposite(way);
        ports_ = {h.source_port, h.destination_port};
        if (!choose(s, h.has_tcp, h.time) && !chooser_.is_candidate({h.has_tcp, ports_, s.prefix}))
            s.state = state::ignored;
        else if (h.has_tcp) {
            // Without a handshake who was seen first says little, and the port says more.
            auto const from = side_of(s, way);
            auto const server_port = from == side::initiator ? h.source_port : h.destination_port;
            auto const client_port = from == side::initiator ? h.destination_port : h.source_port;
            if ((h.tcp_flags & decode::tcp_flag::syn) == 0 && server_port < 1024 && client_port >= 1024)
                s.orientation = flow::opposite(s.orientation);
            s.streams.emplace(options_.reassembly(), &memory_);
        }
        return s;
    }

    template <class F>
    void with_streams(session& s, timestamp now, F f) {
        feeder a{*this, s, flow::orientation::a_to_b, now};
        feeder b{*this, s, flow::orientation::b_to_a, now};
        f(*s.streams, a, b);
    }

    void segment(session& s, decode::headers const& h, flow::orientation way, timestamp now) {
        ports_ = {h.source_port, h.destination_port};
        if ((h.tcp_flags & decode::tcp_flag::syn) != 0)
            s.begun[static_cast<std::size_t>(way)] = true;
        with_streams(s, now, [&](auto& streams, auto& a, auto& b) { streams.packet(h, way, now, a, b); });
        settle(s, now);
    }

    /// Sees to what follows from what a flow was fed: ends of its directions, and the bounds.
    void settle(session& s, timestamp now) {
        for (auto const way : {flow::orientation::a_to_b, flow::orientation::b_to_a})
            if (s.state == state::parsing && s.streams && s.streams->direction(way).ended())
                finish(s, side_of(s, way), now);
        account(s, now);
    }

    void finish(session& s, side from, timestamp now) {
        if (std::exchange(s.finished[index(from)], true))
            return;
        with_parser(s, now, [&](auto& parser, auto& out) {
            if constexpr (requires { parser.tick(now, out); })
                parser.tick(now, out);
            if constexpr (requires { error_code{parser.finish(from, now, out)}; }) {
                if (error_code const error = parser.finish(from, now, out))
                    fail(s, from, error, now);
            } else if constexpr (requires { parser.finish(from, now, out); }) {
                parser.finish(from, now, out);
            }
        });
    }

    /// Keeps count of what waits to be complete, and the count within its bound.
    void account(session& s, timestamp now) {
        release(s);
        if (s.counted_bytes != 0 && !s.holder::is_linked())
            holders_.push_back(s);
        else if (s.counted_bytes == 0)
            drop<holder>(s);
        if (waits(s) && !s.waiter::is_linked()) {
            if (waiters_.empty())
                next_tick_ = now + options_.tick_interval();
            waiters_.push_back(s);
        } else if (!waits(s)) {
            drop<waiter>(s);
        }
        if (held_ <= options_.max_held()) [[likely]]
            return;
        if (options_.when_full() == held_policy::give_up_newcomer)
            give_up(s, now);
        while (held_ > options_.max_held())
            give_up(holders_.front(), now);
    }

    void release(session& s) {
        if (s.state == state::ignored) {
            s.streams.reset();
            s.parser.template emplace<0>();
        }
        auto const size = s.probed + held_by(s.parser);
        held_ += size - s.counted_bytes;
        s.counted_bytes = size;
    }

    void give_up(session& s, timestamp now) {
        ++given_up_;
        if (s.told)
            fail(s, side::initiator, boost::system::errc::make_error_code(boost::system::errc::no_buffer_space), now);
        else
            ignore(s);
        release(s);
        drop<holder>(s);
        drop<waiter>(s);
    }

    template <class Hook>
    static void drop(Hook& from) noexcept {
        if (from.is_linked())
            from.unlink();
    }

    /// Whether time alone may lead to something.
    static bool waits(session const& s) noexcept {
        return s.state == state::parsing && (waits_for_time(s.parser) || (s.streams && s.streams->buffered() != 0));
    }

    /// Bytes of a stream, in order.
    void bytes(session& s, side from, std::uint64_t offset, std::span<std::byte const> data, timestamp now) {
        if (s.state == state::parsing && !s.finished[index(from)])
            return feed(s, from, data, now);
        if (s.state == state::ignored || s.finished[index(from)])
            return;
        auto& prefix = s.prefix[index(from)];
        auto const room = options_.max_probed() - std::min(prefix.size(), options_.max_probed());
        prefix.insert(prefix.end(), data.begin(),
                      data.begin() + static_cast<std::ptrdiff_t>(std::min(room, data.size())));
        s.held.push_back({from, offset, 0, now, {data.begin(), data.end()}});
        s.probed += data.size() + sizeof(held_bytes);
        choose(s, true, now);
    }

    void missing(session& s, side from, std::uint64_t offset, std::uint64_t length, timestamp now) {
        if (s.state == state::ignored || s.finished[index(from)])
            return;
        if (s.state == state::choosing) {
            s.held.push_back({from, offset, length, now, {}});
            s.probed += sizeof(held_bytes);
            return;
        }
        ++s.counted.gaps;
        s.counted.gap_bytes += length;
        tell(s, from, now).what = gap{offset, length};
        tell_gap(s, from, length, now);
    }

    void tell_gap(session& s, side from, std::uint64_t length, timestamp now) {
        with_parser(s, now, [&](auto& parser, auto& out) {
            if constexpr (requires { parser.gap(from, length, now, out); }) {
                if (error_code const error = parser.gap(from, length, now, out))
                    fail(s, from, error, now);
            } else if (length != 0) {
                fail(s, from, error::stream_gap, now);
            }
        });
    }

    void feed(session& s, side from, std::span<std::byte const> data, timestamp now) {
        if (!std::exchange(s.fed[index(from)], true) && !has_begun(s, from)) {
            tell_gap(s, from, 0, now);
            if (s.state == state::ignored)
                return;
        }
        s.counted.bytes[index(from)] += data.size();
        with_parser(s, now, [&](auto& parser, auto& out) {
            if constexpr (stream_parser<std::remove_cvref_t<decltype(parser)>>) {
                if (auto const error = parser.feed(from, data, now, out))
                    return fail(s, from, error, now);
                if constexpr (requires { parser.done(); })
                    if (parser.done())
                        ignore(s);
            }
        });
    }

    static bool has_begun(session const& s, side from) noexcept {
        return s
            .begun[static_cast<std::size_t>(from == side::initiator ? s.orientation : flow::opposite(s.orientation))];
    }

    void datagram(session& s, decode::headers const& h, side from, timestamp now) {
        auto const data = h.payload();
        if (data.empty())
            return;
        if (s.state == state::choosing) {
            ports_ = {h.source_port, h.destination_port};
            auto& prefix = s.prefix[index(from)];
            prefix.assign(data.begin(), data.end());
            auto const last = ++s.datagrams == max_probed_datagrams;
            choose(s, false, now, last);
            prefix.clear();
            if (last && s.state == state::choosing)
                ignore(s);
            if (s.state != state::parsing)
                return;
        }
        auto const cut = full_size(h) - data.size();
        auto const offset = s.counted.bytes[index(from)] += data.size();
        if (cut != 0) {
            ++s.counted.gaps;
            s.counted.gap_bytes += cut;
        }
        with_parser(s, now, [&](auto& parser, auto& out) {
            if constexpr (datagram_parser<std::remove_cvref_t<decltype(parser)>>) {
                error_code error;
                if (cut == 0)
                    error = parser.datagram(from, data, now, out);
                else if constexpr (requires { parser.cut_datagram(from, data, now, out); })
                    error = parser.cut_datagram(from, data, now, out);
                else
                    tell(s, from, now).what = gap{offset, cut};
                if (error && s.counted.failures++ == 0)
                    tell(s, from, now).what = parse_failure{error};
                if constexpr (requires { parser.done(); })
                    if (parser.done())
                        ignore(s);
            }
        });
        account(s, now);
    }

    /// Chooses a parser if it is clear which, or if nothing more is to be known.
    bool choose(session& s, bool tcp, timestamp now, bool last = false) {
        auto const verdict = chooser_.choose({tcp, ports_, s.prefix}, last);
        chooser_.for_each([&](auto i) {
            if (verdict.parser == i)
                start<i>(s, now);
        });
        auto const chosen = verdict.parser != chooser_.none;
        if (!chosen && verdict.final && tcp)
            ignore(s);
        return chosen;
    }

    template <std::size_t I>
    void start(session& s, timestamp now) {
        using parser = std::tuple_element_t<I, std::tuple<Parsers...>>;
        s.parser.template emplace<I + 1>(chooser_.template prototype<I>());
        s.state = state::parsing;
        s.told = true;
        if constexpr (requires { parser::name; })
            s.protocol = parser::name;
        auto const held = std::exchange(s.held, {});
        s.prefix = {};
        s.probed = 0;
        tell(s, side::initiator, held.empty() ? now : held.front().time).what = started{};
        for (auto const& h : held)
            if (h.gap != 0)
                missing(s, h.from, h.offset, h.gap, h.time);
            else
                bytes(s, h.from, h.offset, h.bytes, h.time);
    }

    template <class F>
    void with_parser(session& s, timestamp now, F f) {
        std::visit(
            [&]<class P>(P& parser) {
                if constexpr (!std::is_same_v<P, std::monostate>) {
                    sink<typename P::message_type> out{*this, s, now};
                    f(parser, static_cast<output<typename P::message_type>&>(out));
                }
            },
            s.parser);
    }

    event_type& tell(session& s, side from, timestamp now) {
        auto& e = out_->emplace_back();
        e.key = s.key;
        e.orientation = s.orientation;
        e.from = from;
        e.flow_id = s.id;
        e.time = now;
        e.protocol = s.protocol;
        return e;
    }

    void fail(session& s, side from, error_code const& error, timestamp now) {
        ++s.counted.failures;
        tell(s, from, now).what = parse_failure{error};
        ignore(s);
    }

    /// Nothing more of the flow is looked at; its end is still told if its start was.
    void ignore(session& s) {
        s.state = state::ignored;
        s.held = {};
        s.prefix = {};
        s.probed = 0;
    }

    void end(flow_event const& e) {
        auto const at = sessions_.find(e.flow_id);
        if (at == sessions_.end())
            return;
        auto& s = *at->second;
        using flow::end_reason;
        auto const stopped = s.streams && s.streams->stopped();
        auto const orderly = !stopped && (e.reason == end_reason::fin || e.reason == end_reason::idle ||
                                          e.reason == end_reason::flushed);
        if (s.streams && s.state != state::ignored)
            with_streams(s, e.time, [&](auto& streams, auto& a, auto& b) { streams.finish(a, b); });
        if (s.state == state::choosing && !s.held.empty()) {
            if constexpr (requires { e.key.a.port; })
                ports_ = {e.key.a.port, e.key.b.port};
            choose(s, true, e.time, true);
        }
        for (auto const from : {side::initiator, side::responder})
            if (s.state == state::parsing && orderly)
                finish(s, from, e.time);
        if (s.state == state::parsing && !(s.finished[0] && s.finished[1]))
            with_parser(s, e.time, [&](auto& parser, auto& out) {
                if constexpr (requires { parser.tick(e.time, out); })
                    parser.tick(e.time, out);
                if constexpr (requires { parser.reset(e.time, out); })
                    parser.reset(e.time, out);
            });
        if (s.told)
            tell(s, side::initiator, e.time).what = ended{e.reason, s.counted, e.stats};
        retire(at);
    }

    void retire(typename session_map::iterator at) {
        auto* const s = at->second;
        ignore(*s);
        release(*s);
        sessions_.erase(at);
        std::destroy_at(s);
        spare_.push_back(std::construct_at(s));
    }

    session_options options_;
    flow::reassembly_memory memory_; // before what uses it
    chooser<Parsers...> chooser_;
    session_map sessions_;
    std::vector<std::unique_ptr<std::array<session, 64>>> chunks_;
    std::vector<session*> spare_;
    flow_event_list const* in_ = nullptr;
    event_list* out_ = nullptr;
    std::size_t seen_ = 0;
    std::size_t held_ = 0;
    std::uint64_t given_up_ = 0;
    /// Sessions that hold something; first the one that has gone longest without a complete message.
    holders holders_;
    waiters waiters_; // `tick` concerns these alone
    timestamp next_tick_{};
    std::array<std::uint16_t, 2> ports_{}; // of the flow that is looked at
};

} // namespace netring_asio::session::detail
