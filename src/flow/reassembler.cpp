#include <netring_asio/flow/reassembler.hpp>

#include <algorithm>
#include <utility>

namespace netring_asio::flow {

/// What a segment brings, or the part of it that is new.
struct reassembler::incoming {
    position begin;
    position end;
    position segment_begin;
    position segment_end;
    std::span<std::byte const> bytes; // empty: not captured

    std::span<std::byte const> part(position from, position to) const noexcept {
        return bytes.empty() ? bytes : bytes.subspan(from - begin, to - from);
    }
};

reassembler::position reassembler::place(std::uint32_t sequence) const noexcept {
    auto const near = static_cast<std::uint32_t>(*reference_ + static_cast<std::uint32_t>(next_ - origin));
    auto const distance = static_cast<std::int32_t>(sequence - near);
    return next_ + static_cast<position>(static_cast<std::int64_t>(distance));
}

bool reassembler::over_budget(std::size_t more) const noexcept {
    return buffered_ + more > options_.max_buffered() ||
           (memory_ != nullptr && memory_->used_ + more > memory_->max_bytes_);
}

reassembler::iterator reassembler::discard(iterator const& at) noexcept {
    auto* const gone = &*at;
    auto const next = pieces_.erase(at);
    buffered_ -= gone->cost();
    if (memory_ != nullptr) {
        memory_->used_ -= gone->memory();
        memory_->give_back(gone);
    } else {
        delete gone;
    }
    return next;
}

void reassembler::clear() noexcept {
    for (auto at = pieces_.begin(); at != pieces_.end();)
        at = discard(at);
}

void reassembler::anchor(position base) noexcept {
    anchored_ = true;
    base_ = next_ = told_ = base;
    while (!pieces_.empty() && pieces_.begin()->end <= base)
        discard(pieces_.begin());
    if (pieces_.empty() || pieces_.begin()->begin >= base)
        return;
    auto& first = *pieces_.begin();
    if (first.captured()) {
        auto const before = base - first.begin;
        first.bytes.erase(first.bytes.begin(), first.bytes.begin() + static_cast<std::ptrdiff_t>(before));
        buffered_ -= before;
    }
    first.begin = base; // still the first, so the set stays in order
}

void reassembler::open(std::uint32_t initial_sequence, byte_consumer& consumer) {
    if (anchored_) {
        // A handshake tried again with another number; once there was data it is too late for that.
        if (next_ == base_ && pieces_.empty()) {
            reference_ = initial_sequence + 1;
            next_ = base_ = told_ = origin;
            end_ = 0;
            acknowledged_.reset();
            window_end_.reset();
        }
        return;
    }
    if (!reference_)
        reference_ = initial_sequence + 1;
    anchor(place(initial_sequence + 1));
    deliver(consumer);
}

void reassembler::segment(std::uint32_t sequence, std::span<std::byte const> bytes, std::size_t missing, timestamp now,
                          byte_consumer& consumer) {
    ++segments_since_;
    if (bytes.empty() && missing == 0)
        return settle(now, consumer);
    if (!reference_)
        reference_ = sequence;
    auto begin = place(sequence);
    auto const segment_begin = begin;
    auto const end = begin + bytes.size() + missing;
    if (anchored_) {
        if (end <= next_) {
            repeated_ += bytes.size();
            return settle(now, consumer);
        }
        if (begin > next_ + options_.max_ahead()) {
            ignored_ += bytes.size();
            return settle(now, consumer);
        }
        if (stopped_) {
            next_ = end;
            return;
        }
        if (begin < next_) {
            auto const old = std::min<std::size_t>(bytes.size(), next_ - begin);
            repeated_ += old;
            missing = end - next_ - (bytes.size() - old);
            bytes = bytes.subspan(old);
            begin = next_;
        }
        if (begin == next_ && missing == 0 && (pieces_.empty() || end <= pieces_.begin()->begin)) {
            consumer.data(next_ - base_, bytes);
            told_ = next_ = end;
            missing_since_.reset();
            acknowledged_since_.reset();
            deliver(consumer);
            return settle(now, consumer);
        }
    }
    // The captured part and the part that was cut off are pieces of their own.
    while (over_budget(bytes.size() + piece::overhead) && drop_beyond_window()) {
    }
    auto const captured = begin + bytes.size();
    if (!bytes.empty())
        insert({begin, captured, segment_begin, end, bytes});
    if (missing != 0 && !stopped_)
        insert({captured, end, segment_begin, end, {}});
    if (stopped_)
        return;
    if (anchored_)
        deliver(consumer);
    settle(now, consumer);
}

// RFC 9293 leaves it open. Linux (tcp_data_queue_ofo) keeps segments by their beginning, and replaces one that begins
// with the new one and ends before.
bool reassembler::is_preferred(incoming const& segment, piece const& to) const noexcept {
    switch (options_.overlap()) {
    case overlap_policy::first:
        return false;
    case overlap_policy::last:
        return true;
    case overlap_policy::as_linux:
        break;
    }
    return segment.segment_begin < to.segment_begin ||
           (segment.segment_begin == to.segment_begin && segment.segment_end > to.segment_end);
}

void reassembler::store(incoming const& segment, position begin, position end) {
    if (stopped_)
        return;
    auto const bytes = segment.part(begin, end);
    if (options_.over_budget() != budget_policy::skip && over_budget(bytes.size() + piece::overhead)) {
        if (options_.over_budget() == budget_policy::stop)
            return stop();
        ignored_ += bytes.size();
        return;
    }
    auto* const added = memory_ != nullptr ? memory_->take(bytes.size()) : new piece;
    added->begin = begin;
    added->end = end;
    added->segment_begin = segment.segment_begin;
    added->segment_end = segment.segment_end;
    added->bytes.assign(bytes.begin(), bytes.end());
    buffered_ += added->cost();
    if (memory_ != nullptr)
        memory_->used_ += added->memory();
    pieces_.insert(*added);
}

// Puts [begin, end) of a segment in the place of what an old piece has there; returns what follows.
reassembler::iterator reassembler::replace(iterator const& at, incoming const& segment, position begin, position end) {
    auto const bytes = std::move(at->bytes);
    incoming const old{at->begin, at->end, at->segment_begin, at->segment_end, bytes};
    buffered_ -= bytes.size();
    if (memory_ != nullptr)
        memory_->used_ -= bytes.capacity();
    at->bytes = {};
    discard(at);
    if (old.begin < begin)
        store(old, old.begin, begin);
    store(segment, begin, end);
    if (end < old.end)
        store(old, end, old.end);
    return pieces_.lower_bound(end);
}

void reassembler::insert(incoming const& segment) {
    auto cursor = segment.begin;
    auto at = pieces_.upper_bound(cursor);
    if (at != pieces_.begin() && std::prev(at)->end > cursor)
        --at;
    while (cursor < segment.end && !stopped_) {
        if (at == pieces_.end() || at->begin >= segment.end)
            return store(segment, cursor, segment.end);
        if (cursor < at->begin) {
            auto const to = at->begin;
            store(segment, cursor, to);
            cursor = to;
            continue;
        }
        auto const to = std::min(segment.end, at->end);
        if (!segment.bytes.empty() && at->captured())
            repeated_ += to - cursor;
        // Bytes that were captured this time are better than none.
        auto const better = !segment.bytes.empty() && (!at->captured() || is_preferred(segment, *at));
        at = better ? replace(at, segment, cursor, to) : std::next(at);
        cursor = to;
    }
}

void reassembler::stop() noexcept {
    stopped_ = true;
    if (!anchored_)
        anchor(pieces_.empty() ? next_ : pieces_.begin()->begin);
    if (!pieces_.empty())
        next_ = std::max(next_, std::prev(pieces_.end())->end);
    clear();
}

void reassembler::deliver(byte_consumer& consumer) {
    // A piece that was cut off waits like a missing one: a repetition may have it whole.
    for (auto at = pieces_.begin(); at != pieces_.end() && at->begin == next_ && at->captured(); at = discard(at)) {
        consumer.data(next_ - base_, at->bytes);
        told_ = next_ = at->end;
        missing_since_.reset();
        acknowledged_since_.reset();
    }
}

// Up to the first captured byte.
reassembler::position reassembler::end_of_gap() const noexcept {
    auto const captured = std::find_if(pieces_.begin(), pieces_.end(), [](piece const& p) { return p.captured(); });
    return captured != pieces_.end() ? captured->begin : std::prev(pieces_.end())->end;
}

void reassembler::skip(byte_consumer& consumer) {
    auto const to = end_of_gap();
    consumer.gap(next_ - base_, to - next_);
    gap_ += to - next_;
    told_ = next_ = to;
    missing_since_.reset();
    acknowledged_since_.reset();
    while (!pieces_.empty() && pieces_.begin()->end <= next_)
        discard(pieces_.begin());
    deliver(consumer);
}

void reassembler::acknowledge(std::uint32_t number, timestamp now, byte_consumer& consumer) {
    if (!acknowledged_ || static_cast<std::int32_t>(number - *acknowledged_) > 0)
        acknowledged_ = number;
    settle(now, consumer);
}

void reassembler::window(std::uint32_t end, timestamp now) noexcept {
    if (!window_end_ || static_cast<std::int32_t>(end - *window_end_) > 0)
        window_end_ = end;
    window_time_ = now;
}

// Of a receiver that is not heard any more nothing is known.
bool reassembler::is_beyond_window(position begin) const noexcept {
    return window_end_ && missing_since_ && window_time_ >= *missing_since_ && begin >= place(*window_end_);
}

bool reassembler::drop_beyond_window() noexcept {
    if (pieces_.empty() || !is_beyond_window(std::prev(pieces_.end())->begin))
        return false;
    auto const last = std::prev(pieces_.end());
    ignored_ += last->bytes.size();
    discard(last);
    if (pieces_.empty()) {
        missing_since_.reset();
        acknowledged_since_.reset();
    }
    return true;
}

void reassembler::close(std::uint32_t sequence) noexcept {
    if (!reference_)
        return;
    if (auto const at = place(sequence); at >= next_ && at - next_ <= options_.max_ahead())
        end_ = at;
}

void reassembler::advance(timestamp now, byte_consumer& consumer) { settle(now, consumer); }

bool reassembler::is_given_up(timestamp now) noexcept {
    if (!missing_since_)
        missing_since_ = now;
    if (now - *missing_since_ >= options_.max_wait())
        return true;
    if (!acknowledged_ || place(*acknowledged_) <= next_)
        return false;
    if (!acknowledged_since_) {
        acknowledged_since_ = now;
        segments_since_ = 0;
    }
    return now - *acknowledged_since_ >= options_.acknowledged_grace() && segments_since_ >= options_.reordering();
}

void reassembler::settle(timestamp now, byte_consumer& consumer) {
    if (pieces_.empty())
        return;
    if (!anchored_) {
        auto const lowest = pieces_.begin()->begin;
        if (!missing_since_)
            missing_since_ = now;
        if ((!acknowledged_ || place(*acknowledged_) < lowest) && !over_budget() &&
            now - *missing_since_ < options_.max_wait())
            return;
        anchor(lowest);
        deliver(consumer);
    }
    for (bool over = over_budget(); !pieces_.empty() && (over || is_given_up(now)); over = over_budget())
        if ((!over && !is_beyond_window(pieces_.begin()->begin)) || !drop_beyond_window())
            skip(consumer);
}

void reassembler::finish(byte_consumer& consumer) {
    if (stopped_) {
        if (told_ != next_) {
            consumer.gap(told_ - base_, next_ - told_);
            gap_ += next_ - told_;
        }
        told_ = next_;
        return;
    }
    if (!anchored_ && !pieces_.empty()) {
        anchor(pieces_.begin()->begin);
        deliver(consumer);
    }
    while (!pieces_.empty())
        skip(consumer);
    if (anchored_ && end_ > next_) {
        consumer.gap(next_ - base_, end_ - next_);
        gap_ += end_ - next_;
        told_ = next_ = end_;
    }
}

} // namespace netring_asio::flow
