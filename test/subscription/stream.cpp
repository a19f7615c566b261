// Subscriptions over sources, as Asio's users have them.

#include "afpacket/support.hpp"
#include "stream/memory_source.hpp"
#include "subscription/live.hpp"
#include "subscription/wire.hpp"
#include <netring_asio/capture.hpp>
#include <netring_asio/subscriptions.hpp>
#include <netring_asio/tapped.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <asio/conformance.hpp>
#include <cstring>
#include <lab/numbered.hpp>
#include <optional>
#include <set>
#include <thread>

namespace {

using test::ack;
using test::fin;
using test::syn;
namespace net = boost::asio;
namespace sub = netring_asio::subscription;

struct fixture : test::wire {
    auto over_memory(std::size_t batch = 2) {
        for (std::size_t i = 0; i < views.size(); i += batch)
            store->batches.emplace_back(views.begin() + static_cast<std::ptrdiff_t>(i),
                                        views.begin() + static_cast<std::ptrdiff_t>(std::min(views.size(), i + batch)));
        return nr::subscriptions{test::memory_source<>{context.get_executor(), store}};
    }
    static auto wants(std::string_view text) { return sub::packets{sub::expression{text}}; }
    void talk(unsigned connections) {
        for (unsigned i = 0; i != connections; ++i)
            connection(40000 + i, 80)
                .open()
                .send(0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .send(1, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .close();
    }

    net::io_context context;
    std::shared_ptr<test::packet_store> store = std::make_shared<test::packet_store>();
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(subscription_stream, fixture)

// One fragment again and again is kept no more often than other frames are.
BOOST_AUTO_TEST_CASE(a_datagram_that_never_ends_is_bounded) {
    for (int i = 0; i != 1000; ++i)
        packet(test::craft{"01234567"}.udp(5000, 6000).ipv4("10.0.0.1", "10.0.0.2", 17, 0x2000, 1).ethernet(0x0800));
    test::ledger memory;
    sub::engine engine;
    auto const wanted = engine.subscribe(wants("ip.fragment"));
    test::track(engine, views, memory);
    std::vector<sub::packet> told;
    wanted->take(told);
    BOOST_TEST(told.size() >= 1000 - engine.options().max_frames() - 1);
    std::vector<sub::packet> rest;
    test::flush(engine);
    wanted->take(rest);
    BOOST_TEST(told.size() + rest.size() == 1000u);
}

BOOST_AUTO_TEST_CASE(items_come_to_receives_and_functions_until_the_end) {
    talk(10);
    auto interest = over_memory();
    auto frames_of = interest.subscribe(wants("http.host = 'a'"));
    std::size_t told = 0;
    auto const connections =
        interest.subscribe(sub::connections{sub::expression{"http"}}, [&](sub::connection const&) { ++told; });
    std::optional<nr::error_code> ended;
    interest.async_run([&](nr::error_code error) { ended = error; });
    std::size_t received = 0;
    nr::error_code last;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            decltype(frames_of)::batch batch;
            while (!last) {
                auto const [error, count] = co_await frames_of.async_receive(batch, net::as_tuple(net::use_awaitable));
                received += count;
                last = error;
            }
        },
        [](std::exception_ptr) {});
    context.run();
    BOOST_TEST(received == views.size());
    BOOST_TEST(told == 10u);
    BOOST_TEST((last == net::error::eof));
    BOOST_TEST((ended == nr::error_code{}));
}

BOOST_AUTO_TEST_CASE(a_function_may_end_what_is_parsed_for_others) {
    talk(3);
    for (unsigned i = 0; i != 3; ++i)
        connection(50000 + i, 80).open(); // is looked at for a request still
    auto interest = over_memory(100);
    std::size_t requests = 0, connections = 0, parsed = 0;
    auto wanted = interest.subscribe(sub::sessions{sub::expression{"http"}}, [&](sub::session const&) { ++requests; });
    auto const ended = interest.subscribe(sub::connections{}, [&](sub::connection const&) {
        parsed += interest.statistics().sessions;
        wanted.reset();
        BOOST_TEST(interest.statistics().sessions == 0U);
        ++connections;
    });
    interest.async_run([](nr::error_code) {});
    context.run();
    BOOST_TEST(parsed == 3U);
    BOOST_TEST(requests == 3U);
    BOOST_TEST(connections == 6U);
}

BOOST_AUTO_TEST_CASE(a_full_subscription_holds_the_source_up) {
    talk(10);
    auto interest = over_memory(1);
    auto slow = interest.subscribe(wants("tcp").max_waiting(5));
    auto other = interest.subscribe(wants("tcp"));
    bool ended = false;
    interest.async_run([&](nr::error_code) { ended = true; });
    context.poll();
    BOOST_TEST(!ended);
    BOOST_TEST(slow.statistics().delivered == 5u);
    decltype(slow)::batch batch;
    BOOST_TEST(slow.try_receive(batch));
    BOOST_TEST(batch.size() == 5u);
    context.poll();
    BOOST_TEST(slow.statistics().delivered == 10u);
    BOOST_TEST(!ended);
    slow.unsubscribe();
    context.poll();
    BOOST_TEST(ended);
    BOOST_TEST(other.statistics().delivered == views.size());
    BOOST_TEST(slow.try_receive(batch));
    BOOST_TEST(batch.size() == 5u);
}

BOOST_AUTO_TEST_CASE(a_run_that_is_cancelled_goes_on_where_it_was) {
    talk(10);
    auto interest = over_memory(1);
    auto slow = interest.subscribe(wants("tcp").max_waiting(5));
    nr::error_code first;
    interest.async_run([&](nr::error_code error) { first = error; });
    context.poll();
    interest.cancel();
    context.poll();
    BOOST_TEST((first == net::error::operation_aborted));
    std::set<std::size_t> all;
    bool ended = false;
    context.restart();
    interest.async_run([&](nr::error_code) { ended = true; });
    decltype(slow)::batch batch;
    for (int i = 0; i != 1000 && (!ended || slow.try_receive(batch)); ++i) {
        for (auto const& p : batch)
            BOOST_TEST(all.insert(number_of(*p.frame)).second);
        batch.reset();
        slow.try_receive(batch);
        for (auto const& p : batch)
            BOOST_TEST(all.insert(number_of(*p.frame)).second);
        batch.reset();
        context.poll();
    }
    BOOST_TEST(ended);
    BOOST_TEST(all.size() == views.size());
}

BOOST_AUTO_TEST_CASE(items_go_through_a_channel_to_another_thread) {
    talk(20);
    auto interest = over_memory();
    auto wanted = interest.subscribe(wants("http").max_waiting(10));
    using batch = decltype(wanted)::batch;
    net::io_context elsewhere;
    net::experimental::concurrent_channel<void(nr::error_code, batch)> channel{elsewhere, 2};
    std::size_t received = 0;
    nr::error_code last;
    net::co_spawn(
        elsewhere,
        [&]() -> net::awaitable<void> {
            while (!last) {
                auto [error, items] = co_await channel.async_receive(net::as_tuple(net::use_awaitable));
                received += items.size();
                last = error;
            }
        },
        [](std::exception_ptr) {});
    nr::error_code piped = net::error::would_block;
    wanted.async_pipe(channel, [&](nr::error_code error) { piped = error; });
    interest.async_run([](nr::error_code) {});
    std::thread reader{[&] { elsewhere.run_for(std::chrono::seconds{60}); }};
    context.run_for(std::chrono::seconds{60});
    reader.join();
    BOOST_TEST(received == views.size());
    BOOST_TEST((last == net::error::eof));
    BOOST_TEST(!piped);
}

BOOST_AUTO_TEST_CASE(what_a_slow_channel_loses_is_for_the_policy_to_say) {
    using sub::overflow;
    talk(10);
    for (auto const policy : {overflow::pause, overflow::drop_newest, overflow::drop_oldest}) {
        store = std::make_shared<test::packet_store>();
        auto interest = over_memory(1);
        auto wanted = interest.subscribe(wants("tcp").max_waiting(5).when_full(policy));
        using batch = decltype(wanted)::batch;
        net::experimental::channel<void(nr::error_code, batch)> channel{context, 1};
        wanted.async_pipe(channel, net::detached);
        interest.async_run(net::detached);
        context.restart();
        context.poll(); // nobody reads yet
        BOOST_TEST((wanted.statistics().matched < views.size()) == (policy == overflow::pause));
        std::vector<std::size_t> numbers;
        std::uint64_t dropped = 0;
        net::co_spawn(
            context,
            [&]() -> net::awaitable<void> {
                for (nr::error_code last; !last;) {
                    auto [error, items] = co_await channel.async_receive(net::as_tuple(net::use_awaitable));
                    for (auto const& p : items)
                        numbers.push_back(number_of(*p.frame));
                    dropped += items.dropped();
                    last = error;
                }
            },
            [](std::exception_ptr) {});
        context.restart();
        context.run();
        BOOST_TEST(numbers.size() + dropped == views.size());
        BOOST_TEST(wanted.statistics().dropped == dropped);
        BOOST_TEST((dropped == 0) == (policy == overflow::pause));
        BOOST_TEST(std::ranges::is_sorted(numbers));
        BOOST_TEST((numbers.back() == views.size() - 1) == (policy != overflow::drop_newest));
    }
}

BOOST_AUTO_TEST_CASE(what_waits_outlives_the_subscriptions) {
    talk(1);
    std::optional interest{over_memory()};
    auto wanted = interest->subscribe(wants("tcp"));
    auto nothing = interest->subscribe(wants("udp"));
    interest->async_run([](nr::error_code) {});
    context.poll();
    decltype(nothing)::batch batch;
    store->ends = false;
    nr::error_code first;
    nothing.async_receive(batch, [&](nr::error_code error, std::size_t) { first = error; });
    nr::error_code second;
    nothing.async_receive(batch, [&](nr::error_code error, std::size_t) { second = error; });
    interest.reset();
    context.restart();
    context.poll();
    BOOST_TEST((first == net::error::operation_aborted || first == net::error::eof));
    BOOST_TEST((second == nr::error::operation_in_progress || second == net::error::eof));
    BOOST_TEST(wanted.try_receive(batch));
    BOOST_TEST(batch.size() == 8u);
    nr::error_code third;
    wanted.async_receive(batch, [&](nr::error_code error, std::size_t) { third = error; });
    context.restart();
    context.poll();
    BOOST_TEST((third == net::error::operation_aborted || third == net::error::eof), third);
}

BOOST_AUTO_TEST_CASE(live_and_pushed_down_the_deliveries_are_the_same, *lab::available()) {
    test::interest_in_traffic traffic;
    auto const expected = traffic.from_memory(traffic.all, 1000);
    std::size_t frames_of = 0;
    for (auto const& text : traffic.all) {
        auto const& of_one = expected.at(text);
        frames_of += of_one.size();
        BOOST_TEST((text.find("5353") != text.npos || !of_one.empty()), text);
        auto const alone = traffic.from_memory({text}, 7);
        BOOST_TEST((alone.at(text) == of_one), text);
    }
    for (std::size_t const batch : {1U, 33U})
        traffic.check(expected, traffic.from_memory(traffic.all, batch), "batches of " + std::to_string(batch));
    lab::pair const net;
    std::uint64_t passed[2] = {};
    for (bool const pushed : {false, true}) {
        context.restart();
        nr::capture capture{context};
        net.right.enter([&] { capture.open(roomy().ignore_outgoing(true)); });
        auto const got = traffic.live(context, std::move(capture), net.left, traffic.all, pushed);
        traffic.check(expected, got, pushed ? "pushed down" : "live");
        passed[pushed ? 1 : 0] = traffic.seen;
    }
    BOOST_TEST_MESSAGE("figure: " << traffic.all.size() << " subscriptions deliver the same " << frames_of
                                  << " frames, and connections, from memory in batches of 1, 7, 33 and 1000, alone and "
                                  << "together, live, and live behind a filter in the kernel, which took "
                                  << passed[0] - passed[1] << " of " << passed[0] << " frames away");
    BOOST_TEST(passed[0] > passed[1]);
}

BOOST_AUTO_TEST_CASE(frames_held_for_ever_stop_nothing_and_outlive_capture_and_context, *lab::available()) {
    constexpr unsigned count = 2000;
    constexpr std::size_t budget = 4; // blocks
    lab::pair const hosts;
    std::vector<sub::packet> kept;
    {
        net::io_context own;
        nr::capture capture{own};
        hosts.right.enter([&] { capture.open(small().block_count(16).pin_budget(budget)); });
        nr::subscriptions interest{std::move(capture)};
        auto wanted = interest.subscribe(wants("ethernet.type = 0x88b5"));
        interest.async_run([](nr::error_code) {});
        decltype(wanted)::batch batch;
        auto const patience = std::chrono::steady_clock::now() + std::chrono::seconds{60};
        for (unsigned sent = 0; sent != count;) {
            lab::send_numbered(hosts.left, hosts.right, {.count = 100, .first = sent});
            sent += 100;
            while (kept.size() < sent && std::chrono::steady_clock::now() < patience) {
                own.restart();
                own.run_for(std::chrono::milliseconds{1});
                if (wanted.try_receive(batch))
                    kept.insert(kept.end(), batch.begin(), batch.end());
            }
        }
        batch = {};
        BOOST_TEST(interest.source().statistics().held_blocks <= budget + 1); // and the one that is read
        auto const& told = wanted.statistics();
        BOOST_TEST(told.pinned + told.promoted == count);
        BOOST_TEST(told.pinned != 0U);
        BOOST_TEST(told.promoted != 0U);
        BOOST_TEST_MESSAGE("figure: " << count << " frames held over a capture, " << told.pinned
                                      << " of them pinned and " << told.promoted << " copied; none was lost");
    }
    BOOST_TEST_REQUIRE(kept.size() == count);
    for (unsigned i = 0; i != count; ++i)
        BOOST_TEST(lab::frame_number(kept[i].frame->data).value() == i);
    std::thread{[&] { kept.clear(); }}.join(); // the ring proves at its end that all came back
}

BOOST_AUTO_TEST_CASE(who_reads_the_source_besides_gets_everything, *lab::available()) {
    lab::pair const net;
    nr::capture capture{context};
    net.right.enter([&] { capture.open(roomy().ignore_outgoing(true)); });
    nr::subscriptions interest{std::move(capture)};
    auto const wanted = interest.subscribe(wants("tcp.port = 80"));
    interest.push_down(true);
    BOOST_TEST(!interest.source().options().filter().empty());
    {
        auto const shared = interest.share_source();
        auto const again = interest.share_source();
        auto const other = interest.subscribe(wants("tcp.port = 81"));
        BOOST_TEST(interest.source().options().filter().empty());
    }
    BOOST_TEST(!interest.source().options().filter().empty());
}

// What others see the packets of cannot be pushed down to.
template <class Source>
concept can_push_down = requires(nr::subscriptions<Source>& s) { s.push_down(true); };
static_assert(can_push_down<nr::capture>);
static_assert(!can_push_down<nr::tapped<nr::capture>>);
static_assert(!can_push_down<test::memory_source<>>);

namespace {

/// Runs over a live capture.
struct run {
    static constexpr bool endless = true;
    static lab::pair const& hosts() {
        static lab::pair const instance;
        return instance;
    }
    auto make(net::any_io_executor executor) {
        nr::capture capture{std::move(executor)};
        hosts().right.enter([&] { capture.open(small()); });
        return nr::subscriptions{std::move(capture)};
    }
    template <class Stream, class... Token>
    auto start(Stream& stream, Token&&... token) {
        return stream.async_run(std::forward<Token>(token)...);
    }
};

/// A subscription and what it is of, made when it is first used: until then it may change its executor.
template <class Source>
class watched {
public:
    using executor_type = typename Source::executor_type;
    template <class Executor>
    struct rebind_executor {
        using other = watched<typename Source::template rebind_executor<Executor>::other>;
    };

