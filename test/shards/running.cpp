#include "../afpacket/support.hpp"
#include "../decode/craft.hpp"
#include <netring_asio/capture_group.hpp>
#include <netring_asio/flow/event_merger.hpp>
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/shards.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace net = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t count = 4;

nr::shards_options four() { return nr::shards_options{}.count(count).drain_limit(30s); }

/// Opens the captures of a group in the namespace of the right side.
auto group_on(lab::pair const& wire, nr::capture_options const& options) {
    return wire.right.enter([&] { return nr::shards{four(), nr::capture_group{options}}; });
}

std::vector<std::uint8_t> bytes_of(test::craft const& frame) {
    auto const data = frame.view().data;
    std::vector<std::uint8_t> bytes(data.size());
    std::memcpy(bytes.data(), data.data(), data.size());
    return bytes;
}

/// The number in the last four bytes of a frame.
void put_number(std::vector<std::uint8_t>& frame, std::uint32_t number) {
    std::memcpy(frame.data() + frame.size() - 4, &number, 4);
}
std::uint32_t number_of(std::span<std::byte const> frame) {
    std::uint32_t number = 0;
    std::memcpy(&number, frame.data() + frame.size() - 4, 4);
    return number;
}

std::string address(unsigned version, unsigned host) {
    return version == 4 ? "10.0." + std::to_string(host / 200) + "." + std::to_string(host % 200 + 1)
                        : "fd00::" + std::to_string(host + 1);
}

using frames = std::vector<std::vector<std::uint8_t>>;

test::craft ip(test::craft inner, unsigned version, std::string const& from, std::string const& to, unsigned protocol,
               unsigned fragment = 0) {
    return version == 4 ? inner.ipv4(from.c_str(), to.c_str(), protocol, fragment, 99)
                        : inner.ipv6(from.c_str(), to.c_str(), protocol);
}

/// What two hosts say to each other: whole packets both ways, and fragments of one packet each way, not in order.
std::vector<test::craft> conversation(unsigned version, unsigned pair) {
    std::vector<test::craft> result;
    for (bool const back : {false, true}) {
        auto const from = address(version, back ? 1000 - pair : pair);
        auto const to = address(version, back ? pair : 1000 - pair);
        for (unsigned port : {1000U, 2000U})
            result.push_back(
                ip(back ? test::craft{40}.udp(53, port) : test::craft{40}.udp(port, 53), version, from, to, 17));
        if (version == 4) {
            result.push_back(ip(test::craft{40}, 4, from, to, 17, 3)); // the last fragment comes first
            result.push_back(ip(test::craft{16}.udp(1000, 53), 4, from, to, 17, 0x2000));
        } else {
            result.push_back(ip(test::craft{40}.put({17, 0, 0, 24, 0, 0, 0, 99}), 6, from, to, 44));
            result.push_back(ip(test::craft{16}.udp(1000, 53).put({17, 0, 0, 1, 0, 0, 0, 99}), 6, from, to, 44));
        }
    }
    return result;
}

constexpr unsigned pairs = 24;

unsigned ethertype(unsigned version) { return version == 4 ? 0x0800 : 0x86dd; }

/// The shard that each frame came to, by its number; frames of the pair p are numbered from 1000 * p on.
std::map<std::uint32_t, std::size_t> shard_of_frames(nr::capture_options const& options, frames const& all,
                                                     nr::hand_over_statistics* handed = nullptr) {
    lab::pair const wire;
    auto group = group_on(wire, options);
    std::mutex mutex;
    std::map<std::uint32_t, std::size_t> seen;
    group.start([&](nr::shard<nr::capture> self) -> net::awaitable<void> {
        auto source = self.source();
        nr::packet_batch batch;
        for (;;) {
            auto const [error, n] = co_await source.async_receive(batch, net::as_tuple(net::use_awaitable));
            if (error == net::error::eof)
                co_return;
            std::lock_guard const lock{mutex};
            for (auto const packet : batch)
                if (!seen.emplace(number_of(packet.data), self.index()).second)
                    throw std::runtime_error{"twice"};
        }
    });
    wire.left.send_each(all);
    group.stop();
    group.wait();
    if (handed != nullptr)
        *handed = group.handed_over();
    return seen;
}

