// What the engine does with frames: which connection each belongs to, and what becomes of it.

#include "engine_impl.hpp"

namespace netring_asio::subscription {

using detail::level;
using detail::truth;

/// A packet of this batch. Asked for in their order.
packet_view const& engine::impl::view_at(std::size_t place) {
    for (; place_ != place; ++place_)
        ++at_;
    return current_ = *at_;
}

/// A packet that no flow has on its own.
void engine::impl::apart(decode::headers const& h, std::size_t place, timestamp now) {
    if (!registry_.of_level(level::packet).any())
        return;
    judge_fragments_alone(max_fragmented);
    if (h.fragment_layer == 0 || h.fragment_layer != h.ip_layers)
        return judge_alone(h, place, {});
    auto at = std::ranges::find_if(fragmented_, [&](fragments const& f) {
        return f.id == h.fragment_id && f.next_header == h.fragment_next_header && f.source == h.source &&
               f.destination == h.destination;
    });
    if (at == fragmented_.end()) {
        judge_fragments_alone(max_fragmented - 1);
        at = fragmented_.insert(at, {h.source, h.destination, h.fragment_id, h.fragment_next_header, 0, 0, 0, now, {}});
    }
    auto const size = h.ip_length - (h.fragment_payload_offset - h.ip_offset);
    at->size += size;
    if (!h.more_fragments)
        at->total = h.fragment_offset + size;
    at->place = place;
    at->frames.push_back(batch_->hold(view_at(place)));
    bool const is_complete = at->total != 0 && at->size >= at->total;
    if (is_complete || at->frames.size() > options_.max_frames()) {
        complete_ = std::move(*at);
        fragmented_.erase(at);
    }
    if (!is_complete && complete_) // no datagram, but one that never ends
        judge_fragments_alone(max_fragmented);
}

/// What is whole and yet no datagram, and all but the newest `left` of what is not.
void engine::impl::judge_fragments_alone(std::size_t left) {
    auto const each = [this](fragments const& f) {
        for (auto const& frame : f.frames) {
            decode::headers h;
            decoder_(*frame, h);
            judge_alone(h, 0, frame);
        }
    };
    if (auto const whole = std::exchange(complete_, {}))
        each(*whole);
    for (; fragmented_.size() > left; fragmented_.pop_front())
        each(fragmented_.front());
}

/// A packet that belongs to no connection.
void engine::impl::judge_alone(decode::headers const& h, std::size_t place, netring_asio::frame held) {
    ++stamp_;
    registry_.all().for_each(registry_.of_level(level::packet), [&](std::size_t slot) {
        auto const& s = registry_[slot];
        ++s.to->statistics_.evaluated;
        auto const result = (*s.judge)([&](std::size_t n) {
            auto const& p = registry_.predicate_at(n);
            auto& j = judged_[n];
            if (j.stamp != stamp_)
                j = {stamp_, detail::truth_of(info(p.what.field).stage <= stage::frame &&
                                              detail::verdict(p.what, detail::look(p.what, h)))};
            return j.result;
        });
        if (result != truth::yes)
            return;
        if (!held)
            held = batch_->hold(view_at(place));
        fill(slot, {held});
    });
}

/// A datagram is complete: its fragments are frames of its connection.
void engine::impl::fragments_of(subject& c, sight const& whole, timestamp now) {
    auto const all = std::exchange(complete_, {});
    if (!all)
        return;
    for (auto const& frame : all->frames) {
        decode::headers h;
        decoder_(*frame, h);
        frame_of(c, {h, whole.orientation, whole.parsed, whole.place, frame}, now);
    }
}

truth engine::impl::judge_frame(subject const& c, std::size_t slot, decode::headers const& h) {
    auto const& s = registry_[slot];
    ++s.to->statistics_.evaluated;
    return (*s.judge)([&](std::size_t n) {
        auto const& p = registry_.predicate_at(n);
        if (p.phase != phase::frame)
            return known(c, n);
        auto& j = judged_[n];
        if (j.stamp != stamp_)
            j = {stamp_, detail::truth_of(detail::verdict(p.what, detail::look(p.what, h)))};
        return j.result;
    });
}

/// Whether a frame of the connection may be one that somebody wants whatever becomes of the rest.
bool engine::impl::wants_frames(subject const& c) const {
    bool result = false;
    registry_.by_frame().for_each(registry_.by_frame(), [&](std::size_t slot) {
        result =
            result || (*registry_[slot].judge)([&](std::size_t n) {
                          return registry_.predicate_at(n).phase == detail::phase::frame ? truth::unknown : known(c, n);
                      }) != truth::no;
    });
    return result;
}

/// A packet, or the fragments of a datagram, for who decides by headers.
void engine::impl::judge_frames(observed const& of, decode::headers const& h) {
    auto const& wanting = registry_.by_frame();
    if (!wanting.any()) {
        of.mark = (of.mark & looking) != 0 ? tombstone() : of.mark;
        return;
    }
    auto const judge = [&](decode::headers const& own, netring_asio::frame held) {
        ++stamp_;
        wanting.for_each(wanting, [&](std::size_t slot) {
            auto const& s = registry_[slot];
            ++s.to->statistics_.evaluated;
            auto const result = (*s.judge)([&](std::size_t n) {
                auto& j = judged_[n];
                if (j.stamp != stamp_) {
                    auto const& p = registry_.predicate_at(n);
                    auto const& from = p.phase == phase::frame ? own : h;
                    j = {stamp_, detail::truth_of(detail::verdict(p.what, detail::look(p.what, from)))};
                }
                return j.result;
            });
            if (result != truth::yes)
                return;
            if (!held)
                held = batch_->hold(view_at(of.place));
            fill(slot, {held, of.key, of.id, of.orientation});
        });
    };
    if (!complete_) [[likely]]
        return judge(h, {});
    for (auto const& frame : complete_->frames) {
        decode::headers own;
        decoder_(*frame, own);
        judge(own, frame);
    }
}

/// A frame of a connection, after what it told of that.
void engine::impl::frame_of(subject& c, sight const& s, timestamp now) {
    if (complete_) [[unlikely]]
        return fragments_of(c, s, now);
    netring_asio::frame held = s.frame;
    auto const hold = [&]() -> netring_asio::frame const& {
        if (!held)
            held = batch_->hold(view_at(s.place));
        return held;
    };
    auto const suits = [&](std::size_t slot) { return s.parsed || !registry_[slot].only_parsed; };
    c.matched.for_each(registry_.of_level(level::packet), [&](std::size_t slot) {
        if (suits(slot))
            fill(slot, {hold(), c.key, c.id, s.orientation});
    });
    ++stamp_;
    bool is_kept = false;
    c.open.for_each(registry_.of_level(level::packet), [&](std::size_t slot) {
        if (!c.open.test(slot) || !suits(slot))
            return; // given up on the way
        auto const result = registry_[slot].asks_frames ? judge_frame(c, slot, s.headers) : truth::unknown;
        if (result == truth::no)
            return;
        if (result == truth::yes && c.pending[slot] == subject::none)
            return fill(slot, {hold(), c.key, c.id, s.orientation});
        if (!is_kept && !(is_kept = keep(c, hold(), s, now)))
            return;
        ++registry_[slot].to->statistics_.cached;
        if (c.pending[slot] == subject::none)
            c.pending[slot] = static_cast<std::uint32_t>(c.kept.size() - 1);
    });
}

/// Keeps a frame within the bounds; false where it is not kept.
bool engine::impl::keep(subject& c, netring_asio::frame f, sight const& s, timestamp now) {
    auto const size = f->data.size();
    auto const is_full = [&] {
        return c.kept.size() >= options_.max_frames() || c.kept_bytes + size > options_.max_bytes();
    };
    auto const all_full = [&] {
        return kept_frames_ >= options_.max_total_frames() || kept_bytes_ + size > options_.max_total_bytes();
    };
    if (is_full() || all_full()) {
        if (options_.at_bound() == when_undecided::keep_first)
            return false;
        while (options_.at_bound() == when_undecided::keep_last && !c.kept.empty() && (is_full() || all_full())) {
            auto const oldest = c.kept.front().frame->data.size();
            c.kept.erase(c.kept.begin());
            c.kept_bytes -= oldest;
            kept_bytes_ -= oldest;
            --kept_frames_;
            for (auto& first : c.pending)
                first = first == subject::none || first == 0 ? first : first - 1;
        }
        if (is_full() || all_full()) {
            give_up(c);
            return false;
        }
    }
    if (c.kept.empty()) {
        c.kept_since = now;
        if (c.is_linked())
            c.unlink();
        keeping_.push_back(c);
    }
    c.kept.push_back({std::move(f), s.orientation, s.parsed});
    c.kept_bytes += size;
    kept_bytes_ += size;
    ++kept_frames_;
    return true;
}

/// The undecided connection counts as not matching.
void engine::impl::give_up(subject& c) {
    c.open.for_each(registry_.of_level(level::packet), [&](std::size_t slot) {
        if (!registry_[slot].asks_frames || c.pending[slot] != subject::none) {
            ++registry_[slot].to->statistics_.given_up;
            refuse(c, slot);
        }
    });
    drop_kept(c);
    tidy(c);
}

void engine::impl::give_up_old(timestamp now) {
    while (!fragmented_.empty() && fragmented_.front().since + options_.max_age() <= now)
        judge_fragments_alone(fragmented_.size() - 1);
    if (auto const jumps = flows_.statistics().clock_jumps; jumps != std::exchange(clock_jumps_, jumps))
        for (auto& c : keeping_) // what came just before the clock jumped is not old
            c.kept_since = now;
    while (!keeping_.empty() && keeping_.front().kept_since + options_.max_age() <= now)
        give_up(keeping_.front());
}

/// Delivers the kept frames that a subscription waits for: all, or those that can be judged.
void engine::impl::release(subject& c, std::size_t slot, bool all) {
    auto const first = std::exchange(c.pending[slot], subject::none);
    if (first == subject::none)
        return;
    auto const& s = registry_[slot];
    for (std::size_t i = first; i != c.kept.size(); ++i) {
        auto const& k = c.kept[i];
        if (s.only_parsed && !k.parsed)
            continue;
        auto result = truth::yes;
        if (!all) {
            decode::headers h;
            decoder_(*k.frame, h);
            ++stamp_;
            result = judge_frame(c, slot, h);
        }
        if (result == truth::unknown) {
            c.pending[slot] = static_cast<std::uint32_t>(i);
            return;
        }
        if (result == truth::yes)
            fill(slot, {k.frame, c.key, c.id, k.orientation});
    }
}

void engine::impl::drop_kept(subject& c) {
    kept_frames_ -= c.kept.size();
    kept_bytes_ -= std::exchange(c.kept_bytes, 0);
    c.kept.clear();
    if (c.is_linked())
        c.unlink();
    std::ranges::fill(c.pending, subject::none);
}

void engine::impl::fill(std::size_t slot, subscription::packet what) {
    auto const& s = registry_[slot];
    s.as_packets().push(std::move(what));
    touch(*s.to, s.to);
}

} // namespace netring_asio::subscription
