#include "tx_support.hpp"

#include <boost/test/unit_test.hpp>

#include <lab/allocations.hpp>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include <sys/socket.h>

namespace {

nr::error_code open_error(lab::side const& side, nr::injector_options const& options) {
    tx_ring ring;
    nr::error_code ec;
    side.enter([&] { ring.open(options, ec); });
    return ec;
}

} // namespace

BOOST_AUTO_TEST_SUITE(transmit_ring, *lab::available())

BOOST_AUTO_TEST_CASE(every_frame_arrives_once_in_order_and_whole) {
    lab::pair const wire;
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    auto ring = open_ring(wire.left);
    constexpr std::uint64_t count = 100'000;
    for (std::uint64_t i = 0; i != count; ++i) {
        commit(ring, pattern, i);
        if (i % 64 == 0) {
            ring.flush();
            let_catch_up(receiver, i);
        }
    }
    expect_sent(ring, count);
    BOOST_TEST(ring.statistics().kicks < count / 8);
    expect_all(receiver, count);
}

BOOST_AUTO_TEST_CASE(dropped_reservations_leave_no_hole_and_oversize_frames_do_no_harm) {
    lab::pair const wire;
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    auto ring = open_ring(wire.left, nr::injector_options{"left"}.frame_count(64));
    std::minstd_rand random{7};
    constexpr std::uint64_t count = 50'000;
    for (std::uint64_t i = 0; i != count; ++i) {
        while (random() % 3 == 0) {
            auto dropped = reserve(ring, 60 + random() % 1000);
            std::fill(dropped.data().begin(), dropped.data().end(), std::byte{0xee});
        }
        if (random() % 16 == 0) {
            nr::error_code ec;
            BOOST_TEST(!ring.try_reserve(1519, ec));
            BOOST_TEST((ec == nr::error::frame_too_long));
            BOOST_TEST(!ring.try_reserve(13, ec));
            BOOST_TEST((ec == nr::error::frame_too_short));
            auto untagged = reserve(ring, 1518);
            pattern.write(i, untagged.data());
            untagged.commit(1518, ec); // there is room for a tag, and no tag
            BOOST_TEST((ec == nr::error::frame_too_long));
            untagged.commit(13, ec);
            BOOST_TEST((ec == nr::error::frame_too_short));
            BOOST_TEST(!!untagged);
        }
        commit(ring, pattern, i);
        if (random() % 32 == 0)
            ring.flush();
        let_catch_up(receiver, i);
    }
    expect_sent(ring, count);
    expect_all(receiver, count);
}

