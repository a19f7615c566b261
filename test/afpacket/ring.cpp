#include "support.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include <sys/epoll.h>
#include <unistd.h>

using namespace std::chrono_literals;
using boost::test_tools::per_element;

namespace {

/// Times that the wait handle becomes readable within a while, clearing it each time as an operation does.
int wakeups(nr::afpacket::rx_ring& ring, std::chrono::milliseconds limit) {
    auto const end = std::chrono::steady_clock::now() + limit;
    auto const outer = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{.events = EPOLLIN, .data = {}};
    ::epoll_ctl(outer, EPOLL_CTL_ADD, ring.wait_handle(), &event);
    int count = 0;
    for (;;) {
        auto const left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left <= 0ms || ::epoll_wait(outer, &event, 1, static_cast<int>(left.count())) <= 0)
            break;
        ++count;
        ring.acknowledge();
    }
    ::close(outer);
    return count;
}

} // namespace

BOOST_AUTO_TEST_SUITE(ring, *lab::available())

BOOST_AUTO_TEST_CASE(every_frame_arrives_once_in_order_with_its_metadata) {
    lab::pair const wire;
    auto ring = open_ring(wire.right);
    auto const before = std::chrono::system_clock::now();
    lab::send_numbered(wire.left, wire.right, {.count = 1000, .size = 100});
    std::vector<std::uint64_t> numbers;
    nr::packet_batch batch;
    nr::error_code ec;
    nr::timestamp last{};
    while (numbers.size() < 1000 && ring.receive(batch, 500ms, ec) != 0) {
        append_numbers(numbers, batch);
        for (auto const packet : batch) {
            BOOST_TEST(packet.data.size() == 100U);
            BOOST_TEST(packet.wire_length == 100U);
            BOOST_TEST((packet.link == nr::link_type::ethernet));
            BOOST_TEST(packet.protocol == lab::numbered_ethertype);
            BOOST_TEST((packet.direction == nr::direction::host));
            BOOST_TEST((packet.clock == nr::clock_source::software));
            BOOST_TEST(packet.interface_index == static_cast<int>(wire.right.index()));
            BOOST_TEST(packet.source_address.length == 6);
            BOOST_TEST(std::memcmp(packet.source_address.bytes.data(), packet.data.data() + 6, 6) == 0);
            BOOST_TEST((packet.time >= last));
            last = packet.time;
        }
    }
    BOOST_TEST(numbers == numbers_up_to(1000), per_element());
    BOOST_TEST((last > before && last < std::chrono::system_clock::now() + 1s));
    auto const statistics = ring.statistics();
    BOOST_TEST(statistics.received == wire.right.counters().rx_packets);
    BOOST_TEST(statistics.dropped == 0U);
}

