#pragma once

#include "program.hpp"
#include "subject.hpp"
#include <netring_asio/subscription/outlet.hpp>

#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace netring_asio::subscription::detail {

enum class level : std::uint8_t { packet, connection, session };

/// A subscription in the engine.
struct subscriber {
    std::shared_ptr<any_outlet> to; // none: the place is free
    detail::level level = level::packet;
    expression wanted;
    std::optional<program> judge;
    bool asks_frames = false;
    bool asks_messages = false;
    bool only_parsed = false;
    bool by_frame = false; // headers alone decide about each frame
    bool at_match = false;

    outlet<packets>& as_packets() const noexcept { return static_cast<outlet<packets>&>(*to); }
    outlet<connections>& as_connections() const noexcept { return static_cast<outlet<connections>&>(*to); }
    outlet<sessions>& as_sessions() const noexcept { return static_cast<outlet<sessions>&>(*to); }
};

/// The subscriptions, and the predicates that they share.
class registry {
public:
    struct shared_predicate {
        predicate what;
        detail::phase phase{};
        std::size_t users = 0;
        bool has_lower_bound = false; // of a counter: known as soon as it is reached
    };

    /// Takes a subscription in; returns its number. New predicates are appended to `added`.
    std::size_t add(subscriber s, std::vector<std::size_t>& added);
    void remove(std::size_t slot);

    std::size_t slots() const noexcept { return subscribers_.size(); }
    std::size_t size() const noexcept { return size_; }
    std::size_t predicates() const noexcept { return predicates_.size(); }
    std::size_t distinct() const noexcept {
        return static_cast<std::size_t>(std::ranges::count_if(predicates_, [](auto const& p) { return p.users != 0; }));
    }
    subscriber& operator[](std::size_t slot) noexcept { return subscribers_[slot]; }
    subscriber const& operator[](std::size_t slot) const noexcept { return subscribers_[slot]; }
    shared_predicate const& predicate_at(std::size_t number) const noexcept { return predicates_[number]; }

    std::vector<std::size_t> const& of_phase(phase p) const noexcept { return by_phase_[static_cast<std::size_t>(p)]; }
    /// Predicates over frames that connections or sessions ask for.
    std::vector<std::size_t> const& lasting_frames() const noexcept { return lasting_frames_; }
    std::vector<std::size_t> const& lower_bounds() const noexcept { return lower_bounds_; }

    number_set const& all() const noexcept { return all_; }
    /// Those that headers alone decide, frame by frame, and all others, for which connections are followed.
    number_set const& by_frame() const noexcept { return by_frame_; }
    number_set const& followed() const noexcept { return followed_; }
    number_set const& of_level(level l) const noexcept { return by_level_[static_cast<std::size_t>(l)]; }
    number_set const& beyond_packets() const noexcept { return beyond_packets_; }
    number_set const& asking_messages() const noexcept { return asking_messages_; }
    number_set const& only_parsed() const noexcept { return only_parsed_; }

private:
    void index();

    std::vector<subscriber> subscribers_;
    std::vector<shared_predicate> predicates_;
    std::array<std::vector<std::size_t>, 9> by_phase_;
    std::vector<std::size_t> lasting_frames_;
    std::vector<std::size_t> lower_bounds_;
    number_set all_, by_frame_, followed_, beyond_packets_, asking_messages_, only_parsed_;
    std::array<number_set, 3> by_level_;
    std::size_t size_ = 0;
};

} // namespace netring_asio::subscription::detail
