#pragma once

#include <netring_asio/flow/tracker_options.hpp>
#include <netring_asio/session/session_options.hpp>
#include <netring_asio/subscription/expression.hpp>
#include <netring_asio/subscription/items.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace netring_asio::subscription {

/// What happens where a consumer does not keep up.
enum class overflow : std::uint8_t {
    drop_newest,
    drop_oldest,
    pause, ///< nothing is read from the source until there is room
};

/// What all subscriptions have in common.
template <class Derived, class Item>
class subscription_options {
public:
    using item_type = Item;

    /// Items that wait for the consumer. Default 4096.
    Derived& max_waiting(std::size_t value) noexcept { return max_waiting_ = value, derived(); }
    /// What happens to more of them. With `pause` the bound is exceeded by what one batch of packets leads to.
    /// Default `pause`.
    Derived& when_full(overflow value) noexcept { return when_full_ = value, derived(); }

    subscription::expression const& wanted() const noexcept { return wanted_; }
    std::size_t max_waiting() const noexcept { return max_waiting_; }
    overflow when_full() const noexcept { return when_full_; }

private:
    friend Derived;
    explicit subscription_options(subscription::expression wanted)
        : wanted_{std::move(wanted)} {}
    Derived& derived() noexcept { return static_cast<Derived&>(*this); }

    subscription::expression wanted_;
    std::size_t max_waiting_ = 4096;
    overflow when_full_ = overflow::pause;
};

/// Frames: each that the expression holds of, once, in the order of arrival.
///
/// Fields of packets are those of the frame itself, all others those of its connection. Frames of a connection that is
/// not decided yet are kept, from its first one on, and delivered when it is; see `engine_options` for the bounds.
class packets : public subscription_options<packets, packet> {
public:
    explicit packets(subscription::expression wanted = {})
        : subscription_options{std::move(wanted)} {}

    /// Leaves out frames without payload, and, once the connection is decided by its messages, all that follow: what
    /// was parsed to decide. Default: off.
    packets& only_parsed(bool value) noexcept { return only_parsed_ = value, *this; }
    bool only_parsed() const noexcept { return only_parsed_; }

private:
    bool only_parsed_ = false;
};

/// Connections. A field of packets or messages has all values that it took in the connection.
class connections : public subscription_options<connections, connection> {
public:
    explicit connections(subscription::expression wanted = {})
        : subscription_options{std::move(wanted)} {}

    /// Tells a connection as soon as the expression holds, and not when the connection has ended, the default.
    connections& at_match(bool value) noexcept { return at_match_ = value, *this; }
    bool at_match() const noexcept { return at_match_; }

private:
    bool at_match_ = false;
};

/// What connections carry, as typed messages.
///
/// Fields of sessions are those of the message itself, all others those of its connection, as far as they are known
/// when the message is complete: a message for which they leave the expression open is not delivered.
class sessions : public subscription_options<sessions, session> {
public:
    explicit sessions(subscription::expression wanted = {})
        : subscription_options{std::move(wanted)} {}
};

/// What happens to the frames kept of an undecided connection when there is no room for more.
enum class when_undecided : std::uint8_t {
    give_up,    ///< the connection counts as not matching
    keep_first, ///< the next frames are not kept, and are lost if it matches later
    keep_last,  ///< the oldest frames make room
};

/// How connections are followed, and what is kept of them until they are decided.
class engine_options {
public:
    engine_options() = default;

    engine_options& tracking(flow::tracker_options const& value) { return tracking_ = value, *this; }
    engine_options& parsing(netring_asio::session::session_options const& value) { return parsing_ = value, *this; }
    /// Frames kept of one connection. Default 256.
    engine_options& max_frames(std::size_t value) noexcept { return max_frames_ = value, *this; }
    /// Bytes of frames kept of one connection. Default 256 KiB.
    engine_options& max_bytes(std::size_t value) noexcept { return max_bytes_ = value, *this; }
    /// Packet time that frames are kept for. Default 30 s.
    engine_options& max_age(std::chrono::nanoseconds value) noexcept { return max_age_ = value, *this; }
    /// Frames kept of all connections together. Default 65536.
    engine_options& max_total_frames(std::size_t value) noexcept { return max_total_frames_ = value, *this; }
    /// Bytes of them. Default 64 MiB.
    engine_options& max_total_bytes(std::size_t value) noexcept { return max_total_bytes_ = value, *this; }
    /// What to do when one of the bounds of frames and bytes is reached; at `max_age` a connection is always given up.
    /// Default `give_up`.
    engine_options& at_bound(when_undecided value) noexcept { return at_bound_ = value, *this; }

    flow::tracker_options const& tracking() const noexcept { return tracking_; }
    netring_asio::session::session_options const& parsing() const noexcept { return parsing_; }
    std::size_t max_frames() const noexcept { return max_frames_; }
    std::size_t max_bytes() const noexcept { return max_bytes_; }
    std::chrono::nanoseconds max_age() const noexcept { return max_age_; }
    std::size_t max_total_frames() const noexcept { return max_total_frames_; }
    std::size_t max_total_bytes() const noexcept { return max_total_bytes_; }
    when_undecided at_bound() const noexcept { return at_bound_; }

private:
    flow::tracker_options tracking_;
    netring_asio::session::session_options parsing_;
    std::size_t max_frames_ = 256;
    std::size_t max_bytes_ = std::size_t{256} << 10;
    std::chrono::nanoseconds max_age_ = std::chrono::seconds{30};
    std::size_t max_total_frames_ = 65536;
    std::size_t max_total_bytes_ = std::size_t{64} << 20;
    when_undecided at_bound_ = when_undecided::give_up;
};

} // namespace netring_asio::subscription