BOOST_AUTO_TEST_CASE(what_overflows_is_counted_as_dropped_and_the_rest_stays_in_order) {
    lab::pair const wire;
    auto ring = open_ring(wire.right);
    lab::send_numbered(wire.left, wire.right, {.count = 20'000});
    auto const numbers = receive_numbers(ring, 20'000);
    auto const statistics = ring.statistics();
    BOOST_TEST(statistics.dropped > 0U);
    BOOST_TEST(statistics.freezes > 0U);
    BOOST_TEST(std::ranges::is_sorted(numbers, std::less_equal{}));
    BOOST_TEST(numbers.size() + statistics.dropped == wire.right.counters().rx_packets);
    BOOST_TEST(statistics.received == numbers.size());
    BOOST_TEST(ring.statistics().received == statistics.received); // reading changes nothing
}

BOOST_AUTO_TEST_CASE(held_blocks_neither_spin_nor_lose_what_fits) {
    lab::pair const wire;
    auto ring = open_ring(wire.right);
    std::vector<nr::packet_batch> held;
    std::vector<std::uint64_t> numbers;
    nr::error_code ec;
    auto receive_and_hold = [&](std::uint64_t first) {
        lab::send_numbered(wire.left, wire.right, {.count = 1, .first = first});
        nr::packet_batch batch;
        BOOST_TEST(ring.receive(batch, 500ms, ec) == 1U);
        append_numbers(numbers, batch);
        held.push_back(std::move(batch));
    };
    receive_and_hold(0);
    auto const newest = wakeups(ring, 200ms);
    BOOST_TEST(newest <= 2);
    receive_and_hold(1);
    held[1].reset();
    auto const older = wakeups(ring, 200ms);
    BOOST_TEST(older <= 2);
    held.pop_back();
    for (std::uint64_t i = 2; i != 8; ++i)
        receive_and_hold(i); // all that the kernel can fill
    BOOST_TEST(ring.statistics().held_blocks == 7U);
    auto const all = wakeups(ring, 200ms);
    BOOST_TEST(all <= 2);
    lab::send_numbered(wire.left, wire.right, {.count = 5, .first = 8}); // no room: the first block is held
    BOOST_TEST(wakeups(ring, 100ms) <= 6);

    // Out of order, on another thread; then it goes on by itself.
    std::thread{[&] {
        for (auto const i : {6U, 0U, 5U, 2U, 1U, 3U, 4U})
            held[i].reset();
    }}.join();
    BOOST_TEST(ring.statistics().held_blocks == 0U);
    lab::send_numbered(wire.left, wire.right, {.count = 300, .first = 13});
    auto const later = receive_numbers(ring, 300);
    numbers.insert(numbers.end(), later.begin(), later.end());
    auto const dropped = ring.statistics().dropped;
    BOOST_TEST(dropped == 5U);
    BOOST_TEST(numbers.size() + dropped == wire.right.counters().rx_packets);
    BOOST_TEST(std::ranges::is_sorted(numbers, std::less_equal{}));
    BOOST_TEST_MESSAGE("figure: wake-ups in 200 ms with the newest block held: "
                       << newest << ", an older: " << older << ", all: " << all << "; " << numbers.size()
                       << " packets received, " << dropped << " dropped while no block was free, "
                       << wire.right.counters().rx_packets << " counted by the device");
}

BOOST_AUTO_TEST_CASE(a_newer_block_released_first_does_not_hide_an_older_one) {
    lab::pair const wire;
    auto ring = open_ring(wire.right);
    nr::error_code ec;
    std::vector<std::uint64_t> numbers;
    for (int round = 0; round != 20; ++round) {
        std::array<nr::packet_batch, 3> batches;
        for (auto& batch : batches) {
            lab::send_numbered(wire.left, wire.right, {.count = 1, .first = numbers.size()});
            BOOST_TEST(ring.receive(batch, 500ms, ec) == 1U);
            append_numbers(numbers, batch);
        }
        batches[2].reset();
        lab::send_numbered(wire.left, wire.right, {.count = 1, .first = numbers.size()});
        nr::packet_batch next;
        BOOST_TEST(ring.receive(next, 500ms, ec) == 1U);
        append_numbers(numbers, next);
    }
    BOOST_TEST(numbers == numbers_up_to(80), per_element());
}

BOOST_AUTO_TEST_CASE(releasing_the_block_that_comes_next_wakes_the_waiting_thread) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, small().block_count(2));
    nr::error_code ec;
    std::array<nr::packet_batch, 2> held;
    for (auto& batch : held) {
        lab::send_numbered(wire.left, wire.right, {});
        BOOST_TEST(ring.receive(batch, 500ms, ec) == 1U);
    }
    BOOST_TEST(wakeups(ring, 20ms) <= 1);
    ring.arm();
    std::thread releasing{[&] {
        std::this_thread::sleep_for(30ms);
        held[0].reset();
    }};
    BOOST_TEST(wakeups(ring, 200ms) == 1);
    releasing.join();
}

BOOST_AUTO_TEST_CASE(releasing_a_block_that_was_waited_for_and_came_wakes_nobody) {
    lab::pair const wire;
    auto ring = open_ring(wire.right);
    nr::packet_batch batch;
    ring.arm();
    lab::send_numbered(wire.left, wire.right, {});
    BOOST_TEST(lab::eventually([&] { return ring.try_receive(batch); }));
    BOOST_TEST(wakeups(ring, 20ms) <= 1); // its arrival
    batch.reset();
    BOOST_TEST(wakeups(ring, 50ms) == 0);
}

BOOST_AUTO_TEST_CASE(frames_pin_blocks_up_to_the_budget_and_are_copies_beyond_it) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, small().pin_budget(2));
    nr::error_code ec;
    std::vector<nr::frame> frames;
    for (std::uint64_t i = 0; i != 4; ++i) {
        lab::send_numbered(wire.left, wire.right, {.count = 2, .first = 2 * i});
        for (std::size_t received = 0; received < 2;) {
            nr::packet_batch batch;
            BOOST_REQUIRE(ring.receive(batch, 500ms, ec) != 0U);
            received += batch.size();
            for (auto const packet : batch)
                frames.push_back(batch.hold(packet));
        }
    }
    BOOST_REQUIRE(frames.size() == 8U);
    for (std::uint64_t i = 0; i != 8; ++i)
        BOOST_TEST(lab::frame_number(frames[i]->data).value() == i);
    BOOST_TEST(!frames.front().copied());
    BOOST_TEST(frames.back().copied());
    auto const copies = std::ranges::count_if(frames, &nr::frame::copied);
    auto statistics = ring.statistics();
    BOOST_TEST(statistics.pinned_blocks == 2U);
    BOOST_TEST(statistics.held_blocks == 2U);
    BOOST_TEST(statistics.copied == static_cast<std::uint64_t>(copies));
    auto const shared = frames.front();
    frames.clear();
    BOOST_TEST(ring.statistics().pinned_blocks == 1U);
    BOOST_TEST(lab::frame_number(shared->data).value() == 0U);
}