    explicit watched(Source source)
        : interest{std::move(source)} {}
    template <class Other>
        requires(!std::same_as<Other, Source>)
    watched(watched<Other>&& other) // NOLINT: as I/O objects have it
        : interest{std::move(other.interest)} {}

    executor_type get_executor() const noexcept { return interest.get_executor(); }
    void cancel() { wanted().cancel(); }
    void close() { wanted().unsubscribe(); }
    auto& wanted() {
        if (!wanted_) {
            wanted_.emplace(interest.subscribe(sub::packets{}));
            interest.async_run([](nr::error_code) {});
        }
        return *wanted_;
    }

    nr::subscriptions<Source> interest;

private:
    std::optional<nr::subscriber<sub::packets, executor_type>> wanted_;
};

/// Frames of a live capture, each of which is wanted.
struct receive_items : run {
    static constexpr bool endless = false;
    static constexpr std::chrono::milliseconds latency{5};

    nr::flow::batch_of<sub::packet> items;

    auto make(net::any_io_executor executor) {
        nr::capture capture{std::move(executor)};
        hosts().right.enter([&] { capture.open(small()); });
        return watched{std::move(capture)};
    }
    template <class Object, class... Token>
    auto start(Object& from, Token&&... token) {
        return from.wanted().async_receive(items, std::forward<Token>(token)...);
    }
    void make_ready() { lab::send_numbered(hosts().left, hosts().right, {}); }
};

struct pipe_items : receive_items {
    static constexpr bool endless = true;

    net::io_context other;
    net::experimental::channel<void(nr::error_code, nr::flow::batch_of<sub::packet>)> channel{other, 100};

    template <class Object, class... Token>
    auto start(Object& from, Token&&... token) {
        return from.wanted().async_pipe(channel, std::forward<Token>(token)...);
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(async_run, *lab::available()) { conformance::verify<run>(); }
BOOST_AUTO_TEST_CASE(subscriber_async_receive, *lab::available()) { conformance::verify<receive_items>(); }
BOOST_AUTO_TEST_CASE(subscriber_async_pipe, *lab::available()) { conformance::verify<pipe_items>(); }

BOOST_AUTO_TEST_SUITE_END()
