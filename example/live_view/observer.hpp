#pragma once

#include "bounded_map.hpp"
#include "name_book.hpp"
#include "packet_choice.hpp"
#include "packet_history.hpp"
#include "talkers.hpp"
#include <netring_asio/capture.hpp>
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/quic.hpp>
#include <netring_asio/session/tls.hpp>
#include <netring_asio/session/tracker.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/circular_buffer.hpp>
#include <boost/json/value.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace live_view {

namespace net = boost::asio;
namespace nr = netring_asio;

/// Watches an interface, and knows what a page shows of it. All of its memory is bounded.
class observer {
public:
    observer(net::io_context& context, nr::capture_options options, std::size_t history_bytes);

    /// Takes packets in until it is cancelled.
    net::awaitable<void> watch();

    /// Lets time go on. To be called a few times a second.
    void tick();
    /// How things stand.
    boost::json::value state();

    /// Shows what an expression says from here on, and begins to count anew: one of tcpdump's, or one that a
    /// subscription would have.
    /// @throws nr::system_error that says what is wrong with it where it is neither; nothing changes then
    void set_filter(std::string const& expression);

    /// Writes those packets of the given flows that are still remembered to a capture file, of which this is the
    /// descriptor.
    void save(std::span<std::uint64_t const> flows, int descriptor) const;

    std::string const& interface() const noexcept { return capture_.options().interface_name(); }

private:
    using tracker =
        nr::session::tracker<nr::flow::five_tuple, nr::session::dns_over_udp, nr::session::multicast_dns,
                             nr::session::dns_over_tcp, nr::session::tls_handshake, nr::session::quic_initial>;
    using steady_clock = std::chrono::steady_clock;

    struct second {
        std::int64_t time = 0; ///< since 1970
        std::uint64_t packets = 0, bytes = 0, drops = 0, events = 0;
    };
    struct counted {
        std::uint64_t packets = 0, bytes = 0, events = 0;
    };
    /// What a walk over the flows finds.
    struct finding {
        std::vector<nr::flow::event> greatest;
        talkers busy;
    };

    static tracker make_tracker();

    std::chrono::nanoseconds passed();
    void set_choice(std::string const& expression, std::string const& not_a_filter);
    template <class Packets>
    void take(Packets const& packets);
    void learn();
    void learn(tracker::event_type const& event);
    void count_second(nr::capture_statistics const& statistics);
    void walk();
    boost::json::object describe(nr::flow::event const& flow);

    std::string filter_;
    nr::capture capture_;
    tracker tracker_ = make_tracker();
    tracker::event_list messages_;
    std::optional<packet_choice> choice_;
    packet_history history_;
    name_book names_;
    steady_clock::time_point last_look_ = steady_clock::now();

    counted now_, told_;
    nr::capture_statistics base_{}, before_{};
    boost::circular_buffer<second> seconds_{120};

    nr::flow::snapshot_cursor cursor_;
    std::vector<nr::flow::event> part_;
    finding walking_, found_;
    boost::circular_buffer<nr::flow::event> ended_{100};
    talkers past_; // of flows that ended
    bounded_map<std::uint64_t, nr::flow::five_tuple_key> shown_{10'000};
};

} // namespace live_view