BOOST_AUTO_TEST_CASE(what_frames_pin_moves_out_of_the_way_whoever_releases_it_meanwhile) {
    constexpr std::uint64_t rounds = 200;
    constexpr std::uint64_t burst = 3; // each in a block of its own, if it is late, does not come to what is held
    for (bool const by_slots : {false, true}) {
        lab::pair const wire;
        auto ring = open_ring(
            wire.right, (by_slots ? nr::capture_options{"right"}.profile(nr::capture_profile::low_latency) : small())
                            .block_count(16)
                            .pin_budget(3));
        nr::error_code ec;
        std::mutex mutex;
        std::deque<nr::frame> given;
        std::deque<nr::frame> kept; // for ever
        std::atomic<bool> done{false};
        std::uint64_t wrong = 0;
        std::thread releasing{[&] {
            for (std::uint64_t expected = 0;;) {
                std::unique_lock lock{mutex};
                if (given.empty() && done)
                    return;
                if (given.empty()) {
                    lock.unlock();
                    std::this_thread::yield();
                    continue;
                }
                auto const one = std::move(given.front());
                given.pop_front();
                lock.unlock();
                wrong += lab::frame_number(one->data) == expected++ ? 0 : 1;
            }
        }};
        std::uint64_t received = 0;
        for (std::uint64_t round = 0; round != rounds && received == burst * round; ++round) {
            lab::send_numbered(wire.left, wire.right, {.count = burst, .first = burst * round});
            nr::packet_batch batch;
            while (received < burst * (round + 1) && ring.receive(batch, 5s, ec) != 0)
                for (auto const packet : batch) {
                    auto frame = batch.hold(packet);
                    if (received++ % 50 == 0 && kept.size() < 5)
                        kept.push_back(frame);
                    std::lock_guard const lock{mutex};
                    given.push_back(std::move(frame));
                }
        }
        done = true;
        releasing.join();
        BOOST_TEST(received == burst * rounds);
        BOOST_TEST(wrong == 0U);
        for (std::size_t i = 0; i != kept.size(); ++i)
            BOOST_TEST(lab::frame_number(kept[i]->data).value() == 50 * i);
        BOOST_TEST(ring.statistics().dropped == 0U);
        BOOST_TEST(ring.statistics().held_blocks <= 8U);
        kept.clear();
        BOOST_TEST(ring.statistics().held_blocks == 0U);
    }
}

