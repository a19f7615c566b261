#include "registry.hpp"

#include <limits>

namespace netring_asio::subscription::detail {
namespace {

bool is_lower_bound(predicate const& p) {
    return info(p.field).stage == stage::connection && is_growing(p.field) && p.how == relation::equal &&
           std::ranges::all_of(p.values, [](value const& v) {
               auto const* const range = std::get_if<number_range>(&v);
               return range != nullptr && range->high == std::numeric_limits<std::uint64_t>::max();
           });
}

} // namespace

std::size_t registry::add(subscriber s, std::vector<std::size_t>& added) {
    bool by_headers = true;
    s.judge.emplace(s.wanted.root(), [&](predicate const& p) {
        auto at =
            std::ranges::find_if(predicates_, [&](auto const& known) { return known.users != 0 && known.what == p; });
        if (at == predicates_.end()) {
            at = std::ranges::find(predicates_, std::size_t{0}, &shared_predicate::users);
            if (at == predicates_.end())
                at = predicates_.emplace(at);
            if (predicates_.size() > std::numeric_limits<std::uint16_t>::max())
                throw system_error{error::invalid_option, "more than 65535 distinct predicates"};
            *at = {p, phase_of(p.field), 0, is_lower_bound(p)};
            added.push_back(static_cast<std::size_t>(at - predicates_.begin()));
        }
        ++at->users;
        auto const asked = at->phase;
        by_headers = by_headers && info(p.field).stage <= stage::frame;
        s.asks_frames = s.asks_frames || asked == phase::frame;
        s.asks_messages = s.asks_messages || (bit(asked) & of_messages) != 0;
        return static_cast<std::uint16_t>(at - predicates_.begin());
    });
    s.asks_messages = s.asks_messages || s.level == level::session || s.only_parsed;
    s.by_frame = s.level == level::packet && !s.only_parsed && s.asks_frames && by_headers;
    auto free = std::ranges::find_if(subscribers_, [](auto const& other) { return !other.to; });
    if (free == subscribers_.end())
        free = subscribers_.emplace(free);
    *free = std::move(s);
    ++size_;
    auto const slot = static_cast<std::size_t>(free - subscribers_.begin());
    index();
    return slot;
}

void registry::remove(std::size_t slot) {
    subscribers_[slot].judge->for_each_predicate([&](std::size_t number) { --predicates_[number].users; });
    subscribers_[slot] = {};
    --size_;
    index();
}

void registry::index() {
    for (auto* const list : {&lasting_frames_, &lower_bounds_})
        list->clear();
    for (auto& list : by_phase_)
        list.clear();
    for (auto* const set : {&all_, &by_frame_, &followed_, &beyond_packets_, &asking_messages_, &only_parsed_,
                            &by_level_[0], &by_level_[1], &by_level_[2]}) {
        set->resize(subscribers_.size());
        set->clear();
    }
    number_set lasting;
    lasting.resize(predicates_.size());
    for (std::size_t slot = 0; slot != subscribers_.size(); ++slot) {
        auto const& s = subscribers_[slot];
        if (!s.to)
            continue;
        all_.set(slot);
        (s.by_frame ? by_frame_ : followed_).set(slot);
        by_level_[static_cast<std::size_t>(s.level)].set(slot);
        if (s.level != level::packet) {
            beyond_packets_.set(slot);
            s.judge->for_each_predicate([&](std::size_t number) { lasting.set(number); });
        }
        if (s.asks_messages)
            asking_messages_.set(slot);
        if (s.only_parsed)
            only_parsed_.set(slot);
    }
    for (std::size_t number = 0; number != predicates_.size(); ++number) {
        auto const& p = predicates_[number];
        if (p.users == 0)
            continue;
        by_phase_[static_cast<std::size_t>(p.phase)].push_back(number);
        if (p.phase == phase::frame && lasting.test(number))
            lasting_frames_.push_back(number);
        if (p.has_lower_bound)
            lower_bounds_.push_back(number);
    }
}

} // namespace netring_asio::subscription::detail
