// Subscriptions over sources, as Asio's users have them.

#include "afpacket/support.hpp"
#include "stream/memory_source.hpp"
#include "subscription/wire.hpp"
#include <netring_asio/capture.hpp>
#include <netring_asio/subscriptions.hpp>

#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/test/unit_test.hpp>

#include <asio/conformance.hpp>
#include <cstring>
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
}

// The same frames from memory, and captured with and without a filter in the kernel.
BOOST_AUTO_TEST_CASE(live_and_pushed_down_the_deliveries_are_the_same, *lab::available()) {
    talk(20);
    for (unsigned i = 0; i != 20; ++i)
        connection(50000 + i, 443).open().send(0, "x").close();
    auto const needed = views.size();
    for (unsigned i = 0; i != 20; ++i)
        connection(30000 + i, 9999).open().send(0, "x").close(); // what nobody wants
    auto const unneeded = views.size() - needed;
    udp(true, 5000, 6000, "x");
    udp(false, 5000, 6000, "y");
    packet(test::craft{40}.ethernet(0x0806));
    auto const wanted = {"tcp.port = 80 and http.host = 'a'", "tcp.port = 443 and not http", "udp.port = 6000",
                         "tcp.port in {80, 443} and tcp.syn and conn.packets > 3"};
    auto const deliver = [&](auto interest, auto feed) {
        std::vector<std::vector<std::string>> result(wanted.size());
        std::vector<std::shared_ptr<void>> all;
        std::size_t place = 0;
        for (auto const* text : wanted)
            all.push_back(interest.subscribe(wants(text), [&result, at = place++](sub::packet const& p) {
                auto const bytes = p.frame->data;
                result[at].emplace_back(reinterpret_cast<char const*>(bytes.data()), bytes.size());
            }));
        interest.async_run([](nr::error_code) {});
        feed(interest);
        return result;
    };
    context.restart();
    auto const expected = deliver(over_memory(), [&](auto&) { context.run(); });
    lab::pair const net;
    std::size_t passed[2] = {};
    for (bool const pushed : {false, true}) {
        context.restart();
        nr::capture capture{context};
        net.right.enter([&] { capture.open(roomy().ignore_outgoing(true)); });
        auto const got = deliver(nr::subscriptions{std::move(capture)}, [&](auto& interest) {
            if (pushed)
                interest.push_down(true);
            for (auto const& view : views) {
                std::vector<std::uint8_t> bytes(view.data.size());
                std::memcpy(bytes.data(), view.data.data(), bytes.size());
                net.left.send(bytes);
            }
            auto const patience = std::chrono::steady_clock::now() + std::chrono::seconds{30};
            std::size_t left = 1;
            while (left != 0 && std::chrono::steady_clock::now() < patience) {
                context.restart();
                context.run_for(std::chrono::milliseconds{20});
                auto const seen = interest.tracking();
                left = seen.packets >= needed + (pushed ? 0 : unneeded) && seen.ended >= (pushed ? 40U : 60U) ? 0 : 1;
            }
            context.run_for(std::chrono::milliseconds{50});
            passed[pushed ? 1 : 0] = interest.tracking().packets;
            interest.close();
            context.restart();
            context.poll();
        });
        for (std::size_t i = 0; i != expected.size(); ++i)
            BOOST_TEST((got[i] == expected[i]), *(wanted.begin() + static_cast<std::ptrdiff_t>(i))
                                                    << (pushed ? ", pushed down: " : ": ") << got[i].size()
                                                    << " instead of " << expected[i].size());
    }
    BOOST_TEST_MESSAGE("figure: " << expected.size() << " subscriptions deliver the same from memory, live, and live "
                                  << "behind a filter in the kernel, which took " << passed[0] - passed[1] << " of "
                                  << passed[0] << " frames away");
    BOOST_TEST(passed[0] > passed[1]);
}

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

} // namespace

BOOST_AUTO_TEST_CASE(async_run, *lab::available()) { conformance::verify<run>(); }

BOOST_AUTO_TEST_SUITE_END()