BOOST_AUTO_TEST_CASE(a_closed_ring_leaves_the_kernel_while_its_packets_stay_readable) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, small().promiscuous(true));
    BOOST_TEST(packet_socket_count(wire.right) == 1);
    lab::send_numbered(wire.left, wire.right, {.count = 900});
    nr::packet_batch first, second;
    nr::error_code ec;
    BOOST_REQUIRE(ring.receive(first, 500ms, ec) != 0U);
    BOOST_REQUIRE(ring.receive(second, 500ms, ec) != 0U);
    auto frame = second.hold(*second.begin());
    ring.close();
    BOOST_TEST(lab::eventually([&] { return packet_socket_count(wire.right) == 0; }));
    BOOST_TEST(wire.right.run({"ip", "-d", "link", "show", "right"}).find("promiscuity 0") != std::string::npos);
    std::vector<std::uint64_t> numbers;
    append_numbers(numbers, first);
    BOOST_TEST(numbers.size() == first.size());
    BOOST_TEST(lab::frame_number(frame->data).value() == numbers.size());
    ring = {};
    second.reset();
    std::thread{[held = std::move(frame)]() mutable { held.reset(); }}.join();
    BOOST_TEST(numbers == numbers_up_to(numbers.size()), per_element());
}

BOOST_AUTO_TEST_CASE(closing_while_another_thread_reads_and_releases) {
    lab::pair const wire;
    for (int round = 0; round != 20; ++round) {
        auto ring = open_ring(wire.right);
        lab::send_numbered(wire.left, wire.right, {.count = 1000});
        std::vector<nr::packet_batch> held(2);
        nr::error_code ec;
        for (auto& batch : held)
            BOOST_REQUIRE(ring.receive(batch, 500ms, ec) != 0U);
        std::uint64_t sum = 0, expected = 0;
        for (auto const& batch : held)
            for (auto const packet : batch)
                expected += *lab::frame_number(packet.data);
        std::thread reading{[&] {
            for (auto& batch : held) {
                for (auto const packet : batch)
                    sum += *lab::frame_number(packet.data);
                batch.reset();
            }
        }};
        ring.close();
        reading.join();
        BOOST_TEST(sum == expected);
    }
    BOOST_TEST(lab::eventually([&] { return packet_socket_count(wire.right) == 0; }));
}