/// What comes of a number's thousand comes to one shard.
void expect_thousands_together(std::map<std::uint32_t, std::size_t> const& seen) {
    std::map<std::uint32_t, std::set<std::size_t>> places;
    std::set<std::size_t> used;
    for (auto const& [number, shard] : seen) {
        places[number / 1000].insert(shard);
        used.insert(shard);
    }
    for (auto const& [which, shards] : places)
        BOOST_TEST(shards.size() == 1U, "frames of " << which << " came to " << shards.size() << " shards");
    BOOST_TEST(used.size() == count);
}

template <class Wrap>
void expect_pairs_together(unsigned version, Wrap wrap) {
    frames all;
    for (unsigned pair = 0; pair != pairs; ++pair) {
        std::uint32_t number = pair * 1000;
        for (auto const& packet : conversation(version, pair)) {
            all.push_back(bytes_of(wrap(packet, number)));
            put_number(all.back(), number++);
        }
    }
    auto const seen = shard_of_frames(small(), all);
    BOOST_TEST(seen.size() == all.size());
    expect_thousands_together(seen);
}

} // namespace

BOOST_AUTO_TEST_SUITE(shards, *lab::available())

BOOST_AUTO_TEST_CASE(both_directions_and_all_fragments_of_a_flow_reach_one_shard) {
    for (unsigned const version : {4U, 6U}) {
        BOOST_TEST_CONTEXT("IPv" << version) {
            expect_pairs_together(version,
                                  [&](test::craft packet, unsigned) { return packet.ethernet(ethertype(version)); });
        }
    }
}

BOOST_AUTO_TEST_CASE(also_in_a_tunnel_and_behind_tags) {
    for (unsigned const version : {4U, 6U}) {
        auto const inner = ethertype(version);
        BOOST_TEST_CONTEXT("IPv" << version << " in VXLAN, GRE and GTP-U between the same two ends") {
            expect_pairs_together(version, [&](test::craft packet, unsigned number) {
                bool const back = number % 1000 >= 4;
                auto const* const from = back ? "192.0.2.2" : "192.0.2.1";
                auto const* const to = back ? "192.0.2.1" : "192.0.2.2";
                switch (number / 1000 % 3) {
                case 0:
                    packet.ethernet(inner).put({8, 0, 0, 0, 0, 0, 7, 0}).udp(7777, 4789).ipv4(from, to, 17);
                    break;
                case 1:
                    packet.put({0x20, 0, inner >> 8, inner & 255, 0, 0, 0, 5}).ipv4(from, to, 47);
                    break;
                default:
                    packet.put({0x32, 255, 0, 60, 0, 0, 0, 5, 0, 1, 0, 0}).udp(2152, 2152).ipv4(from, to, 17);
                }
                return packet.vlan(7, 0x0800).vlan(9, 0x8100).ethernet(0x88a8);
            });
        }
    }
}

BOOST_AUTO_TEST_CASE(by_ports_a_flow_and_its_ipv4_fragments_reach_one_shard) {
    frames all;
    for (unsigned port = 1; port <= 64; ++port) {
        std::uint32_t number = port * 1000;
        for (bool const back : {false, true}) {
            auto const* const from = back ? "10.0.0.2" : "10.0.0.1";
            auto const* const to = back ? "10.0.0.1" : "10.0.0.2";
            auto const udp = back ? test::craft{40}.udp(53, port) : test::craft{40}.udp(port, 53);
            all.push_back(bytes_of(test::craft{udp}.ipv4(from, to, 17).ethernet(0x0800)));
            put_number(all.back(), number++);
            // The kernel puts the fragments together: the number comes with the last.
            auto const whole = bytes_of(udp);
            auto const part = [&](std::size_t begin, std::size_t end, unsigned fragment) {
                test::craft piece;
                piece.bytes().assign(whole.begin() + static_cast<std::ptrdiff_t>(begin),
                                     whole.begin() + static_cast<std::ptrdiff_t>(end));
                return bytes_of(piece.ipv4(from, to, 17, fragment, port * 2 + back).ethernet(0x0800));
            };
            auto last = part(24, whole.size(), 3);
            put_number(last, number++);
            all.push_back(last);
            all.push_back(part(0, 24, 0x2000));
        }
    }
    auto const seen = shard_of_frames(small().fanout(nr::fanout_options{nr::fanout_mode::hash}.defragment(true)), all);
    BOOST_TEST(seen.size() == 64U * 4);
    expect_thousands_together(seen);
}

