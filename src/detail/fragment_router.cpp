#include "../afpacket/address_program.hpp"
#include <netring_asio/detail/fragment_router.hpp>

#include <boost/container_hash/hash.hpp>
#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>

#include <net/ethernet.h>
#include <netinet/in.h>
#include <pcap/bpf.h>

namespace netring_asio::detail {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_datagrams = 4096;
constexpr std::size_t most_waiting = 64; // of one datagram
constexpr auto patience = 2s;

/// Bytes that `make_flow_place_program` may look at: a first fragment has all headers in it.
constexpr std::size_t looked_at = 512;

std::uint32_t run(std::vector<filter::instruction> const& program, std::span<std::byte const> bytes) noexcept {
    return ::bpf_filter(reinterpret_cast<bpf_insn const*>(program.data()),
                        reinterpret_cast<u_char const*>(bytes.data()), static_cast<u_int>(bytes.size()),
                        static_cast<u_int>(bytes.size()));
}

unsigned byte_at(std::span<std::byte const> bytes, std::size_t at) noexcept {
    return at < bytes.size() ? std::to_integer<unsigned>(bytes[at]) : 0;
}
unsigned half_at(std::span<std::byte const> bytes, std::size_t at) noexcept {
    return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}
std::uint32_t word_at(std::span<std::byte const> bytes, std::size_t at) noexcept {
    return half_at(bytes, at) << 16 | half_at(bytes, at + 2);
}

bool is_tunnel(unsigned port) noexcept { return port == 4789 || port == 6081 || port == 2152; }

/// Whether the kernel surely had all it needs: most packets, told without the program.
bool is_plain(std::span<std::byte const> bytes) noexcept {
    if (bytes.size() < 46)
        return false;
    unsigned protocol = 0;
    std::size_t transport = 42;
    if (half_at(bytes, 0) == ETHERTYPE_IP && byte_at(bytes, 2) == 0x45 && (half_at(bytes, 8) & 0x3fff) == 0) {
        protocol = byte_at(bytes, 11);
        transport = 22;
    } else if (half_at(bytes, 0) == ETHERTYPE_IPV6) {
        protocol = byte_at(bytes, 8);
    } else {
        return false;
    }
    return protocol == IPPROTO_TCP || (protocol == IPPROTO_UDP && !is_tunnel(half_at(bytes, transport + 2)));
}

} // namespace

std::size_t fragment_router::key_hash::operator()(key const& k) const noexcept {
    auto seed = boost::hash_range(k.addresses.begin(), k.addresses.end());
    boost::hash_combine(seed, k.id);
    boost::hash_combine(seed, k.protocol);
    return seed;
}

/// The bytes from the EtherType on; none where the packet has no such thing.
std::span<std::byte const> fragment_router::from_type(packet_view const& packet) {
    auto const data = packet.data;
    switch (packet.link) {
    case link_type::ethernet:
        return data.size() < 12 ? std::span<std::byte const>{} : data.subspan(12);
    case link_type::linux_sll:
        return data.size() < 14 ? std::span<std::byte const>{} : data.subspan(14);
    case link_type::raw_ip:
    case link_type::ipv4:
    case link_type::ipv6: {
        auto const kept = data.first(std::min(data.size(), looked_at));
        auto const type = byte_at(data, 0) >> 4 == 4 ? ETHERTYPE_IP : ETHERTYPE_IPV6;
        typed_.assign({static_cast<std::byte>(type >> 8), static_cast<std::byte>(type & 255)});
        typed_.insert(typed_.end(), kept.begin(), kept.end());
        return typed_;
    }
    default:
        return {};
    }
}

