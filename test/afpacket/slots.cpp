#include "support.hpp"
#include <netring_asio/afpacket/rx_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

nr::capture_options quick() { return nr::capture_options{"right"}.profile(nr::capture_profile::low_latency); }

void send(lab::pair const& wire, std::uint64_t first, std::uint64_t count = 1, std::size_t size = 60) {
    lab::send_numbered(wire.left, wire.right, {.count = count, .size = size, .first = first});
}

} // namespace

BOOST_AUTO_TEST_SUITE(slots, *lab::available())

BOOST_AUTO_TEST_CASE(every_packet_comes_once_and_in_order) {
    constexpr std::uint64_t total = 60'000;
    lab::pair const wire;
    auto ring = open_ring(wire.right, quick().block_count(1024));
    auto sender = lab::start_sender(wire.left, wire.right, {.count = total, .rate = 100'000});
    auto const numbers = receive_numbers(ring, total, 5s);
    BOOST_TEST(numbers == numbers_up_to(total));
    BOOST_TEST(ring.statistics().received == total);
    BOOST_TEST(ring.statistics().dropped == 0U);
}

BOOST_AUTO_TEST_CASE(a_packet_is_there_at_once_with_all_that_is_known_of_it) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, quick());
    send(wire, 3);
    nr::packet_batch batch;
    BOOST_TEST_REQUIRE(ring.try_receive(batch)); // veth delivers within the send
    auto const packet = *batch.begin();
    BOOST_TEST(*lab::frame_number(packet.data) == 3U);
    BOOST_TEST(packet.wire_length == 60U);
    BOOST_TEST(packet.protocol == lab::numbered_ethertype);
    BOOST_TEST((packet.clock == nr::clock_source::software));
    BOOST_TEST(packet.interface_index == static_cast<int>(wire.right.index()));
    BOOST_TEST(std::chrono::abs(std::chrono::system_clock::now() - packet.time) < 10s);
    BOOST_TEST((batch.info().first_time == packet.time));
}

BOOST_AUTO_TEST_CASE(what_overflows_is_dropped_and_counted) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, quick().block_count(2).minimum_block_count(2)); // 64 slots
    send(wire, 0, 1000);
    auto const numbers = receive_numbers(ring, 1000);
    BOOST_TEST(numbers == numbers_up_to(64));
    BOOST_TEST(ring.statistics().dropped == 1000U - 64);
}

BOOST_AUTO_TEST_CASE(batches_are_released_in_any_order_and_the_release_wakes) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, quick().block_count(2).minimum_block_count(2));
    send(wire, 0, 64);
    nr::packet_batch first, second, none;
    BOOST_TEST(ring.try_receive(first));
    BOOST_TEST(ring.try_receive(second));
    BOOST_TEST(first.size() == 32U);
    BOOST_TEST(second.size() == 32U);
    BOOST_TEST(ring.statistics().held_blocks == 2U);
    second.reset();
    send(wire, 100); // no slot is free where the kernel goes on
    BOOST_TEST(!ring.try_receive(none));
    std::thread late{[&] {
        std::this_thread::sleep_for(50ms);
        first.reset();
        send(wire, 200);
    }};
    nr::error_code ec;
    BOOST_TEST(ring.receive(none, 10s, ec) == 1U);
    late.join();
    BOOST_TEST(*lab::frame_number((*none.begin()).data) == 200U);
    none.reset();
    BOOST_TEST(ring.statistics().held_blocks == 0U);
}

BOOST_AUTO_TEST_CASE(frames_are_held_beyond_the_ring) {
    lab::pair const wire;
    nr::frame kept, copied;
    {
        auto ring = open_ring(wire.right, quick().pin_budget(1));
        nr::packet_batch batch;
        send(wire, 7);
        BOOST_TEST_REQUIRE(ring.try_receive(batch));
        kept = batch.hold(*batch.begin());
        send(wire, 8);
        BOOST_TEST_REQUIRE(ring.try_receive(batch));
        copied = batch.hold(*batch.begin());
        BOOST_TEST(!kept.copied());
        BOOST_TEST(copied.copied());
    }
    BOOST_TEST(lab::eventually([&] { return packet_socket_count(wire.right) == 0; })); // the held bytes moved
    BOOST_TEST(*lab::frame_number(kept->data) == 7U);
    BOOST_TEST(*lab::frame_number(copied->data) == 8U);
}

BOOST_AUTO_TEST_CASE(filters_are_swapped_and_longer_frames_cut) {
    lab::pair const wire{lab::pair_options{}.mtu(4000)};
    wire.right.set_mtu(1500);
    auto ring = open_ring(wire.right, quick());
    nr::packet_batch batch;
    send(wire, 1, 1, 1514);
    ring.set_filter("less 100");
    send(wire, 2);
    BOOST_TEST(receive_numbers(ring, 1) == (std::vector<std::uint64_t>{2}));
    BOOST_TEST(ring.statistics().filtered == 1U);
    ring.set_filter("");
    send(wire, 3, 1, 1514);
    nr::error_code ec;
    BOOST_TEST_REQUIRE(ring.receive(batch, 1s, ec) == 1U);
    BOOST_TEST(!(*batch.begin()).truncated());
    BOOST_TEST((*batch.begin()).data.size() == 1514U);
}

BOOST_AUTO_TEST_CASE(a_latency_budget_saves_wakeups_and_loses_nothing) {
    constexpr std::uint64_t total = 10'000;
    auto const wakeups = [](std::chrono::microseconds budget) {
        lab::pair const wire;
        auto ring = open_ring(wire.right, quick().block_count(512).latency_budget(budget));
        auto sender = lab::start_sender(wire.left, wire.right, {.count = total, .rate = 10'000});
        std::uint64_t receives = 0;
        std::vector<std::uint64_t> numbers;
        nr::packet_batch batch;
        nr::error_code ec;
        while (numbers.size() < total && ring.receive(batch, 5s, ec) != 0) {
            append_numbers(numbers, batch);
            ++receives;
        }
        BOOST_TEST(numbers == numbers_up_to(total));
        return receives;
    };
    auto const without = wakeups(0us);
    auto const with = wakeups(2ms);
    BOOST_TEST_MESSAGE("figure: " << total << " packets in " << without << " batches, and in " << with
                                  << " with a budget of 2 ms");
    BOOST_TEST(with * 2 < without);
}

BOOST_AUTO_TEST_CASE(what_does_not_go_together_is_told) {
    lab::pair const wire{lab::pair_options{}.mtu(9000)};
    auto const refused = [&](nr::capture_options const& options) {
        nr::afpacket::rx_ring ring;
        nr::error_code ec;
        wire.right.enter([&] { ring.open(options, ec); });
        return ec;
    };
    BOOST_TEST((refused(quick().rx_hash(true)) == nr::error::conflicting_options));
    BOOST_TEST((refused(quick().interface_name("any")) == nr::error::conflicting_options));
    BOOST_TEST((refused(small().latency_budget(1ms)) == nr::error::conflicting_options));
    BOOST_TEST((refused(quick().latency_budget(-1us)) == nr::error::invalid_option));
    BOOST_TEST((refused(quick().block_size(6 * 4096).block_count(4)) == nr::error::invalid_ring_geometry));
}

BOOST_AUTO_TEST_SUITE_END()
