#pragma once

#include "registry.hpp"
#include "subject.hpp"
#include <netring_asio/session/detail/engine.hpp>
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/quic.hpp>
#include <netring_asio/session/tls.hpp>
#include <netring_asio/subscription/engine.hpp>

#include <deque>
#include <utility>

namespace netring_asio::subscription {

class engine::impl {
public:
    explicit impl(engine_options const& options);

    void subscribe(detail::subscriber s);
    void unsubscribe(any_outlet& from);
    void track(packet_batch const& packets, event_list& filled);
    void advance(timestamp now, event_list& filled);
    bool flush(event_list& filled, std::size_t limit);
    std::string needed() const;
    void bypass(std::shared_ptr<connection_bypass> by);
    engine_statistics statistics() const noexcept;

    auto& flows() noexcept { return flows_; }
    engine_options const& options() const noexcept { return options_; }
    std::optional<timestamp> next_expiry() const noexcept;

private:
    using parsers =
        netring_asio::session::detail::engine<flow::five_tuple_key, netring_asio::session::dns_over_udp,
                                              netring_asio::session::dns_over_tcp, netring_asio::session::tls_handshake,
                                              netring_asio::session::http1_parser, netring_asio::session::quic_initial>;
    using observed = flow::packet_observer<flow::five_tuple_key>::flow;
    using subject = detail::subject;
    using truth = detail::truth;
    using phase = detail::phase;

    struct watcher final : flow::packet_observer<flow::five_tuple_key> {
        explicit watcher(impl& owner) noexcept
            : to{owner} {}
        void packet(observed const& of, decode::headers const& h, timestamp now) override { to.packet(of, h, now); }
        void apart(decode::headers const& h, std::size_t place, timestamp now) override { to.apart(h, place, now); }
        void forget(std::uint64_t id) override { to.forget(id); }
        impl& to;
    };

    /// What a frame is looked at as.
    struct sight {
        decode::headers const& headers;
        flow::orientation orientation;
        bool parsed;
        std::size_t place;         // in this batch,
        netring_asio::frame frame; // or kept already
    };

    template <class F>
    void run(event_list& filled, F f);

    void packet(observed const& of, decode::headers const& headers, timestamp now);
    void forget(std::uint64_t id);
    void follow();

    // Connections. Their marks: a subject's number, even; or that all have decided against it, and then that each of
    // its frames is looked at, or, where it may be passed over, how many packets came since.
    static constexpr std::uint32_t generations = 0xffffff;
    static constexpr std::uint32_t decided = generations << 1 | 1;
    static constexpr std::uint32_t counting = std::uint32_t{1} << 31;
    static constexpr std::uint32_t looking = std::uint32_t{1} << 30; // at each frame
    static constexpr std::uint32_t one_packet = std::uint32_t{1} << 25;
    static constexpr std::uint32_t worth_it = 16; // packets
    static constexpr std::uint32_t most_packets = 31;
    std::uint32_t tombstone() const noexcept { return generation_ << 1 | 1; }
    static std::uint32_t packets_of(std::uint32_t mark) noexcept { return (mark & ~counting) / one_packet; }
    static bool was_bypassed(std::uint32_t mark) noexcept {
        return (mark & counting) != 0 && packets_of(mark) >= worth_it;
    }
    void decide_against(observed const& of, decode::headers const& h, subject const* c);
    bool wants_frames(subject const& c) const;
    void pass_by(observed const& of, decode::headers const& h);
    /// Whether it may be a tunnel's.
    static bool may_carry(decode::headers const& h) noexcept;
    std::chrono::nanoseconds timeout_of(decode::headers const& h) const noexcept {
        return h.has_tcp ? options_.tracking().tcp_timeout() : options_.tracking().udp_timeout();
    }
    subject* begin(observed const& of, decode::headers const& h);
    void count(subject& c, observed const& of, decode::headers const& h);
    void end(flow::event const& e);
    void open(subject& c, std::size_t slot);
    void settle(subject& c);
    void decide(subject& c, std::size_t slot);
    void refuse(subject& c, std::size_t slot);
    void tidy(subject& c);
    void tell(subject& c, std::size_t slot);
    bool wants_messages(subject const& c) const noexcept {
        return c.open.meets(registry_.asking_messages()) || c.matched.meets(registry_.only_parsed());
    }
    truth known(subject const& c, std::size_t number) const noexcept {
        auto const& p = registry_.predicate_at(number);
        return c.known(number, p.what, p.phase);
    }