BOOST_AUTO_TEST_CASE(by_flow_fragments_are_handed_to_the_shard_of_their_flow) {
    constexpr unsigned flows = 48;
    for (unsigned const version : {4U, 6U})
        for (bool const tunneled : {false, true}) {
            BOOST_TEST_CONTEXT("IPv" << version << (tunneled ? " in VXLAN" : "")) {
                frames all, later;
                auto const add = [&](frames& to, test::craft packet, std::uint32_t number) {
                    packet.ethernet(ethertype(version));
                    if (tunneled)
                        packet.put({8, 0, 0, 0, 0, 0, 7, 0})
                            .udp(number % 5 + 40'000, 4789)
                            .ipv4("192.0.2.1", "192.0.2.2", 17)
                            .ethernet(0x0800);
                    to.push_back(bytes_of(packet));
                    put_number(to.back(), number);
                };
                for (unsigned flow = 1; flow <= flows; ++flow) {
                    std::uint32_t number = flow * 1000;
                    for (bool const back : {false, true}) {
                        auto const from = address(version, back ? 2 : 1);
                        auto const to = address(version, back ? 1 : 2);
                        auto const udp = [&](std::size_t payload) {
                            return back ? test::craft{payload}.udp(53, flow) : test::craft{payload}.udp(flow, 53);
                        };
                        auto const part = [&](test::craft bytes, unsigned offset, bool more, unsigned id) {
                            if (version == 4)
                                return bytes.ipv4(from.c_str(), to.c_str(), 17, offset / 8 | (more ? 0x2000 : 0), id);
                            bytes.put({17, 0, offset >> 8, offset | (more ? 1U : 0U), 0, 0, id >> 8, id & 255});
                            return bytes.ipv6(from.c_str(), to.c_str(), 44);
                        };
                        add(all, ip(udp(40), version, from, to, 17), number++);
                        for (unsigned const order : {0U, 1U, 2U}) { // in order, the first last, and far apart
                            auto const id = flow * 8 + order * 2 + (back ? 1 : 0);
                            auto& last = order == 2 ? later : all;
                            if (order != 1)
                                add(all, part(udp(40), 0, true, id), number++);
                            add(order == 2 ? later : all, part(test::craft{48}, 48, true, id), number++);
                            add(last, part(test::craft{20}, 96, false, id), number++);
                            if (order == 1)
                                add(all, part(udp(40), 0, true, id), number++);
                        }
                        if (version == 6) // an extension header before the ports, and a fragment that is the only one
                            for (unsigned const next : {60U, 44U})
                                add(all, udp(40).put({17, 0, 0, 0, 0, 0, 0, 0}).ipv6(from.c_str(), to.c_str(), next),
                                    number++);
                    }
                }
                all.insert(all.end(), later.begin(), later.end());
                nr::hand_over_statistics handed;
                auto const seen =
                    shard_of_frames(roomy().fanout(nr::fanout_options{nr::fanout_mode::flows}), all, &handed);
                BOOST_TEST(seen.size() == all.size());
                expect_thousands_together(seen);
                BOOST_TEST(handed.handed > all.size() / 2);
                BOOST_TEST(handed.waited >= flows * 4);
                BOOST_TEST(handed.unplaced == 0U);
                BOOST_TEST(handed.lost == 0U);
            }
        }
}

BOOST_AUTO_TEST_CASE(fragments_without_a_first_one_stay_where_they_came) {
    frames all;
    for (unsigned i = 0; i != 200; ++i) {
        all.push_back(bytes_of(test::craft{40}.ipv4("10.0.0.1", "10.0.0.2", 17, 3, i / 100).ethernet(0x0800)));
        put_number(all.back(), i);
    }
    nr::hand_over_statistics handed;
    auto const seen = shard_of_frames(small().fanout(nr::fanout_options{nr::fanout_mode::flows}), all, &handed);
    BOOST_TEST(seen.size() == all.size());
    BOOST_TEST(handed.handed == 0U);
    BOOST_TEST(handed.unplaced == all.size());
}

BOOST_AUTO_TEST_CASE(four_shards_find_what_one_finds_and_merge_it_in_order) {
    using channel = net::experimental::concurrent_channel<void(nr::error_code, nr::flow::event_batch)>;
    lab::pair const wire;
    auto const options = small().block_size(16 << 10).block_count(512);
    auto alone = wire.right.enter(
        [&] { return nr::shards{nr::shards_options{}.count(1).drain_limit(30s), nr::capture_group{options}}; });
    auto group = group_on(wire, options);
    std::map<nr::flow::five_tuple_key, std::uint64_t> expected;
    alone.start([&](nr::shard<nr::capture> self) -> net::awaitable<void> {
        nr::flow_stream flows{self.source()};
        nr::flow::event_batch events;
        for (;;) {
            auto const [error, n] = co_await flows.async_receive(events, net::as_tuple(net::use_awaitable));
            if (error)
                co_return;
            for (auto const& event : events)
                if (event.kind == nr::flow::event_kind::ended)
                    expected[event.key] += event.stats.packets();
        }
    });

    net::io_context context;
    std::deque<channel> channels;
    std::vector<nr::flow::tracker_statistics> tables(count);
    std::array<std::function<nr::flow::tracker_statistics()>, count> look;
    for (std::size_t i = 0; i != count; ++i)
        channels.emplace_back(context, 16);
    group.start([&](nr::shard<nr::capture> self) -> net::awaitable<void> {
        nr::flow_stream flows{self.source()};
        look[self.index()] = [&flows] { return flows.statistics(); };
        co_await flows.async_pipe(channels[self.index()], net::use_awaitable);
    });

    nr::flow::event_merger<nr::flow::event> merger{count, 10s};
    std::vector<nr::flow::event> merged;
    for (std::size_t i = 0; i != count; ++i)
        net::co_spawn(
            context,
            [&, i]() -> net::awaitable<void> {
                for (;;) {
                    auto const [error, events] = co_await channels[i].async_receive(net::as_tuple(net::use_awaitable));
                    if (error)
                        break;
                    merger.push(i, {events.begin(), events.end()});
                    merger.take(merged);
                }
                merger.end(i);
                merger.take(merged);
            },
            [](std::exception_ptr failure) {
                if (failure)
                    std::rethrow_exception(failure);
            });

    std::thread consumer{[&] { context.run(); }};
    std::mt19937 random{11};
    frames all;
    while (all.size() != 3000) {
        auto const pair = random() % 40;
        auto const frames = conversation(random() % 2 != 0 ? 4 : 6, static_cast<unsigned>(pair));
        auto packet = frames[random() % 2 * 6 + random() % 2]; // no fragments, which each end keeps for a while
        all.push_back(
            bytes_of(packet.ethernet(std::to_integer<unsigned>(packet.view().data[0]) >> 4 == 4 ? 0x0800 : 0x86dd)));
    }
    wire.left.send_each(all);
    BOOST_TEST(lab::eventually([&] { return group.statistics().received == all.size(); }));
    group.visit([&](std::size_t i) { tables[i] = look[i](); });
    alone.stop();
    group.stop();
    alone.wait();
    group.wait();
    consumer.join();

    std::map<nr::flow::five_tuple_key, std::uint64_t> found;
    for (auto const& event : merged)
        if (event.kind == nr::flow::event_kind::ended)
            found[event.key] += event.stats.packets();
    BOOST_TEST(found.size() > 100U);
    BOOST_TEST((found == expected));
    BOOST_TEST(merger.waiting() == 0U);
    BOOST_TEST(merger.late() == 0U);
    BOOST_TEST(
        std::is_sorted(merged.begin(), merged.end(), [](auto const& a, auto const& b) { return a.time < b.time; }));
    for (auto const& table : tables)
        BOOST_TEST(table.flows > 0U);
    auto const statistics = group.statistics();
    BOOST_TEST(statistics.received == all.size());
    BOOST_TEST(statistics.dropped == 0U);
}

BOOST_AUTO_TEST_CASE(stopped_in_a_flood_every_packet_of_the_ring_is_delivered) {
    lab::pair const wire;
    auto group = group_on(wire, small().fanout(nr::fanout_options{nr::fanout_mode::load_balance}));
    std::array<std::uint64_t, count> delivered{};
    group.start([&](nr::shard<nr::capture> self) -> net::awaitable<void> {
        auto source = self.source();
        nr::packet_batch batch;
        for (;;) {
            auto const [error, n] = co_await source.async_receive(batch, net::as_tuple(net::use_awaitable));
            if (error == net::error::eof)
                co_return;
            delivered[self.index()] += n;
        }
    });
    auto sender = lab::start_sender(wire.left, wire.right, {.count = 2'000'000, .rate = 50'000});
    BOOST_TEST(lab::eventually([&] { return group.statistics().received > 5'000; }));
    group.stop();
    group.wait();
    auto const statistics = group.statistics();
    std::uint64_t const sum = delivered[0] + delivered[1] + delivered[2] + delivered[3];
    BOOST_TEST_MESSAGE("figure: " << statistics.received << " packets in the rings, " << sum << " delivered");
    BOOST_TEST(sum == statistics.received);
    for (auto const part : delivered)
        BOOST_TEST(part > 0U);
}

BOOST_AUTO_TEST_CASE(who_does_not_keep_up_is_cut_off_at_the_drain_limit) {
    lab::pair const wire;
    auto group = wire.right.enter(
        [&] { return nr::shards{nr::shards_options{}.count(1).drain_limit(100ms), nr::capture_group{small()}}; });
    std::atomic<bool> cut{false};
    group.start([&](nr::shard<nr::capture> self) -> net::awaitable<void> {
        auto source = self.source();
        nr::packet_batch batch;
        std::uint64_t seen = 0;
        for (;;) {
            auto const [error, n] = co_await source.async_receive(batch, net::as_tuple(net::use_awaitable));
            if (error) {
                cut = error == net::error::eof && seen < 2'000;
                co_return;
            }
            seen += n;
            std::this_thread::sleep_for(100ms);
        }
    });
    lab::send_numbered(wire.left, wire.right, {.count = 2'000});
    group.stop();
    group.wait();
    BOOST_TEST(cut);
}

BOOST_AUTO_TEST_CASE(a_failure_ends_all_or_only_its_own_shard) {
    for (auto const policy : {nr::shard_failure_policy::stop_all, nr::shard_failure_policy::go_on}) {
        lab::pair const wire;
        auto group = wire.right.enter([&] {
            return nr::shards{four().on_failure(policy),
                              nr::capture_group{small().fanout(nr::fanout_options{nr::fanout_mode::load_balance})}};
        });
        std::atomic<std::uint64_t> others{0};
        std::atomic<int> ended{0};
        group.start([&](nr::shard<nr::capture> self) -> net::awaitable<void> {
            auto source = self.source();
            nr::packet_batch batch;
            for (;;) {
                auto const [error, n] = co_await source.async_receive(batch, net::as_tuple(net::use_awaitable));
                if (self.index() == 1)
                    throw std::runtime_error{"the second"};
                if (error)
                    break;
                others += static_cast<std::uint64_t>(std::ranges::count_if(
                    batch, [](auto const& packet) { return lab::frame_number(packet.data).value_or(0) >= 1000; }));
            }
            ++ended;
        });
        lab::send_numbered(wire.left, wire.right, {.count = 100});
        if (policy == nr::shard_failure_policy::go_on) {
            BOOST_TEST(lab::eventually([&] { return packet_socket_count(wire.right) == 3; }));
            lab::send_numbered(wire.left, wire.right, {.count = 100, .first = 1000});
            BOOST_TEST(lab::eventually([&] { return others == 100; }));
            group.stop();
        }
        BOOST_CHECK_EXCEPTION(group.wait(), std::runtime_error,
                              [](auto const& e) { return e.what() == std::string{"the second"}; });
        BOOST_TEST(ended == 3);
    }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_opened_is_told_and_the_rest_closed) {
    lab::pair const wire;
    BOOST_CHECK_EXCEPTION(group_on(wire, small("none")), nr::system_error,
                          [](auto const& e) { return e.code() == nr::error::no_such_interface; });
    int opened = 0;
    BOOST_CHECK_THROW(wire.right.enter([&] {
        nr::shards{four(), [&, group = nr::capture_group{small()}](net::io_context& context, std::size_t i) mutable {
                       if (i == 2)
                           throw std::runtime_error{"enough"};
                       ++opened;
                       return group(context, i);
                   }};
    }),
                      std::runtime_error);
    BOOST_TEST(opened == 2);
    BOOST_TEST(lab::eventually([&] { return packet_socket_count(wire.right) == 0; }));
    BOOST_CHECK_THROW((nr::shards{four().count(0), nr::capture_group{small()}}), nr::system_error);
    BOOST_CHECK_THROW(wire.right.enter([&] { nr::shards{four().processors({100'000}), nr::capture_group{small()}}; }),
                      nr::system_error);
}

BOOST_AUTO_TEST_CASE(a_group_that_was_never_started_ends, *boost::unit_test::timeout(60)) {
    lab::pair const wire;
    BOOST_TEST(group_on(wire, nr::capture_options{"right"}).count() == count);
}

BOOST_AUTO_TEST_CASE(memory_is_taken_by_the_policy_that_was_asked_for) {
    auto const policy_of = [](nr::shards_options const& options) {
        lab::pair const wire;
        auto group = wire.right.enter([&] { return nr::shards{options, nr::capture_group{small()}}; });
        std::atomic<int> mode{-1};
        group.start([&](nr::shard<nr::capture>) { // on the thread of the shard
            int found = 0;
            mode = ::syscall(SYS_get_mempolicy, &found, nullptr, 0, nullptr, 0) == 0 ? found : -errno;
        });
        group.wait();
        return mode.load();
    };
    auto const one = nr::shards_options{}.count(1).processors({0});
    auto const inherited = policy_of(one);
    if (inherited < 0) {
        BOOST_TEST_MESSAGE("the kernel has no policies, or a container keeps them from us");
        return;
    }
    BOOST_TEST(inherited == MPOL_DEFAULT);
    auto const local = policy_of(nr::shards_options{one}.numa(nr::numa_policy::local));
    BOOST_TEST((local == MPOL_LOCAL || local == MPOL_PREFERRED)); // before 5.14
    BOOST_TEST(policy_of(nr::shards_options{one}.numa(nr::numa_policy::strict)) == MPOL_BIND);
    BOOST_CHECK_EXCEPTION(policy_of(nr::shards_options{}.count(1).numa(nr::numa_policy::strict)), nr::system_error,
                          [](auto const& e) { return e.code() == nr::error::conflicting_options; });
}

BOOST_AUTO_TEST_CASE(each_runs_on_its_processor_and_halts) {
    lab::pair const wire;
    auto group = wire.right.enter(
        [&] { return nr::shards{nr::shards_options{}.count(2).processors({0}), nr::capture_group{small()}}; });
    std::atomic<int> began{0};
    group.start([&](nr::shard<nr::capture> self) { // without a coroutine
        auto source = std::make_shared<nr::shard_source<nr::capture>>(self.source());
        auto batch = std::make_shared<nr::packet_batch>();
        ++began;
        source->async_receive(*batch, [source, batch](nr::error_code, std::size_t) {});
    });
    std::vector<int> processors;
    group.visit([&](std::size_t) { processors.push_back(::sched_getcpu()); });
    BOOST_TEST(processors == (std::vector<int>{0, 0}));
    BOOST_TEST(began == 2);
    group.halt();
    group.wait();
    group.visit([&](std::size_t i) { processors.push_back(static_cast<int>(i)); });
    BOOST_TEST(processors.size() == 4U);
}

BOOST_AUTO_TEST_SUITE_END()
