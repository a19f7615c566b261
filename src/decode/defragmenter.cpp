#include <netring_asio/decode/defragmenter.hpp>

#include <boost/container_hash/hash.hpp>
#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

namespace netring_asio::decode {
namespace {

// Before the payload there is room for an IPv6 header, which the datagram is told with.
constexpr std::size_t headroom = 40;
constexpr std::uint32_t largest_datagram = 65535;

void add_to(defragmenter::share& share, headers const& fragment) {
    if (share.packets == 0)
        share.first_time = fragment.time;
    share.last_time = fragment.time;
    ++share.packets;
    share.wire_bytes += fragment.wire_length;
    share.ip_bytes += fragment.ip_length;
    share.payload_bytes += fragment.payload_length;
}

} // namespace

std::size_t defragmenter::random_seed() {
    std::random_device random;
    return std::size_t{random()} << 32 | random();
}

std::size_t defragmenter::key_hash::operator()(key const& k) const noexcept {
    auto seed = salt;
    boost::hash_range(seed, k.source.bytes.begin(), k.source.bytes.end());
    boost::hash_range(seed, k.destination.bytes.begin(), k.destination.bytes.end());
    boost::hash_combine(seed, (std::uint64_t{k.id} << 32) | (std::uint64_t{k.protocol} << 16) | k.ip_version);
    boost::hash_combine(seed, k.tunnel_id);
    return seed;
}

std::uint32_t defragmenter::open(key const& k, timestamp now) {
    if (auto const found = index_.find(k); found != index_.end())
        return found->second;
    std::uint32_t at = 0;
    if (free_.empty()) {
        at = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
    } else {
        at = free_.back();
        free_.pop_back();
    }
    index_.emplace(k, at);
    slots_[at].key = k;
    slots_[at].waiting = {};
    begin(at, now);
    return at;
}

// In the order of their age, which the timeout and the budget go by.
void defragmenter::begin(std::uint32_t at, timestamp now) {
    auto& d = slots_[at];
    d.begun = now;
    d.total = 0;
    d.has_first = d.closed = d.complete = false;
    spare_bytes_ -= d.memory();
    keep_within(options_.max_bytes() - std::min(bytes_, options_.max_bytes()), d);
    bytes_ += d.memory();
    d.newer = none;
    d.older = newest_;
    (newest_ == none ? oldest_ : slots_[newest_].newer) = at;
    newest_ = at;
    if (oldest_open_ == none)
        oldest_open_ = at;
}

void defragmenter::unlink(std::uint32_t at) noexcept {
    auto const& d = slots_[at];
    if (oldest_open_ == at)
        oldest_open_ = d.newer;
    (d.older == none ? oldest_ : slots_[d.older].newer) = d.newer;
    (d.newer == none ? newest_ : slots_[d.newer].older) = d.older;
}

void defragmenter::spoil(datagram& d) {
    ++dropped_;
    close(d);
}

void defragmenter::keep_within(std::size_t room, datagram& d) {
    if (d.memory() <= room)
        return;
    std::vector<std::byte>{}.swap(d.buffer);
    std::vector<range>{}.swap(d.ranges);
}

void defragmenter::close(datagram& d) {
    bytes_ -= d.memory();
    d.buffer.clear();
    d.ranges.clear();
    auto const kept = bytes_ + spare_bytes_;
    keep_within(options_.max_bytes() - std::min(kept, options_.max_bytes()), d);
    spare_bytes_ += d.memory();
    d.closed = true;
}

// At the cost of older ones only: who comes first may have been sent to keep others out.
bool defragmenter::make_room(std::size_t more, datagram const& wanted) {
    if (wanted.memory() + more > options_.max_bytes())
        return false;
    while (bytes_ + more > options_.max_bytes()) {
        auto& d = slots_[oldest_open_];
        if (&d == &wanted)
            return false;
        if (!d.closed)
            spoil(d);
        oldest_open_ = d.newer;
    }
    return true;
}

void defragmenter::store(datagram& d, headers const& fragment) {
    auto const begin = fragment.fragment_offset;
    auto const length = fragment.ip_offset + fragment.ip_length - fragment.fragment_payload_offset;
    auto const end = begin + length;
    auto const whole = fragment.fragment_payload_offset + std::size_t{length} <= fragment.data.size();
    // RFC 8200, 4.5: all fragments but the last carry a multiple of eight bytes.
    auto const sound = whole && length != 0 && end <= largest_datagram - 20 &&
                       (!fragment.more_fragments || length % 8 == 0) && (d.total == 0 || end <= d.total) &&
                       (fragment.more_fragments || d.total == 0 || d.total == end) &&
                       (fragment.more_fragments || d.ranges.empty() || d.ranges.back().end <= end);
    if (!sound)
        return spoil(d);
    if (!fragment.more_fragments)
        d.total = end;

    auto at = std::lower_bound(d.ranges.begin(), d.ranges.end(), begin,
                               [](range const& r, std::uint32_t value) { return r.end < value; });
    auto const first = at;
    auto const* source = fragment.data.data() + fragment.fragment_payload_offset;
    auto const memory = d.memory();
    if (std::size_t const size = headroom + end; size > d.buffer.size()) {
        auto const capacity = d.buffer.capacity();
        if (size > capacity) {
            auto const grown = std::min(std::max(size, 2 * capacity), std::size_t{headroom + largest_datagram});
            if (!make_room(grown - capacity, d))
                return spoil(d);
            d.buffer.reserve(grown);
        }
        d.buffer.resize(size);
    }
    bytes_ += d.memory() - memory;

    auto merged = range{begin, end};
    auto cursor = begin;
    auto const copy = [&](std::uint32_t from, std::uint32_t to) {
        if (from < to)
            std::memcpy(d.buffer.data() + headroom + from, source + (from - begin), to - from);
    };
    for (; at != d.ranges.end() && at->begin <= end; ++at) {
        auto const overlaps = at->begin < end && begin < at->end;
        // The boundaries of the fragments are forgotten; what is there already with the same bytes is a repetition.
        auto const repeats = at->begin <= begin && end <= at->end &&
                             std::memcmp(d.buffer.data() + headroom + begin, source, length) == 0;
        if (overlaps && !repeats && d.key.ip_version == 6)
            return spoil(d);
        copy(cursor, std::min(end, at->begin));
        cursor = std::max(cursor, std::min(end, at->end));
        merged = {std::min(merged.begin, at->begin), std::max(merged.end, at->end)};
    }
    copy(cursor, end);
    auto const hole = d.ranges.erase(first, at);
    auto const before = d.memory();
    d.ranges.insert(hole, merged);
    bytes_ += d.memory() - before;
}

// The datagram in front of its payload: the header of a fragment, made that of a whole one.
std::span<std::byte const> defragmenter::finish(datagram& d, headers const& fragment) {
    bytes_ -= d.memory();
    ready_.swap(d.buffer);
    bytes_ += d.memory();
    close(d);
    d.complete = true;
    auto const header_length = d.key.ip_version == 4 ? std::size_t{20} : std::size_t{40};
    auto* header = reinterpret_cast<unsigned char*>(ready_.data() + headroom - header_length);
    std::memcpy(header, fragment.data.data() + fragment.ip_offset, header_length);
    if (d.key.ip_version == 4) {
        header[0] = 0x45;
        boost::endian::store_big_u16(header + 2, static_cast<std::uint16_t>(20 + d.total));
        boost::endian::store_big_u16(header + 6, 0);
    } else {
        boost::endian::store_big_u16(header + 4, static_cast<std::uint16_t>(d.total));
        header[6] = d.next_header;
    }
    return std::span{ready_}.subspan(headroom - header_length, header_length + d.total);
}

defragmenter::result defragmenter::add(headers const& fragment, timestamp now) {
    key k{fragment.source, fragment.destination, fragment.fragment_id, fragment.tunnel_id, 0, fragment.ip_version};
    if (fragment.ip_version == 4)
        k.protocol = fragment.protocol;
    auto const at = open(k, now);
    auto& d = slots_[at];
    result out;
    if (fragment.fragment_offset == 0) {
        if (d.complete) { // a new datagram with an old number
            unlink(at);
            begin(at, now);
        }
        d.has_first = true;
        d.protocol = fragment.protocol;
        d.source_port = fragment.source_port;
        d.destination_port = fragment.destination_port;
        out.waiting = std::exchange(d.waiting, {});
        out.cut = fragment.ip_offset + std::size_t{fragment.ip_length} > fragment.data.size();
    } else if (!d.has_first) {
        add_to(d.waiting, fragment);
    }
    d.next_header = fragment.fragment_next_header;
    out.attributed = d.has_first;
    out.protocol = d.protocol;
    out.source_port = d.source_port;
    out.destination_port = d.destination_port;
    if (!d.closed)
        store(d, fragment);
    if (!d.closed && d.total != 0 && d.ranges.size() == 1 && d.ranges[0].begin == 0 && d.ranges[0].end == d.total)
        out.datagram = finish(d, fragment);
    return out;
}

void defragmenter::give_up(std::uint32_t at, headers& orphan, share& waiting) {
    auto& d = slots_[at];
    orphan = {};
    orphan.source = d.key.source;
    orphan.destination = d.key.destination;
    orphan.ip_version = static_cast<std::uint8_t>(d.key.ip_version);
    orphan.protocol = d.key.ip_version == 4 ? static_cast<std::uint8_t>(d.key.protocol) : d.next_header;
    orphan.tunnel_id = d.key.tunnel_id;
    orphan.time = d.waiting.first_time;
    waiting = std::exchange(d.waiting, {});
    if (!d.closed)
        spoil(d);
    unlink(at);
    index_.erase(d.key);
    free_.push_back(at);
}

bool defragmenter::expire(timestamp now, headers& orphan, share& waiting) {
    if (oldest_ == none ||
        (slots_[oldest_].begun + options_.timeout() > now && index_.size() < options_.max_datagrams()))
        return false;
    give_up(oldest_, orphan, waiting);
    return true;
}

bool defragmenter::flush(headers& orphan, share& waiting) {
    if (oldest_ == none)
        return false;
    give_up(oldest_, orphan, waiting);
    return true;
}

void defragmenter::jump(timestamp before, timestamp now) noexcept {
    for (auto at = newest_; at != none && slots_[at].begun >= before; at = slots_[at].older)
        slots_[at].begun = now;
}

} // namespace netring_asio::decode