    // Messages
    void parse(subject& c, observed const& of, decode::headers const& h, timestamp now);
    void read_messages();
    void started(subject& c, std::string_view protocol);
    void take(subject& c, parsers::message_type&& m, timestamp time);
    void over(subject& c, timestamp time);
    void offer(subject& c, message&& whole, timestamp time);
    template <class Message>
    void note(subject& c, phase of, Message const& m) {
        for (auto const number : registry_.of_phase(of))
            c.note(number, detail::look(registry_.predicate_at(number).what, m));
    }

    // Frames
    packet_view const& view_at(std::size_t place);
    void apart(decode::headers const& h, std::size_t place, timestamp now);
    void judge_alone(decode::headers const& h, std::size_t place, netring_asio::frame held);
    void judge_frames(observed const& of, decode::headers const& h);
    void frame_of(subject& c, sight const& s, timestamp now);
    void fragments_of(subject& c, sight const& whole, timestamp now);
    void judge_fragments_alone(std::size_t left);
    truth judge_frame(subject const& c, std::size_t slot, decode::headers const& h);
    bool keep(subject& c, netring_asio::frame f, sight const& s, timestamp now);
    void give_up(subject& c);
    void give_up_old(timestamp now);
    void release(subject& c, std::size_t slot, bool all);
    void drop_kept(subject& c);
    void fill(std::size_t slot, subscription::packet what);
    void touch(any_outlet& to, std::shared_ptr<any_outlet> const& shared);

    engine_options options_;
    watcher watcher_{*this};
    flow::tracker<flow::five_tuple> flows_;
    std::vector<flow::event> flow_events_;
    std::size_t flow_events_seen_ = 0;
    parsers parsers_;
    std::vector<parsers::event_type> messages_;
    std::size_t messages_seen_ = 0;

    detail::registry registry_;
    detail::subject_table subjects_;
    std::shared_ptr<connection_bypass> bypass_;
    std::uint32_t generation_ = 1;

    struct judged {
        std::uint64_t stamp = 0;
        truth result = truth::unknown;
    };
    std::vector<judged> judged_; // predicates over the frame or message at hand
    std::uint64_t stamp_ = 0;

    /// The fragments of a datagram, until it is complete.
    struct fragments {
        decode::ip_address source, destination;
        std::uint32_t id = 0;
        std::uint8_t next_header = 0;
        std::size_t size = 0;
        std::size_t total = 0; // 0: not known yet
        std::size_t place = 0; // of the last
        timestamp since{};
        std::vector<netring_asio::frame> frames;
    };
    static constexpr std::size_t max_fragmented = 256;
    std::deque<fragments> fragmented_; // oldest first
    std::optional<fragments> complete_;

    decode::decoder decoder_;
    packet_batch const* batch_ = nullptr;
    packet_batch::iterator at_;
    std::size_t place_ = 0; // of what `at_` is at
    packet_view current_;
    std::size_t kept_frames_ = 0;
    std::size_t kept_bytes_ = 0;
    // Subjects with kept frames, by `kept_since`.
    boost::intrusive::list<detail::subject, boost::intrusive::constant_time_size<false>> keeping_;
    std::uint64_t clock_jumps_ = 0;
    event_list* filled_ = nullptr;
};

} // namespace netring_asio::subscription
