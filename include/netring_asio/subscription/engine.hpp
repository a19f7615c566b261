#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/subscription/options.hpp>
#include <netring_asio/subscription/outlet.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace netring_asio::subscription {

/// Passes packets of connections over before they come to an engine.
class NETRING_ASIO_API connection_bypass {
public:
    virtual ~connection_bypass() = default;

    /// Passes its packets over for so long from now on, but none from one with SYN, FIN or RST on. False where it
    /// cannot.
    virtual bool add(flow::five_tuple_key const& connection, std::chrono::nanoseconds lifetime) = 0;
    virtual void remove(flow::five_tuple_key const& connection) = 0;
    /// Passes over nothing more until it is added again.
    virtual void stop() = 0;

    struct passing {
        std::chrono::nanoseconds ago; ///< since a packet was passed over, or it was added, if that is later
        bool stopped;                 ///< since it was added, by `stop` or by its end
    };
    /// Nothing where it was not added, or was removed, or its packets have come for long again.
    virtual std::optional<passing> find(flow::five_tuple_key const& connection) = 0;
    virtual std::size_t size() const = 0;
};

/// What an engine holds. All of it is now.
struct engine_statistics {
    std::size_t subscriptions = 0;
    std::size_t predicates = 0;  ///< distinct ones, of all subscriptions together
    std::size_t connections = 0; ///< undecided, or matched and going on
    std::size_t sessions = 0;    ///< of these, parsed
    std::size_t frames = 0;      ///< kept of undecided connections
    std::size_t bytes = 0;       ///< of these frames
    std::size_t bypassed = 0;    ///< connections decided against, and passed over before they come here
};

/// Follows the connections of packets, and puts what subscriptions ask for into their outlets.
///
/// A connection is looked at for as long as a subscription may still match it. What all have decided against costs a
/// look at a mark.
///
/// Each distinct predicate is evaluated once for all subscriptions: of connections when its field is known, of frames
/// and messages once for each.
///
/// A fragment is a frame of the connection of its datagram, to which it is added when that is complete; one whose
/// datagram never is counts for itself, as what belongs to no connection does.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
class NETRING_ASIO_API engine {
public:
    /// An outlet into which something came.
    using event_type = std::shared_ptr<any_outlet>;
    using event_list = std::vector<event_type>;

    explicit engine(engine_options const& options = engine_options{});
    engine(engine&&) noexcept;
    engine& operator=(engine&&) noexcept;
    ~engine();

    /// Begins to fill an outlet, also while packets are tracked. Connections that go on are then in their midst: what
    /// came before is not known of those that all others had decided against.
    void subscribe(std::shared_ptr<outlet<packets>> to);
    void subscribe(std::shared_ptr<outlet<connections>> to);
    void subscribe(std::shared_ptr<outlet<sessions>> to);
    /// Makes an outlet of its own.
    template <class Options>
    std::shared_ptr<outlet<Options>> subscribe(Options options) {
        auto result = std::make_shared<outlet<Options>>(std::move(options));
        subscribe(result);
        return result;
    }
    /// Fills it no more. What waits in it stays there.
    void unsubscribe(any_outlet& from);

    /// Takes packets in, in the order in which they were captured, and appends the outlets that have something new.
    void track(packet_batch const& packets, event_list& filled);
    /// As in `flow::tracker`.
    void advance(timestamp now, event_list& filled);
    void pass(std::chrono::nanoseconds elapsed) noexcept;
    bool flush(event_list& filled, std::size_t limit = 4096);
    std::optional<timestamp> now() const noexcept;
    std::optional<timestamp> next_expiry() const noexcept;

    /// A tcpdump expression of at least all packets that the subscriptions need, for a filter before this; empty where
    /// they need all. Fragments, ICMP and what may be a tunnel always pass.
    std::string needed() const;

    /// Has connections that all subscriptions have decided against, and that went on for some packets, passed over;
    /// with nothing no more. They come again with every subscription: then their counters, which lack packets, decide
    /// nothing, and `connection::partial` tells it. Of what is in a tunnel, in fragments or behind tags all comes.
    void bypass(std::shared_ptr<connection_bypass> by);

    flow::tracker_statistics tracking() const noexcept;
    engine_statistics statistics() const noexcept;
    engine_options const& options() const noexcept;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace netring_asio::subscription
