#include <netring_asio/flow/reassembler.hpp>

#include <algorithm>
#include <utility>

namespace netring_asio::flow {

reassembler::position reassembler::place(std::uint32_t sequence) const noexcept {
    auto const near = static_cast<std::uint32_t>(*reference_ + static_cast<std::uint32_t>(next_ - origin));
    auto const distance = static_cast<std::int32_t>(sequence - near);
    return next_ + static_cast<position>(static_cast<std::int64_t>(distance));
}

void reassembler::anchor(position base) noexcept {
    anchored_ = true;
    base_ = next_ = base;
    while (!pieces_.empty() && pieces_.front().end <= base) {
        buffered_ -= pieces_.front().bytes.size();
        pieces_.erase(pieces_.begin());
    }
    if (!pieces_.empty() && pieces_.front().begin < base) {
        auto& p = pieces_.front();
        if (!p.bytes.empty()) {
            p.bytes.erase(p.bytes.begin(), p.bytes.begin() + static_cast<std::ptrdiff_t>(base - p.begin));
            buffered_ -= base - p.begin;
        }
        p.begin = base;
    }
}

void reassembler::open(std::uint32_t initial_sequence, byte_consumer& consumer) {
    if (anchored_) {
        // A handshake tried again with another number; once there was data it is too late for that.
        if (next_ == base_ && pieces_.empty()) {
            reference_ = initial_sequence + 1;
            next_ = base_ = origin;
            acknowledged_.reset();
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
        if (begin < next_) {
            auto const old = std::min<std::size_t>(bytes.size(), next_ - begin);
            repeated_ += old;
            missing = end - next_ - (bytes.size() - old);
            bytes = bytes.subspan(old);
            begin = next_;
        }
        if (begin == next_ && missing == 0 && (pieces_.empty() || end <= pieces_.front().begin)) {
            consumer.data(next_ - base_, bytes);
            next_ = end;
            deliver(consumer);
            return settle(now, consumer);
        }
    }
    insert(begin, bytes, missing);
    if (anchored_)
        deliver(consumer);
    settle(now, consumer);
}

void reassembler::store(std::size_t at, position begin, position end, std::span<std::byte const> bytes) {
    pieces_.insert(pieces_.begin() + static_cast<std::ptrdiff_t>(at), {begin, end, {bytes.begin(), bytes.end()}});
    buffered_ += bytes.size();
}

void reassembler::insert(position begin, std::span<std::byte const> bytes, std::size_t missing) {
    if (missing != 0) { // the captured part and the part that was cut off are pieces of their own
        if (!bytes.empty())
            insert(begin, bytes, 0);
        begin += bytes.size();
        bytes = {};
    }
    auto const end = begin + bytes.size() + missing;
    auto const part = [&](position from, position to) {
        return bytes.empty() ? bytes : bytes.subspan(from - begin, to - from);
    };
    auto cursor = begin;
    for (std::size_t i = 0; i != pieces_.size() && cursor < end; ++i) {
        if (pieces_[i].end <= cursor)
            continue;
        if (pieces_[i].begin >= end)
            break;
        if (cursor < pieces_[i].begin) {
            auto const to = pieces_[i].begin;
            store(i, cursor, to, part(cursor, to));
            cursor = to;
            ++i;
        }
        auto const to = std::min(end, pieces_[i].end);
        auto& old = pieces_[i];
        if (!bytes.empty() && !old.bytes.empty()) {
            repeated_ += to - cursor;
            if (options_.overlap() == overlap_policy::last) {
                auto const fresh = part(cursor, to);
                std::copy(fresh.begin(), fresh.end(),
                          old.bytes.begin() + static_cast<std::ptrdiff_t>(cursor - old.begin));
            }
        } else if (!bytes.empty()) { // now it was captured after all
            auto const left = old.begin;
            auto const right = old.end;
            pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(i));
            if (to < right)
                store(i, to, right, {});
            store(i, cursor, to, part(cursor, to));
            if (left < cursor)
                store(i++, left, cursor, {});
        }
        cursor = to;
    }
    if (cursor < end) {
        auto const at = std::find_if(pieces_.begin(), pieces_.end(), [&](piece const& p) { return p.begin >= end; });
        store(static_cast<std::size_t>(at - pieces_.begin()), cursor, end, part(cursor, end));
    }
}

void reassembler::deliver(byte_consumer& consumer) {
    std::size_t done = 0;
    // A piece that was cut off waits like a missing one: a repetition may have it whole.
    for (; done != pieces_.size() && pieces_[done].begin == next_ && !pieces_[done].bytes.empty(); ++done) {
        consumer.data(next_ - base_, pieces_[done].bytes);
        next_ = pieces_[done].end;
        buffered_ -= pieces_[done].bytes.size();
    }
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(done));
    if (done != 0)
        missed_since_.reset();
}

void reassembler::skip_to(position to, byte_consumer& consumer) {
    consumer.gap(next_ - base_, to - next_);
    gap_ += to - next_;
    next_ = to;
    missed_since_.reset();
    while (!pieces_.empty() && pieces_.front().end <= next_)
        pieces_.erase(pieces_.begin());
    deliver(consumer);
}

void reassembler::acknowledge(std::uint32_t number, timestamp now, byte_consumer& consumer) {
    if (!acknowledged_ || static_cast<std::int32_t>(number - *acknowledged_) > 0)
        acknowledged_ = number;
    settle(now, consumer);
}

void reassembler::advance(timestamp now, byte_consumer& consumer) { settle(now, consumer); }

void reassembler::settle(timestamp now, byte_consumer& consumer) {
    if (pieces_.empty())
        return;
    auto const acknowledged = acknowledged_ ? place(*acknowledged_) : position{0};
    if (!anchored_) {
        auto const lowest = pieces_.front().begin;
        if (acknowledged < lowest && buffered_ <= options_.max_buffered())
            return;
        anchor(lowest);
        deliver(consumer);
    }
    while (!pieces_.empty()) {
        // What is missing: up to the first captured byte.
        auto const captured =
            std::find_if(pieces_.begin(), pieces_.end(), [](piece const& p) { return !p.bytes.empty(); });
        auto const to = captured != pieces_.end() ? captured->begin : pieces_.back().end;
        if (buffered_ <= options_.max_buffered()) {
            if (acknowledged <= next_)
                return;
            if (!missed_since_) {
                missed_since_ = now;
                segments_since_ = 0;
            }
            if (now - *missed_since_ < options_.acknowledged_grace() || segments_since_ < options_.reordering())
                return;
        }
        skip_to(to, consumer);
    }
}

void reassembler::finish(byte_consumer& consumer) {
    if (pieces_.empty())
        return;
    if (!anchored_) {
        anchor(pieces_.front().begin);
        deliver(consumer);
    }
    while (!pieces_.empty()) {
        auto const captured =
            std::find_if(pieces_.begin(), pieces_.end(), [](piece const& p) { return !p.bytes.empty(); });
        skip_to(captured != pieces_.end() ? captured->begin : pieces_.back().end, consumer);
    }
}

} // namespace netring_asio::flow