/// Reads the IP header at an offset, and makes `whole_` of the first fragment.
fragment_router::header fragment_router::read(std::span<std::byte const> bytes, std::size_t at) {
    header result;
    auto& [from, fragment, first] = result;
    auto const kept = bytes.first(std::min(bytes.size(), looked_at));
    bool const is_ipv4 = byte_at(bytes, at) >> 4 == 4;
    std::size_t const length = is_ipv4 ? 8 : 32;
    if (std::size_t const begin = at + (is_ipv4 ? 12 : 8); begin + length <= bytes.size())
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(begin), length, from.addresses.begin());
    if (is_ipv4) {
        fragment = true;
        first = (half_at(bytes, at + 6) & 0x1fff) == 0;
        from.id = half_at(bytes, at + 4);
        from.protocol = byte_at(bytes, at + 9) + 1;
        whole_.assign(kept.begin(), kept.end());
        for (auto const i : {at + 6, at + 7})
            if (i < whole_.size())
                whole_[i] = std::byte{0};
        return result;
    }
    unsigned protocol = byte_at(bytes, at + 6);
    std::size_t next = at + 40;
    for (bool done = false; !done && next < kept.size() && first;) {
        auto const here = next;
        switch (protocol) {
        case IPPROTO_HOPOPTS:
        case IPPROTO_ROUTING:
        case IPPROTO_DSTOPTS:
        case 135: // mobility
        case 139: // host identity
        case 140: // shim6
            next += (byte_at(bytes, here + 1) + 1) * 8;
            break;
        case IPPROTO_AH:
            next += (byte_at(bytes, here + 1) + 2) * 4;
            break;
        case IPPROTO_FRAGMENT: {
            auto const place = half_at(bytes, here + 2);
            fragment |= (place & 0xfff9) != 0; // else the only one, RFC 6946
            first = (place & 0xfff8) == 0;
            from.id = word_at(bytes, here + 4);
            next += 8;
            break;
        }
        default:
            done = true;
        }
        if (!done)
            protocol = byte_at(bytes, here);
    }
    auto const head = std::min(at + 40, kept.size());
    whole_.assign(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(head));
    if (at + 6 < whole_.size())
        whole_[at + 6] = static_cast<std::byte>(protocol);
    if (next < kept.size())
        whole_.insert(whole_.end(), kept.begin() + static_cast<std::ptrdiff_t>(next), kept.end());
    return result;
}

fragment_router::fate fragment_router::operator()(packet_view const& packet) {
    static auto const unplaced = afpacket::detail::make_unplaced_program();
    static auto const places = afpacket::detail::make_flow_place_program();
    followers_.clear();
    auto const bytes = from_type(packet);
    if (bytes.empty() || is_plain(bytes))
        return fate::stays;
    auto const at = run(unplaced, bytes);
    if (at == 0)
        return fate::stays;
    auto const ip = read(bytes, at);
    if (!ip.fragment) {
        place_ = run(places, whole_);
        return fate::goes;
    }
    auto const [found, is_new] = datagrams_.try_emplace(ip.from);
    auto& entry = found->second;
    if (is_new)
        begun_.emplace_back(packet.time, ip.from);
    if (ip.first) {
        entry.place = run(places, whole_);
        followers_.swap(entry.waiting);
    } else if (!entry.place) {
        if (entry.waiting.size() == most_waiting)
            return fate::unplaced;
        entry.waiting.emplace_back(packet);
        return fate::waits;
    }
    place_ = *entry.place;
    return fate::goes;
}

void fragment_router::give_up() {
    if (auto const found = datagrams_.find(begun_.front().second); found != datagrams_.end()) {
        std::ranges::move(found->second.waiting, std::back_inserter(overdue_));
        datagrams_.erase(found);
    }
    begun_.pop_front();
}

std::vector<owned_packet>& fragment_router::overdue(timestamp now) {
    overdue_.clear();
    while (!begun_.empty() && (begun_.size() > most_datagrams || begun_.front().first + patience < now))
        give_up();
    return overdue_;
}

std::vector<owned_packet>& fragment_router::rest() {
    overdue_.clear();
    while (!begun_.empty())
        give_up();
    return overdue_;
}

} // namespace netring_asio::detail