BOOST_AUTO_TEST_CASE(nothing_foreign_or_unfiltered_is_captured_while_opening) {
    lab::pair const wire;
    lab::pair const flooding{wire.left, wire.right, lab::pair_options{}.names("left2", "right2")};
    auto foreign = lab::start_sender(flooding.left, flooding.right, {.count = 2'000'000, .first = 1'000'000'000});
    auto unwanted = lab::start_sender(wire.left, wire.right, {.count = 2'000'000, .first = 1'000'000'000});
    std::this_thread::sleep_for(20ms);
    for (int round = 0; round != 20; ++round) {
        auto ring = open_ring(wire.right, small().filter("ether proto 0x1234"));
        std::this_thread::sleep_for(5ms);
        nr::packet_batch batch;
        BOOST_TEST(!ring.try_receive(batch));
        BOOST_TEST(ring.statistics().received == 0U);
        auto other = open_ring(wire.right, small());
        nr::error_code ec;
        BOOST_REQUIRE(other.receive(batch, 500ms, ec) != 0U);
        for (auto const packet : batch)
            BOOST_TEST(packet.interface_index == static_cast<int>(wire.right.index()));
    }
    foreign.stop();
    unwanted.stop();
}

BOOST_AUTO_TEST_CASE(the_filter_is_replaced_without_losing_or_passing_a_packet) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, small().block_count(64));
    nr::error_code ec;
    // 8 bytes of number after the ethertype, in network order: the last byte is at 21.
    auto const odd = "ether[21] & 1 = 1", even = "ether[21] & 1 = 0";
    ring.set_filter("");
    lab::send_numbered(wire.left, wire.right, {.count = 1000});
    ring.set_filter(odd);
    lab::send_numbered(wire.left, wire.right, {.count = 1000, .first = 1000});
    std::vector<std::uint64_t> const seen = receive_numbers(ring, 1000);
    BOOST_TEST(seen.size() == 1000U);
    BOOST_TEST(std::ranges::all_of(seen, [](auto number) { return number % 2 == 1; }));
    BOOST_TEST(ring.statistics().filtered == 500U);
    BOOST_TEST(ring.options().filter() == odd);

    for (int round = 0; round != 30; ++round) { // long enough for the swap to settle in between
        ring.set_filter(round % 2 == 0 ? even : odd);
        lab::send_numbered(wire.left, wire.right, {.count = 200});
        auto const numbers = receive_numbers(ring, 100);
        BOOST_TEST(numbers.size() == 100U);
        BOOST_TEST(std::ranges::all_of(numbers, [&](auto n) { return n % 2 == static_cast<unsigned>(round % 2); }));
        std::this_thread::sleep_for(5ms);
    }
    ring.set_filter("no such thing", ec);
    BOOST_TEST((ec == nr::error::bad_filter));
    BOOST_TEST(ring.options().filter() == odd);
}

BOOST_AUTO_TEST_CASE(the_snap_length_cuts_and_the_wire_length_stays) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, small().snap_length(40));
    lab::send_numbered(wire.left, wire.right, {.count = 3, .size = 100});
    nr::packet_batch batch;
    nr::error_code ec;
    BOOST_REQUIRE(ring.receive(batch, 500ms, ec) != 0U);
    for (auto const packet : batch) {
        BOOST_TEST(packet.data.size() == 40U);
        BOOST_TEST(packet.wire_length == 100U);
        BOOST_TEST(packet.truncated());
    }
}

BOOST_AUTO_TEST_CASE(interface_down_up_and_removed_are_told_by_policy) {
    lab::pair const wire;
    auto failing = open_ring(wire.right);
    auto waiting = open_ring(wire.right, small().on_link_down(nr::link_down_policy::wait_until_up));
    nr::packet_batch batch;
    nr::error_code ec;
    wire.right.set_down();
    failing.receive(batch, 500ms, ec);
    BOOST_TEST((ec == nr::error::interface_down));
    failing.receive(batch, 50ms, ec);
    BOOST_TEST((ec == nr::error::timed_out)); // once each time
    BOOST_TEST(wakeups(failing, 100ms) <= 2);
    waiting.receive(batch, 50ms, ec);
    BOOST_TEST((ec == nr::error::timed_out));
    nr::afpacket::rx_ring late;
    wire.right.enter([&] { late.open(small(), ec); });
    BOOST_TEST((ec == nr::error::interface_down));

    wire.right.set_up();
    std::this_thread::sleep_for(20ms);
    lab::send_numbered(wire.left, wire.right, {.count = 1, .first = 7});
    BOOST_TEST(receive_numbers(failing, 1) == std::vector<std::uint64_t>{7}, per_element());
    BOOST_TEST(receive_numbers(waiting, 1) == std::vector<std::uint64_t>{7}, per_element());

    wire.right.remove();
    while (failing.receive(batch, 500ms, ec) != 0 || ec == nr::error::interface_down)
        ;
    BOOST_TEST((ec == nr::error::interface_removed));
    failing.receive(batch, 500ms, ec);
    BOOST_TEST((ec == nr::error::interface_removed)); // from then on
    waiting.receive(batch, 500ms, ec);
    BOOST_TEST((ec == nr::error::interface_removed));
}

