#pragma once

#include <netring_asio/decode/checksum.hpp>
#include <netring_asio/decode/decoder.hpp>
#include <netring_asio/decode/defragmenter.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/dedup.hpp>
#include <netring_asio/flow/detail/free_list.hpp>
#include <netring_asio/flow/detail/hash_bytes.hpp>
#include <netring_asio/flow/detail/hash_index.hpp>
#include <netring_asio/flow/detail/record_slab.hpp>
#include <netring_asio/flow/detail/state_slab.hpp>
#include <netring_asio/flow/detail/tcp_connection.hpp>
#include <netring_asio/flow/detail/tcp_troubles.hpp>
#include <netring_asio/flow/detail/timer_wheel.hpp>
#include <netring_asio/flow/event.hpp>
#include <netring_asio/flow/packet_clock.hpp>
#include <netring_asio/flow/snapshot.hpp>
#include <netring_asio/flow/tracker_options.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

namespace netring_asio::flow {

namespace detail {

inline constexpr std::int64_t tick_nanoseconds = std::int64_t{1} << 26;

/// The tick of the timer wheel that a time lies in.
inline std::uint64_t tick_of(timestamp time) noexcept {
    auto const count = time.time_since_epoch().count();
    return count <= 0 ? 0 : static_cast<std::uint64_t>(count) / static_cast<std::uint64_t>(tick_nanoseconds);
}

} // namespace detail

/// Counters of a tracker. All but `flows` only grow.
struct tracker_statistics {
    std::uint64_t flows = 0;      ///< in the table now, without those that have ended
    std::uint64_t remembered = 0; ///< ended, and remembered for stragglers
    std::uint64_t started = 0;
    std::uint64_t ended = 0;
    std::uint64_t evicted = 0; ///< of those that ended
    std::uint64_t packets = 0;
    std::uint64_t copies = 0;            ///< packets seen before, and not counted again; see `dedup`
    std::uint64_t unmatched = 0;         ///< packets that the extractor gave no key
    std::uint64_t bad_checksums = 0;     ///< packets with one, where that is looked for
    std::uint64_t orphan_fragments = 0;  ///< later fragments without a first one; their flow has no ports
    std::uint64_t dropped_datagrams = 0; ///< see `defragmenter`
    std::uint64_t doubted_stamps = 0;    ///< see `packet_clock`
    std::uint64_t clock_jumps = 0;       ///< see `packet_clock`
};

/// Sees the packets of flows while a `tracker` runs, to look into what they carry.
template <class Key>
class NETRING_ASIO_API packet_observer {
public:
    /// The flow of a packet.
    struct flow {
        std::uint64_t const& id; ///< as `basic_event::flow_id`
        Key const& key;
        netring_asio::flow::orientation orientation; ///< of the packet, which never turns
        bool from_initiator;                         ///< as known so far, see `basic_event::orientation`
        bool ended;                                  ///< the packet is a straggler
        std::uint32_t& mark;                         ///< for the observer to write, 0 in a new flow
        std::size_t place;                           ///< of the packet in its batch, or of a datagram's last fragment
    };

    /// A packet, or a datagram put together from fragments; its bytes are valid during the call. Also the first
    /// fragment of a UDP datagram where the snap length cut it, as that will never be complete. It is called after the
    /// flow's `started` and before any other event that the packet leads to.
    virtual void packet(flow const& of, decode::headers const& headers, timestamp now) = 0;
    /// A packet of no flow, or a fragment; after the one that completes a datagram comes that.
    virtual void apart(decode::headers const& /*headers*/, std::size_t /*place*/, timestamp /*now*/) {}
    /// The tracker has forgotten the flow: nothing more comes with this id.
    virtual void forget(std::uint64_t id) = 0;

