#include "bpf_layout.hpp"

#include "bpf.hpp"
#include <netring_asio/filter.hpp>

#include <algorithm>
#include <array>
#include <limits>

namespace netring_asio::detail {
namespace {

using source = bpf_segment::source;
namespace field = bpf::ancillary;

constexpr std::uint32_t no_end = std::numeric_limits<std::uint32_t>::max();

constexpr std::array<bpf_segment, 1> as_is{{{0, no_end, source::data}}};

constexpr std::array<bpf_segment, 4> ethernet_tagged{{
    {0, 12, source::data},
    {12, 14, source::field, field::vlan_tpid},
    {14, 16, source::field, field::vlan_tci},
    {16, no_end, source::data, 4},
}};

constexpr std::array<bpf_segment, 5> sll{{
    {0, 2, source::field, field::packet_type},
    {2, 4, source::field, field::hardware_type},
    {4, 14, source::unknown},
    {14, 16, source::field, field::protocol},
    {16, no_end, source::data, 16},
}};

constexpr std::array<bpf_segment, 7> sll_tagged{{
    {0, 2, source::field, field::packet_type},
    {2, 4, source::field, field::hardware_type},
    {4, 14, source::unknown},
    {14, 16, source::field, field::vlan_tpid},
    {16, 18, source::field, field::vlan_tci},
    {18, 20, source::field, field::protocol},
    {20, no_end, source::data, 20},
}};

constexpr std::array<bpf_segment, 7> sll2{{
    {0, 2, source::field, field::protocol},
    {2, 4, source::zero},
    {4, 8, source::field, field::interface_index},
    {8, 10, source::field, field::hardware_type},
    {10, 11, source::field, field::packet_type},
    {11, 20, source::unknown},
    {20, no_end, source::data, 20},
}};

constexpr std::array<bpf_segment, 9> sll2_tagged{{
    {0, 2, source::field, field::vlan_tpid},
    {2, 4, source::zero},
    {4, 8, source::field, field::interface_index},
    {8, 10, source::field, field::hardware_type},
    {10, 11, source::field, field::packet_type},
    {11, 20, source::unknown},
    {20, 22, source::field, field::vlan_tci},
    {22, 24, source::field, field::protocol},
    {24, no_end, source::data, 24},
}};

} // namespace

std::uint32_t bpf_layout::kept(std::uint32_t length) const noexcept {
    if (length == 0 || length >= filter::whole_packet)
        return length;
    std::uint32_t sum = 0;
    for (auto const& segment : segments)
        if (segment.from == source::data && length > segment.begin)
            sum += std::min(length, segment.end) - segment.begin;
    return std::max(sum, 1U);
}

bpf_segment const& bpf_layout::at(std::uint32_t offset) const noexcept {
    return *std::ranges::find_if(segments, [&](bpf_segment const& segment) { return offset < segment.end; });
}

std::optional<bpf_layouts> bpf_layouts::of(link_type link) noexcept {
    switch (link) {
    case link_type::ethernet:
        return bpf_layouts{{as_is}, bpf_layout{ethernet_tagged}};
    case link_type::raw_ip:
    case link_type::ipv4:
    case link_type::ipv6:
        return bpf_layouts{{as_is}, {}};
    case link_type::linux_sll:
        return bpf_layouts{{sll}, bpf_layout{sll_tagged}, true};
    case link_type::linux_sll2:
        return bpf_layouts{{sll2}, bpf_layout{sll2_tagged}, true};
    default:
        return {};
    }
}

} // namespace netring_asio::detail