BOOST_AUTO_TEST_CASE(a_limit_of_nothing_and_one_of_ever_tell_what_others_tell) {
    lab::pair const wire;
    auto ring = open_ring(wire.right);
    nr::packet_batch batch;
    nr::error_code ec;
    lab::send_numbered(wire.left, wire.right, {.count = 1});
    BOOST_TEST(ring.receive(batch, std::chrono::nanoseconds::max(), ec) == 1U);
    ring.receive(batch, 0ns, ec);
    BOOST_TEST((ec == nr::error::timed_out));
    wire.right.remove();
    BOOST_TEST(
        lab::eventually([&] { return ring.receive(batch, 0ns, ec) == 0 && ec == nr::error::interface_removed; }));
}

BOOST_AUTO_TEST_CASE(an_interface_that_went_and_came_back_with_its_index_is_not_taken_for_the_same) {
    lab::pair const wire;
    lab::network const elsewhere;
    auto waiting = open_ring(wire.right, small().on_link_down(nr::link_down_policy::wait_until_up));
    auto following = open_ring(wire.right, small().on_link_down(nr::link_down_policy::reopen_by_name));
    auto const index = wire.right.index();
    wire.right.run({"ip", "link", "set", "right", "netns", elsewhere.path()});
    elsewhere.run({"ip", "link", "set", "right", "netns", wire.right.path()});
    wire.right.set_up();
    BOOST_TEST_REQUIRE(wire.right.index() == index);
    nr::packet_batch batch;
    nr::error_code ec;
    waiting.receive(batch, 20s, ec);
    BOOST_TEST((ec == nr::error::interface_removed));
    following.receive(batch, 50ms, ec);
    lab::send_numbered(wire.left, wire.right, {.count = 1, .first = 3});
    BOOST_TEST(receive_numbers(following, 1) == std::vector<std::uint64_t>{3}, per_element());
}

BOOST_AUTO_TEST_CASE(a_ring_follows_its_interface_by_name) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, small().promiscuous(true).on_link_down(nr::link_down_policy::reopen_by_name));
    wire.right.remove();
    nr::packet_batch batch;
    nr::error_code ec;
    ring.receive(batch, 50ms, ec);
    BOOST_TEST((ec == nr::error::timed_out));
    lab::pair const again{wire.left, wire.right, lab::pair_options{}};
    ring.receive(batch, 50ms, ec); // takes note of the new one
    lab::send_numbered(again.left, again.right, {.count = 1, .first = 3});
    BOOST_TEST(receive_numbers(ring, 1) == std::vector<std::uint64_t>{3}, per_element());
    BOOST_TEST(ring.options().interface_index() == static_cast<int>(again.right.index()));
    BOOST_TEST(again.right.run({"ip", "-d", "link", "show", "right"}).find("promiscuity 1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(statistics_are_the_same_for_any_number_of_readers) {
    lab::pair const wire;
    auto ring = open_ring(wire.right);
    std::atomic<bool> stop{false};
    auto read = [&] {
        nr::capture_statistics last;
        while (!stop) {
            auto const now = ring.statistics();
            if (now.received < last.received || now.dropped < last.dropped || now.freezes < last.freezes)
                return false;
            last = now;
        }
        return true;
    };
    bool monotonic[2]{};
    std::thread readers[]{std::thread{[&] { monotonic[0] = read(); }}, std::thread{[&] { monotonic[1] = read(); }}};
    lab::send_numbered(wire.left, wire.right, {.count = 50'000});
    auto const received = receive_numbers(ring, 50'000).size();
    stop = true;
    for (auto& reader : readers)
        reader.join();
    BOOST_TEST(monotonic[0]);
    BOOST_TEST(monotonic[1]);
    BOOST_TEST(received + ring.statistics().dropped == 50'000U);
    ring.close();
    BOOST_TEST(ring.statistics().received == received);
}

BOOST_AUTO_TEST_SUITE_END()