    /// Packets of flows with this mark are not shown, but datagrams put together are.
    std::uint32_t unshown = 0xffffffff;

protected:
    ~packet_observer() = default;
};

/// Follows flows: takes packets in and gives events out.
///
/// Works on several packets at a time, so that the memory of one is fetched while another is worked on. How packets are
/// cut into batches changes nothing but the moment at which events come out.
///
/// Time is packet time (see `packet_clock`); a flow's timeout is noticed within 70 ms of it. A full table evicts first
/// what has ended, then unanswered attempts, then flows seen in one direction only, then the rest; within each the one
/// that was not used for longest, looking at no more than a few of them.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
template <extractor Extractor>
class NETRING_ASIO_API tracker {
public:
    using extractor_type = Extractor;
    using key_type = typename Extractor::key_type;
    using state_type = state_of<Extractor>;
    using event_type = basic_event<key_type, state_type>;
    using event_list = std::vector<event_type>;

    explicit tracker(Extractor extract = Extractor{}, tracker_options const& options = tracker_options{});

    /// Takes packets in, in the order in which they were captured, and appends what happened to `events`.
    void track(packet_batch const& packets, event_list& events) { track_range(packets, events); }
    void track(std::span<packet_view const> packets, event_list& events) { track_range(packets, events); }

    /// Shows packets to an observer from here on, or to none; it must live as long.
    void observe(packet_observer<key_type>* observer) noexcept { observer_ = observer; }

    /// No packet came until `now`, by the clock that `now()` shows: appends what expired.
    void advance(timestamp now, event_list& events);

    /// So much time passed by a steady clock since the last packet. Widens what the next stamp may jump by.
    void pass(std::chrono::nanoseconds elapsed) noexcept { clock_.pass(elapsed); }

    /// Ends flows because the input ended, about `limit` at a time; returns whether some are left.
    bool flush(event_list& events, std::size_t limit = 4096);

    /// The time of the last packet, or of `advance` if that was later; nothing before the first packet.
    std::optional<timestamp> now() const noexcept {
        auto const reached = clock_.now();
        return reached ? clock_.shown(*reached) : reached;
    }
    /// When `advance` is worth calling next if no packet comes; nothing if no flow is left.
    std::optional<timestamp> next_expiry() const noexcept;

    /// Appends how flows in the table stand, a part of the table at each call, and changes nothing: `kind` is the last
    /// event that was told of the flow. Returns whether there is more; then call again with the same cursor. A flow
    /// that is in the table all the while is told once, whatever packets are tracked in between.
    bool snapshot(snapshot_cursor& cursor, event_list& flows, std::size_t limit = 4096) const;

    /// How the flow between these ends stands, as in a snapshot; nothing where there is none, or it has ended.
    std::optional<event_type> standing_of(key_type const& key) const;

    /// The `count` flows with the greatest `measure(event)`, greatest first. Looks at the whole table at once;
    /// `snapshot` and `top_flows` do it in parts.
    template <class Measure>
    event_list top(std::size_t count, Measure measure) const;

    tracker_statistics statistics() const noexcept;
    table_statistics table() const noexcept;
    tracker_options const& options() const noexcept { return options_; }
    Extractor const& extract() const noexcept { return extract_; }

private:
    static constexpr std::uint32_t none = 0xffffffff;
    static constexpr std::size_t most_doubted = 32;

    using record = detail::record<key_type>;
    using found_key = extracted<key_type>;
    using share = decode::defragmenter::share;
    struct group;

    template <std::ranges::input_range Packets>
    void track_range(Packets const& packets, event_list& events);
    void find_keys(group& packets);
    void look_up(group& packets);
    void look_at(group& packets);
    void update(group& packets, event_list& events);
    void update(group& packets, std::size_t i, event_list& events);
    bool carry_on(std::uint32_t at, found_key const& found, decode::headers const& packet, std::size_t place,
                  timestamp now);
    void update_corrupt(group& packets, std::size_t i, timestamp now, event_list& events);
    void update_fragment(decode::headers const& packet, std::size_t place, timestamp now, event_list& events);
    timestamp tick(decode::headers const& packet, clock_source clock, event_list& events);
    void show_cut(decode::headers const& packet, std::size_t place, timestamp now, event_list& events);
    void expire_fragments(timestamp now, event_list& events);