BOOST_AUTO_TEST_CASE(a_queueing_discipline_in_the_way_holds_frames_up_and_loses_none) {
    struct {
        char const* rate;
        char const* limit; // bytes that it holds; more than the ring, or little, so that it refuses frames
        std::uint64_t count;
        std::optional<std::size_t> send_buffer;
        std::size_t frames;
    } const cases[] = {{"1gbit", "100k", 60'000, {}, 512},     {"1gbit", "100k", 60'000, 106'496, 512},
                       {"40mbit", "100k", 3'000, {}, 512},     {"40mbit", "100k", 3'000, 106'496, 512},
                       {"40mbit", "100k", 3'000, 4096, 16},    {"1gbit", "10m", 60'000, {}, 512},
                       {"1gbit", "10m", 60'000, 106'496, 512}, {"40mbit", "10m", 3'000, {}, 512},
                       {"40mbit", "10m", 3'000, 106'496, 512}};
    for (auto const& [rate, limit, count, send_buffer, frames] : cases) {
        BOOST_TEST_CONTEXT(rate << ", limit " << limit << ", send buffer " << send_buffer.value_or(0)) {
            lab::pair const wire;
            wire.left.run(
                {"tc", "qdisc", "add", "dev", "left", "root", "tbf", "rate", rate, "burst", "20k", "limit", limit});
            lab::pattern const pattern{wire.right.address()};
            lab::pattern_receiver receiver{wire.right, pattern};
            nr::injector_options options{"left"};
            options.frame_count(frames);
            if (send_buffer)
                options.send_buffer(*send_buffer);
            auto ring = open_ring(wire.left, options);
            if (send_buffer)
                BOOST_TEST(*ring.options().send_buffer() == std::max<std::size_t>(*send_buffer, 2304));
            for (std::uint64_t i = 0; i != count; ++i) {
                commit(ring, pattern, i);
                if (i % 64 == 0)
                    ring.flush();
            }
            expect_sent(ring, count);
            // Between kicks that are refused there is a pause, or frames have left.
            BOOST_TEST(ring.statistics().kicks < count + 5'000);
            expect_all(receiver, count, 2s);
        }
    }
}

BOOST_AUTO_TEST_CASE(frames_behind_a_lowered_mtu_are_counted_and_the_rest_is_sent) {
    lab::pair const wire;
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    auto ring = open_ring(wire.left);
    std::uint64_t too_long = 0;
    for (std::uint64_t i = 0; i != 500; ++i) {
        commit(ring, pattern, i);
        too_long += pattern.size(i) > 814;
    }
    std::uint64_t next = 500;
    while (pattern.size(next) > 814)
        ++next;
    auto held = ring.try_reserve(pattern.size(next));
    pattern.write(next, held.data());
    wire.left.set_mtu(800);
    BOOST_TEST(ring.flush() == 500 - too_long);
    held.commit(); // its place has moved
    nr::error_code ec;
    BOOST_TEST(!ring.try_reserve(1000, ec));
    BOOST_TEST((ec == nr::error::frame_too_long));
    BOOST_TEST(ring.maximum_frame_size() == 814U);
    auto const result = ring.wait_drained(1s);
    BOOST_TEST(result.taken == 501 - too_long);
    BOOST_TEST(result.rejected == too_long);
    BOOST_TEST(ring.statistics().committed == 501U);
    wire.left.set_mtu(1500);
    for (std::uint64_t i = 0; i != 499; ++i)
        commit(ring, pattern, ++next);
    ring.wait_drained(1s);
    auto const found = receiver.finish(1000 - too_long);
    BOOST_TEST(found.received == 1000 - too_long);
    BOOST_TEST(found.damaged == 0U);
    BOOST_TEST(found.repeated == 0U);
    BOOST_TEST(found.last == next);
    BOOST_TEST(found.missing == next + 1 - found.received);
}

BOOST_AUTO_TEST_CASE(a_ring_that_stops_at_a_bad_frame_goes_on_once_it_is_discarded) {
    lab::pair const wire;
    lab::pattern const pattern{wire.right.address(), 100, 100};
    lab::pattern_receiver receiver{wire.right, pattern};
    auto ring = open_ring(wire.left, nr::injector_options{"left"}.on_bad_frame(nr::bad_frame_policy::stop));
    commit(ring, pattern, 0);
    std::vector<std::byte> const junk(1514);
    auto frame = ring.try_reserve(junk.size());
    std::copy(junk.begin(), junk.end(), frame.data().begin());
    frame.commit();
    commit(ring, pattern, 1);
    wire.left.set_mtu(1000);
    nr::error_code ec;
    BOOST_TEST(ring.flush(ec) == 1U);
    BOOST_TEST((ec == nr::error::frame_too_long));
    BOOST_TEST(ring.flush(ec) == 0U);
    BOOST_TEST((ec == nr::error::frame_too_long));
    BOOST_TEST(ring.queued() == 2U);
    BOOST_TEST(ring.discard_rejected() == 1U);
    BOOST_TEST(ring.flush(ec) == 1U);
    BOOST_TEST(!ec);
    expect_all(receiver, 2);
    BOOST_TEST(ring.statistics().rejected == 1U);
}

BOOST_AUTO_TEST_CASE(frames_wait_in_the_ring_while_the_interface_is_down) {
    lab::pair const wire;
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    auto ring = open_ring(wire.left);
    std::uint64_t number = 0;
    for (int round = 0; round != 5; ++round) {
        for (int i = 0; i != 100; ++i)
            commit(ring, pattern, number++);
        BOOST_TEST(ring.wait_drained(1s).taken == 100U);
        wire.left.set_down();
        for (int i = 0; i != 100; ++i)
            commit(ring, pattern, number++);
        nr::error_code ec;
        BOOST_TEST(ring.flush(ec) == 0U);
        BOOST_TEST((ec == nr::error::interface_down));
        ring.wait_drained(1s, ec);
        BOOST_TEST((ec == nr::error::interface_down));
        BOOST_TEST(ring.queued() == 100U);
        wire.left.set_up();
        auto const result = ring.wait_drained(1s);
        BOOST_TEST(result.taken == 100U);
    }
    expect_all(receiver, number);
}

BOOST_AUTO_TEST_CASE(a_drain_waits_for_the_interface_where_that_is_the_policy) {
    lab::pair const wire;
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    auto ring = open_ring(wire.left, nr::injector_options{"left"}.on_link_down(nr::link_down_policy::wait_until_up));
    wire.left.set_down();
    for (std::uint64_t i = 0; i != 10; ++i)
        commit(ring, pattern, i);
    nr::error_code ec;
    BOOST_TEST(ring.wait_drained(100ms, ec).taken == 0U);
    BOOST_TEST((ec == nr::error::timed_out));
    BOOST_TEST(ring.statistics().kicks < 10U);
    std::thread later{[&] {
        std::this_thread::sleep_for(50ms);
        wire.left.set_up();
    }};
    BOOST_TEST(ring.wait_drained(2s, ec).taken == 10U);
    BOOST_TEST(!ec);
    later.join();
    expect_all(receiver, 10);
}

BOOST_AUTO_TEST_CASE(a_removed_interface_is_told_and_the_next_of_its_name_taken_where_that_is_the_policy) {
    for (auto const policy : {nr::link_down_policy::wait_until_up, nr::link_down_policy::reopen_by_name}) {
        lab::pair const wire;
        auto ring = open_ring(wire.left, nr::injector_options{"left"}.on_link_down(policy));
        lab::pattern const pattern{wire.right.address()};
        commit(ring, pattern, 0);
        wire.left.remove();
        nr::error_code ec;
        ring.wait_drained(50ms, ec);
        lab::pair const fresh{wire.left, wire.right, lab::pair_options{}};
        if (policy == nr::link_down_policy::wait_until_up) {
            BOOST_TEST((ec == nr::error::interface_removed));
            continue;
        }
        BOOST_TEST((ec == nr::error::timed_out));
        lab::pattern const fresh_pattern{fresh.right.address()};
        lab::pattern_receiver receiver{fresh.right, fresh_pattern};
        BOOST_TEST(ring.wait_drained(1s, ec).taken == 1U);
        BOOST_TEST(ring.options().interface_index() == static_cast<int>(fresh.left.index()));
        BOOST_TEST(receiver.finish(1).received == 1U);
    }
}

BOOST_AUTO_TEST_CASE(a_reservation_knows_when_it_is_void) {
    lab::pair const wire;
    auto ring = open_ring(wire.left);
    auto frame = ring.try_reserve(60);
    BOOST_TEST(frame.data().size() == 60U);
    nr::error_code ec;
    BOOST_TEST(!ring.try_reserve(60, ec));
    BOOST_TEST((ec == nr::error::frame_reserved));
    auto moved = std::move(frame);
    BOOST_TEST(!frame);
    auto other = std::move(ring);
    BOOST_TEST(!!moved);
    moved.commit(61, ec);
    BOOST_TEST((ec == nr::error::frame_too_long));
    moved.commit(60, ec);
    BOOST_TEST(!ec);
    BOOST_TEST(!moved);
    moved.commit(60, ec);
    BOOST_TEST((ec == nr::error::not_open));
    BOOST_TEST(other.pending() == 1U);
    moved = other.try_reserve(60);
    other.close();
    BOOST_TEST(!moved);
    BOOST_TEST(moved.data().empty());
    BOOST_TEST(other.statistics().committed == 1U);
    BOOST_TEST(!other.try_reserve(60, ec));
    BOOST_TEST((ec == nr::error::not_open));
    BOOST_TEST((open_error(wire.left, nr::injector_options{"left"}) == nr::error_code{}));
}

BOOST_AUTO_TEST_CASE(a_tagged_frame_may_be_four_bytes_longer) {
    lab::pair const wire;
    auto ring = open_ring(wire.left);
    auto frame = ring.try_reserve(1518);
    std::fill(frame.data().begin(), frame.data().end(), std::byte{0});
    frame.data()[12] = std::byte{0x81};
    frame.commit();
    auto const before = wire.right.counters().rx_bytes;
    BOOST_TEST(ring.wait_drained(1s).taken == 1U);
    BOOST_TEST(wire.right.counters().rx_bytes - before == 1518U);
}

BOOST_AUTO_TEST_CASE(geometry_is_as_obtained_and_room_is_what_the_interface_needs) {
    lab::pair const wire;
    auto ring = open_ring(wire.left);
    BOOST_TEST(ring.options().frame_size() == 2048U);
    BOOST_TEST(ring.frame_count() == 512U);
    BOOST_TEST(ring.frame_capacity() == 2000U);
    BOOST_TEST(ring.maximum_frame_size() == 1514U);
    BOOST_TEST(ring.available() == 512U);
    BOOST_TEST((ring.link() == nr::link_type::ethernet));
    lab::pair const jumbo{lab::pair_options{}.mtu(9000)};
    ring = open_ring(jumbo.left);
    BOOST_TEST(ring.maximum_frame_size() == 9014U);
    for (std::size_t const size : {80U, 1568U, 2048U, 4096U, 9088U, 100'000U})
        for (std::size_t const count : {1U, 2U, 3U, 100U}) {
            ring = open_ring(jumbo.left, nr::injector_options{"left"}.frame_size(size).frame_count(count));
            BOOST_TEST(ring.frame_count() >= count);
            lab::pattern const pattern{jumbo.right.address(), 22, std::min<std::size_t>(size - 48, 9014)};
            lab::pattern_receiver receiver{jumbo.right, pattern};
            for (std::uint64_t i = 0; i != 300; ++i)
                commit(ring, pattern, i);
            expect_sent(ring, 300);
            expect_all(receiver, 300);
        }
}

BOOST_AUTO_TEST_CASE(wrong_options_are_told) {
    lab::pair const wire;
    using options = nr::injector_options;
    BOOST_TEST((open_error(wire.left, options{"nobody"}) == nr::error::no_such_interface));
    BOOST_TEST((open_error(wire.left, options{"left"}.frame_size(100)) == nr::error::invalid_ring_geometry));
    BOOST_TEST((open_error(wire.left, options{"left"}.frame_size(48)) == nr::error::invalid_ring_geometry));
    BOOST_TEST((open_error(wire.left, options{"left"}.frame_count(0)) == nr::error::invalid_ring_geometry));
    BOOST_TEST(
        (open_error(wire.left, options{"left"}.frame_count(std::size_t{1} << 40)) == nr::error::invalid_ring_geometry));
    BOOST_TEST((open_error(wire.left, options{"left"}.send_buffer(0)) == nr::error::invalid_option));
    BOOST_TEST((open_error(wire.left, options{"left"}.network_namespace("none")) == nr::error::no_such_namespace));
    wire.left.set_down();
    BOOST_TEST((open_error(wire.left, options{"left"}) == nr::error::interface_down));
    tx_ring ring;
    nr::error_code ec;
    ring.open(options{"left"}.network_namespace(wire.left.path()).on_link_down(nr::link_down_policy::wait_until_up),
              ec);
    BOOST_TEST(!ec);
    ring.open(options{"left"}, ec);
    BOOST_TEST((ec == nr::error::already_open));
    BOOST_CHECK_EXCEPTION(open_ring(wire.left, options{"left"}.frame_size(100)), nr::system_error,
                          [](auto const& e) { return std::string{e.what()}.starts_with("frame_size"); });
}

BOOST_AUTO_TEST_CASE(a_socket_opened_elsewhere_serves) {
    lab::pair const wire;
    lab::pattern const pattern{wire.right.address()};
    lab::pattern_receiver receiver{wire.right, pattern};
    tx_ring ring;
    wire.left.enter([&] {
        ring.assign(::socket(AF_PACKET, SOCK_RAW, 0), nr::injector_options{"left"}.qdisc_bypass(true));
        nr::error_code ec;
        tx_ring{}.assign(::socket(AF_PACKET, SOCK_DGRAM, 0), nr::injector_options{"left"}, ec);
        BOOST_TEST((ec == nr::error::unsupported_link_type));
    });
    for (std::uint64_t i = 0; i != 1000; ++i)
        commit(ring, pattern, i);
    expect_sent(ring, 1000);
    expect_all(receiver, 1000);
}

BOOST_AUTO_TEST_CASE(sending_allocates_nothing) {
    lab::pair const wire;
    auto ring = open_ring(wire.left, nr::injector_options{"left"}.frame_count(16));
    lab::pattern const pattern{wire.right.address()};
    pattern.size(0);
    commit(ring, pattern, 0);
    auto const made = lab::allocation_counter::of([&] {
        for (std::uint64_t i = 1; i != 1000; ++i)
            commit(ring, pattern, i);
        ring.wait_drained(1s);
    });
    BOOST_TEST(made == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
