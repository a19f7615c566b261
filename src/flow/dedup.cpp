#include <netring_asio/decode/decoder.hpp>
#include <netring_asio/detail/vlan.hpp>
#include <netring_asio/flow/dedup.hpp>
#include <netring_asio/flow/detail/hash_bytes.hpp>

#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <cstring>
#include <random>

namespace netring_asio::flow {
namespace {

std::uint64_t hash_of(std::span<std::byte const> bytes, std::uint64_t seed) noexcept {
    static constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
    auto const* at = reinterpret_cast<unsigned char const*>(bytes.data());
    auto left = bytes.size();
    auto state = seed ^ left;
    for (; left >= 16; left -= 16, at += 16)
        state = detail::mix(detail::load(at) ^ state, detail::load(at + 8) ^ odd);
    std::array<unsigned char, 16> rest{};
    if (left != 0)
        std::memcpy(rest.data(), at, left);
    return detail::mix(detail::load(rest.data()) ^ state, detail::load(rest.data() + 8) ^ odd ^ seed);
}

std::uint64_t combine(std::uint64_t a, std::uint64_t b) noexcept {
    return detail::mix(a ^ b, 0x9e3779b97f4a7c15 ^ (a << 32 | a >> 32));
}

void clear_hop_limit(std::span<std::byte> ip, int version) noexcept {
    auto const zero = [ip](std::size_t at) {
        if (at < ip.size())
            ip[at] = std::byte{0};
    };
    if (version == 6)
        return zero(7);
    zero(8);
    zero(10);
    zero(11);
}

} // namespace

dedup::dedup(dedup_options const& options)
    : options_{options}
    , seed_{(static_cast<std::uint64_t>(std::random_device{}()) << 32) | std::random_device{}()}
    , tolerant_{options.ignore_hop_limit() || options.ignore_mac() || options.ignore_vlan()}
    , groups_{options.max_packets()}
    , transmissions_{options.max_packets()}
    , bytes_{std::max(options.max_bytes(), std::size_t{1} << 17)} {}

dedup::essence dedup::essence_of(packet_view const& packet) {
    essence result{packet.data, packet.wire_length, packet.link, 0, 0};
    auto point =
        combine(static_cast<std::uint64_t>(packet.interface_index), packet.direction == direction::outgoing ? 2 : 1);
    decode::headers h;
    if (tolerant_) {
        decode::decoder const outermost{decode::decoder_options{}.max_tunnels(0)};
        outermost(packet, h);
    }
    if (h.ether_type != 0 || h.has_ip()) {
        scratch_.clear();
        if (h.has_ethernet) {
            auto const macs = packet.data.subspan(h.link_offset, 12);
            if (options_.ignore_mac())
                point = combine(point, hash_of(macs, seed_));
            else
                append(macs);
        }
        std::span const tags{h.vlans.data(), std::min<std::size_t>(h.vlan_count, h.vlans.size())};
        if (options_.ignore_vlan())
            point = combine(point, hash_of(std::as_bytes(tags), seed_));
        else
            append(std::as_bytes(tags));
        append(std::as_bytes(std::span{&h.ether_type, 1}));
        auto const start = scratch_.size();
        auto rest = packet.data.subspan(std::min<std::size_t>(h.ip_offset, packet.data.size()));
        // Padding depends on tags.
        auto const wire = std::max<std::size_t>(packet.wire_length, packet.data.size());
        result.wire_length = h.has_ip() ? h.ip_length : static_cast<std::uint32_t>(wire - h.ip_offset);
        if (rest.size() > result.wire_length)
            rest = rest.first(result.wire_length);
        append(rest);
        if (options_.ignore_hop_limit() && h.has_ip()) {
            point = combine(point, h.hop_limit);
            clear_hop_limit(std::span{scratch_}.subspan(start), h.ip_version);
        }
        result.bytes = scratch_;
        result.link = link_type::raw_ip;
    } else if (netring_asio::detail::can_insert_tag(packet)) {
        scratch_.resize(packet.data.size() + netring_asio::detail::vlan_tag_size);
        netring_asio::detail::insert_tag(packet, scratch_.data());
        result.bytes = scratch_;
        result.wire_length += static_cast<std::uint32_t>(netring_asio::detail::vlan_tag_size);
    }
    result.point = point;
    result.hash = hash_of(result.bytes, seed_ ^ result.wire_length);
    return result;
}

std::uint32_t dedup::find(essence const& packet) const noexcept {
    return index_.find(static_cast<std::uint32_t>(packet.hash), [&](std::uint32_t at) {
        auto const& g = groups_[at];
        return g.size == packet.bytes.size() && g.wire_length == packet.wire_length && g.link == packet.link &&
               (g.size == 0 || std::memcmp(&bytes_[g.bytes % bytes_.size()], packet.bytes.data(), g.size) == 0);
    });
}

dedup::group::sight* dedup::sight_of(group& g, std::uint64_t point) noexcept {
    for (std::uint32_t i = 0; i != g.sight_count; ++i)
        if (g.sights[i].point == point)
            return &g.sights[i];
    if (g.sight_count == max_points)
        return nullptr;
    auto& added = g.sights[g.sight_count++];
    added = {point, 0};
    return &added;
}

bool dedup::operator()(packet_view const& packet) {
    ++statistics_.packets;
    forget_before(packet.time);
    auto const e = essence_of(packet);
    auto at = find(e);
    if (at != none) {
        auto& g = groups_[at];
        auto* const sight = sight_of(g, e.point);
        if (sight == nullptr)
            return true;
        sight->seen = std::max(sight->seen, g.oldest * options_.identical_copies());
        if (sight->seen++ < g.next * options_.identical_copies()) {
            ++statistics_.copies;
            return false;
        }
    }
    if (!make_room(e.bytes.size()))
        return true;
    if (at != none)
        at = find(e); // making room may have forgotten it
    if (at == none)
        at = create(e);
    remember(groups_[at], at, e, packet.time);
    return true;
}

std::uint32_t dedup::create(essence const& packet) noexcept {
    auto at = free_group_;
    if (at == none)
        at = used_groups_++;
    else
        free_group_ = groups_[at].next_free;
    auto& g = groups_[at];
    g = {};
    g.hash = static_cast<std::uint32_t>(packet.hash);
    g.size = static_cast<std::uint32_t>(packet.bytes.size());
    g.wire_length = packet.wire_length;
    g.link = packet.link;
    g.sights[0] = {packet.point, 1};
    g.sight_count = 1;
    index_.insert(g.hash, at);
    return at;
}

// Bytes of one packet lie together, so the end of the ring may stay unused.
std::uint64_t dedup::place_for(std::size_t size) const noexcept {
    auto const behind = bytes_end_ % bytes_.size();
    return behind + size > bytes_.size() ? bytes_end_ + (bytes_.size() - behind) : bytes_end_;
}

bool dedup::make_room(std::size_t size) noexcept {
    if (size > bytes_.size() / 2)
        return false;
    while (last_ - first_ == transmissions_.size() ||
           (first_ != last_ && place_for(size) + size - bytes_begin_ > bytes_.size())) {
        forget_oldest();
        ++statistics_.forgotten;
    }
    return true;
}

void dedup::remember(group& g, std::uint32_t at, essence const& packet, timestamp time) noexcept {
    g.bytes = place_for(packet.bytes.size());
    bytes_end_ = g.bytes + packet.bytes.size();
    if (!packet.bytes.empty())
        std::memcpy(&bytes_[g.bytes % bytes_.size()], packet.bytes.data(), packet.bytes.size());
    ++g.next;
    transmissions_[last_++ % transmissions_.size()] = {time, bytes_end_, at};
}

// Has come what it will take to forget the next ones: what each packet does once there is no more room.
void dedup::fetch_oldest() const noexcept {
    constexpr std::uint64_t soon = 4;
    auto const left = last_ - first_;
    if (left > 2 * soon)
        __builtin_prefetch(&groups_[transmissions_[(first_ + 2 * soon) % transmissions_.size()].group], 1);
    if (left > soon)
        index_.prefetch(groups_[transmissions_[(first_ + soon) % transmissions_.size()].group].hash);
}

void dedup::forget_oldest() noexcept {
    fetch_oldest();
    auto const& gone = transmissions_[first_++ % transmissions_.size()]; // NOLINT(*DivideZero): there is an oldest
    bytes_begin_ = first_ == last_ ? bytes_end_ : gone.bytes_end;
    auto& g = groups_[gone.group];
    if (++g.oldest != g.next)
        return;
    index_.erase(g.hash, gone.group);
    g.next_free = free_group_;
    free_group_ = gone.group;
}

// A stamp that lies far ahead is as old as one that lies far behind: no clock goes on by one packet.
void dedup::forget_before(timestamp now) noexcept {
    while (first_ != last_) {
        auto const age = now - transmissions_[first_ % transmissions_.size()].time;
        if (age <= options_.window() && -age <= options_.window())
            return;
        forget_oldest();
    }
}

} // namespace netring_asio::flow
