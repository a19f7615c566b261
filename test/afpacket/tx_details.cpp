#include "tx_support.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <decode/craft.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace {

using options = nr::injector_options;
using bytes = std::vector<std::uint8_t>;

unsigned ones_sum(bytes const& data, std::size_t from, std::size_t to, unsigned sum = 0) {
    for (auto at = from; at < to; at += 2)
        sum += static_cast<unsigned>(data[at] << 8 | (at + 1 < to ? data[at + 1] : 0));
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

void put16(bytes& data, std::size_t at, unsigned value) {
    data[at] = static_cast<std::uint8_t>(value >> 8);
    data[at + 1] = static_cast<std::uint8_t>(value);
}

/// Finishes the IPv4 header at `ip`, and leaves the transport checksum to the device: the sum of the pseudo-header.
bytes unfinished(bytes frame, std::size_t ip, std::size_t field) {
    put16(frame, ip + 10, ones_sum(frame, ip, ip + 20) ^ 0xffff);
    put16(frame, ip + 20 + field,
          ones_sum(frame, ip + 12, ip + 20, frame[ip + 9] + static_cast<unsigned>(frame.size() - ip - 20)));
    return frame;
}

bytes udp_frame(std::size_t payload) {
    return unfinished(test::craft{payload}.udp(1000, 9).ipv4("10.77.0.1", "10.77.0.2", 17).ethernet(0x0800).bytes(), 14,
                      6);
}

bytes tcp_frame(std::size_t payload) {
    return unfinished(
        test::craft{payload}.tcp(1000, 9, 0x10, 7000).ipv4("10.77.0.1", "10.77.0.2", 6).ethernet(0x0800).bytes(), 14,
        16);
}

constexpr nr::offload_info udp_checksum{.checksum_start = 34, .checksum_offset = 6};
constexpr nr::offload_info tcp_checksum{.checksum_start = 34, .checksum_offset = 16};

constexpr nr::offload_info segments(nr::offload_info info, nr::gso_type type, std::uint16_t size) {
    info.type = type;
    info.segment_size = size;
    return info;
}

nr::error_code commit(tx_ring& ring, bytes const& frame, nr::offload_info const& offload = {}) {
    auto room = reserve(ring, frame.size());
    std::ranges::copy(std::as_bytes(std::span{frame}), room.data().begin());
    nr::error_code ec;
    room.commit(frame.size(), offload, ec);
    return ec;
}

std::size_t occurrences(std::string const& text, std::string const& part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

/// What tcpdump says of the frames that arrive.
class observer {
public:
    explicit observer(lab::side const& at)
        : tcpdump_{at.start({"tcpdump", "-i", at.name(), "-nevvSlU", "-Q", "in", "-B", "10000"})} {
        BOOST_REQUIRE(tcpdump_.wait_for_output("listening on", 10s));
    }
    std::string text() {
        std::this_thread::sleep_for(200ms);
        tcpdump_.stop();
        return tcpdump_.output();
    }

private:
    lab::process tcpdump_;
};

/// A device that finishes and cuts nothing: the kernel must.
void without_offloads(lab::side const& side) {
    side.run({"ethtool", "-K", side.name(), "tx", "off", "tso", "off", "gso", "off", "sg", "off"});
}

} // namespace

BOOST_AUTO_TEST_SUITE(transmit_details, *lab::available())

BOOST_AUTO_TEST_CASE(a_tag_is_put_into_each_frame) {
    lab::pair const wire;
    for (auto const tag : {nr::vlan_tag{0x8100, 3 << 13 | 5}, nr::vlan_tag{0x88a8, 77}})
        for (bool const offload : {false, true}) {
            observer peer{wire.right};
            auto ring = open_ring(wire.left, options{"left"}.insert_vlan(tag).offload(offload));
            lab::pattern const pattern{wire.right.address(), 60, 1500};
            BOOST_TEST(ring.frame_capacity() >= 1514U);
            for (std::uint64_t i = 0; i != 100; ++i)
                commit(ring, pattern, i);
            expect_sent(ring, 100);
            auto const text = peer.text();
            auto const expected = tag.tpid == 0x8100 ? "ethertype 802.1Q (0x8100), length " : "ethertype 802.1Q-QinQ";
            BOOST_TEST(occurrences(text, expected) == 100U);
            BOOST_TEST(occurrences(text, tag.tpid == 0x8100 ? "vlan 5, p 3, ethertype" : "vlan 77, p 0, ethertype") ==
                       100U);
            // What a tagged frame holds is what was written.
            std::ostringstream length;
            length << "length " << pattern.size(99) + 4 << ":";
            BOOST_TEST(text.find(length.str()) != std::string::npos);
        }
    auto ring = open_ring(wire.left, options{"left"}.insert_vlan({0x8100, 5}));
    auto frame = reserve(ring, 1515);
    std::ranges::fill(frame.data(), std::byte{0x88});
    nr::error_code ec;
    frame.commit(1515, ec);
    BOOST_TEST((ec == nr::error::frame_too_long));
    frame.commit(1514, ec); // four bytes over the MTU are the tag's
    BOOST_TEST(!ec);
    observer peer{wire.right};
    expect_sent(ring, 1);
    BOOST_TEST(occurrences(peer.text(), "length 1518: vlan 5, p 0, ethertype Unknown (0x8888)") == 1U);
}

BOOST_AUTO_TEST_CASE(checksums_are_finished_by_the_kernel_or_here) {
    lab::pair const wire;
    without_offloads(wire.left);
    for (bool const offload : {true, false}) {
        observer peer{wire.right};
        auto ring = open_ring(wire.left, options{"left"}.offload(offload));
        for (std::size_t const payload : {1U, 2U, 100U, 101U, 1400U}) {
            if (offload) {
                BOOST_TEST(!commit(ring, udp_frame(payload), udp_checksum));
                BOOST_TEST(!commit(ring, tcp_frame(payload), tcp_checksum));
                continue;
            }
            BOOST_TEST((commit(ring, udp_frame(payload), udp_checksum) == nr::error::invalid_offload));
            for (auto const& frame : {udp_frame(payload), tcp_frame(payload)}) {
                nr::packet_view packet;
                packet.data = std::as_bytes(std::span{frame});
                packet.checksum = nr::checksum_state::partial;
                packet.vlan = {0x8100, 9};
                nr::error_code ec;
                BOOST_REQUIRE(ring.place(frame.size() + 4, ec) != nullptr);
                ring.append(packet, ec);
                BOOST_TEST(!ec);
            }
        }
        expect_sent(ring, 10);
        auto const text = peer.text();
        BOOST_TEST(occurrences(text, "udp sum ok") == 5U);
        BOOST_TEST(occurrences(text, "(correct)") == 5U);
        BOOST_TEST(occurrences(text, "vlan 9") == (offload ? 0U : 10U));
    }
}

BOOST_AUTO_TEST_CASE(long_frames_are_cut_into_segments) {
    lab::pair const wire;
    without_offloads(wire.left);
    for (bool const tagged : {false, true}) {
        observer peer{wire.right};
        auto ring = open_ring(
            wire.left, options{"left"}.offload(true).insert_vlan(tagged ? nr::vlan_tag{0x8100, 5} : nr::vlan_tag{}));
        BOOST_TEST(!commit(ring, tcp_frame(14'480 + 100), segments(tcp_checksum, nr::gso_type::tcp_ipv4, 1448)));
        BOOST_TEST(!commit(ring, udp_frame(5'100), segments(udp_checksum, nr::gso_type::udp_l4, 1000)));
        BOOST_TEST(!commit(ring, tcp_frame(65'481), segments(tcp_checksum, nr::gso_type::tcp_ipv4, 1448)));
        expect_sent(ring, 3);
        auto const text = peer.text();
        BOOST_TEST(occurrences(text, "(correct)") == 11U + 46U);
        BOOST_TEST(occurrences(text, "seq 8448:9896") == 2U);
        BOOST_TEST(occurrences(text, "seq 21480:21580") == 1U);
        BOOST_TEST(occurrences(text, "udp sum ok") == 6U);
        BOOST_TEST(occurrences(text, "UDP, length 1000") == 5U);
        BOOST_TEST(occurrences(text, "UDP, length 100\n") == 1U);
        BOOST_TEST(occurrences(text, "vlan 5,") == (tagged ? 63U : 0U));
        BOOST_TEST(occurrences(text, "incorrect") == 0U);
    }
}

BOOST_AUTO_TEST_CASE(what_the_kernel_could_not_cut_right_is_refused) {
    lab::pair const wire;
    auto plain = open_ring(wire.left);
    auto ring = open_ring(wire.left, options{"left"}.offload(true));
    auto const tcp = [](std::uint16_t size) { return segments(tcp_checksum, nr::gso_type::tcp_ipv4, size); };
    using nr::error;
    BOOST_TEST((commit(plain, tcp_frame(1400), tcp(700)) == error::invalid_offload));
    BOOST_TEST((commit(ring, tcp_frame(3000)) == error::frame_too_long));
    BOOST_TEST((commit(ring, tcp_frame(3000), tcp_checksum) == error::frame_too_long));
    BOOST_TEST((commit(ring, tcp_frame(3000), tcp(1461)) == error::frame_too_long));
    BOOST_TEST(!commit(ring, tcp_frame(3000), tcp(1460)));
    BOOST_TEST((commit(ring, tcp_frame(3000), tcp(0)) == error::invalid_offload));
    BOOST_TEST((commit(ring, udp_frame(3000), tcp(1000)) == error::invalid_offload));
    BOOST_TEST(
        (commit(ring, tcp_frame(100), segments(tcp_checksum, nr::gso_type::udp_l4, 50)) == error::invalid_offload));
    BOOST_TEST(
        (commit(ring, tcp_frame(100), {.checksum_start = 34, .checksum_offset = 200}) == error::invalid_offload));
    auto info = tcp(1000);
    info.checksum_start = 0;
    BOOST_TEST((commit(ring, tcp_frame(3000), info) == error::invalid_offload));
    // The same in a tunnel: the kernel says of it what it says of plain TCP.
    auto const inner = tcp_frame(3000);
    test::craft vxlan;
    vxlan.bytes() = inner;
    vxlan.put({8, 0, 0, 0, 0, 0, 1, 0}).udp(1000, 4789).ipv4("10.0.0.1", "10.0.0.2", 17).ethernet(0x0800);
    info = tcp(1400);
    info.checksum_start = 50 + 34;
    BOOST_TEST((commit(ring, vxlan.bytes(), info) == error::invalid_offload));
    test::craft ipip;
    ipip.bytes().assign(inner.begin() + 14, inner.end());
    ipip.ipv4("10.0.0.1", "10.0.0.2", 4).ethernet(0x0800);
    info.checksum_start = 54;
    BOOST_TEST((commit(ring, ipip.bytes(), info) == error::invalid_offload));
    expect_sent(ring, 1);
}

BOOST_AUTO_TEST_CASE(each_frame_has_its_timestamp) {
    for (auto const* const limit : {"", "20k", "10m"}) {
        lab::pair const wire;
        if (*limit != 0)
            wire.left.run({"tc", "qdisc", "replace", "dev", "left", "root", "tbf", "rate", "200mbit", "burst", "20k",
                           "limit", limit});
        lab::pattern const pattern{wire.right.address()};
        auto ring = open_ring(wire.left, options{"left"}.frame_count(128).timestamps(true));
        auto const before = std::chrono::system_clock::now();
        constexpr std::uint64_t count = 2'000;
        for (std::uint64_t i = 0; i != count; ++i)
            commit(ring, pattern, i);
        expect_sent(ring, count);
        nr::tx_timestamp stamp;
        nr::timestamp last{};
        std::uint64_t next = 0;
        bool ordered = true;
        while (ring.try_timestamp(stamp)) {
            ordered = ordered && stamp.frame == next++ && stamp.time >= last && stamp.time >= before;
            last = stamp.time;
            BOOST_TEST((stamp.clock == nr::clock_source::software));
        }
        BOOST_TEST(ordered);
        BOOST_TEST(next == count);
        BOOST_TEST((last <= std::chrono::system_clock::now()));
        if (*limit != 0) // at 200 Mbit/s
            BOOST_TEST((last - before >= 50ms));
    }
    lab::pair const wire;
    auto ring = open_ring(wire.left);
    nr::tx_timestamp stamp;
    commit(ring, lab::pattern{wire.right.address()}, 0);
    expect_sent(ring, 1);
    BOOST_TEST(!ring.try_timestamp(stamp));
}

BOOST_AUTO_TEST_CASE(timestamps_pass_over_frames_that_were_left_out) {
    lab::pair const wire;
    for (unsigned const mtu : {1400U, 1497U}) { // the kernel refuses in two places
        wire.left.set_mtu(1500);
        lab::pattern const pattern{wire.right.address()};
        auto ring = open_ring(wire.left, options{"left"}.timestamps(true));
        for (std::uint64_t i = 0; i != 200; ++i)
            commit(ring, pattern, i);
        wire.left.set_mtu(mtu);
        auto const result = ring.wait_drained(1s);
        BOOST_TEST(result.rejected != 0U);
        nr::tx_timestamp stamp;
        std::uint64_t next = 0;
        bool ordered = true;
        while (ring.try_timestamp(stamp))
            ordered = ordered && stamp.frame == next++;
        BOOST_TEST(ordered);
        BOOST_TEST(next == result.taken);
    }
}

BOOST_AUTO_TEST_SUITE_END()