    std::uint32_t hash(key_type const& key) const noexcept {
        return static_cast<std::uint32_t>(detail::hash_key(key, seed_));
    }
    std::uint32_t flow_of(found_key const& found, std::uint32_t hash, std::uint32_t candidate,
                          decode::headers const& packet, timestamp now, event_list& events);
    void count_only(decode::headers const& packet, share const& add, timestamp now, event_list& events);
    // Inlined, because its counters are read as wider words than they are written.
    [[gnu::always_inline]] inline void count(std::uint32_t at, std::size_t side, detail::amounts const& more,
                                             timestamp first, timestamp last, timestamp now, event_list& events);
    void begin_part(std::uint32_t at, timestamp first, timestamp now, event_list& events);
    void note_datagram(std::uint32_t at, std::size_t side) noexcept;
    detail::tcp_troubles& troubles_of(std::uint32_t at);
    void show(std::uint32_t at, std::size_t side, decode::headers const& packet, std::size_t place, timestamp now);
    void progress(std::uint32_t at, std::size_t side, decode::headers const& packet, timestamp now, event_list& events);

    std::uint32_t find(key_type const& key, std::uint32_t hash) const noexcept {
        return index_.find(hash, [&](std::uint32_t at) { return detail::same_key(records_[at].key, key); });
    }
    std::uint32_t create(found_key const& found, std::uint32_t hash, decode::headers const& packet, timestamp now,
                         event_list& events);
    void end(std::uint32_t at, end_reason reason, timestamp now, event_list& events);
    void progress_tcp(std::uint32_t at, std::size_t side, decode::headers const& packet, timestamp now,
                      event_list& events);
    void flip(std::uint32_t at) noexcept;
    void cut(std::uint32_t at, timestamp now, event_list& events);
    void remember(std::uint32_t at, end_reason reason, timestamp now, event_list& events);
    void remove(std::uint32_t at, timestamp now, event_list& events);
    void expire(timestamp now, event_list& events) {
        if (detail::tick_of(now) > wheel_.now()) [[unlikely]]
            expire_due(now, events);
    }
    void expire_due(timestamp now, event_list& events);
    void evict(timestamp now, event_list& events);
    void tell(event_kind kind, end_reason reason, std::uint32_t at, timestamp now, event_list& events);
    event_type standing(std::uint32_t at) const;
    void describe(std::uint32_t at, event_type& told) const;
    void clear_counters(std::uint32_t at) noexcept;
    void classify(std::uint32_t at, record& r) noexcept;
    std::uint8_t plain_kinds(std::uint32_t at) const noexcept;
    void link_timer(std::uint32_t at) noexcept;
    void hasten_timer(std::uint32_t at) noexcept;
    std::size_t fetch_chain(std::uint32_t at) const noexcept;
    bool has_expired(record const& r, timestamp now) const noexcept;
    timestamp idle_deadline(record const& r) const noexcept;
    timestamp deadline(record const& r) const noexcept;

    Extractor extract_;
    tracker_options options_;
    std::chrono::nanoseconds shortest_timeout_; // of all that may apply
    decode::decoder decoder_;
    std::optional<dedup> dedup_;
    decode::defragmenter defragmenter_;
    packet_clock clock_;
    // Flows of packets whose stamps were not believed; used just now if it turns out that they were right.
    std::vector<std::pair<std::uint32_t, std::uint64_t>> doubted_;
    bool doubting_ = false;
    std::uint64_t seed_;
    detail::hash_index index_;
    detail::record_slab<record> records_;
    detail::free_list<detail::tcp_troubles> troubles_;
    [[no_unique_address]] detail::state_slab<state_type> states_;
    detail::timer_wheel wheel_;
    packet_observer<key_type>* observer_ = nullptr;
    std::uint64_t next_id_ = 1;
    tracker_statistics statistics_;
};

template <class Extractor>
tracker(Extractor) -> tracker<Extractor>;
template <class Extractor>
tracker(Extractor, tracker_options) -> tracker<Extractor>;

} // namespace netring_asio::flow

#include <netring_asio/flow/impl/tracker.hpp>
