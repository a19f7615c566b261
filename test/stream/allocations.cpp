#include "decode/craft.hpp"
#include <netring_asio/capture.hpp>
#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/subscriptions.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <lab/allocations.hpp>
#include <lab/lab.hpp>
#include <optional>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace sub = netring_asio::subscription;
using namespace std::chrono_literals;

namespace {

/// Packets of the same 64 flows again and again, each time so much later that all of them have ended and start anew.
class returning_flows {
public:
    using executor_type = net::any_io_executor;

    explicit returning_flows(executor_type executor)
        : executor_{std::move(executor)}
        , store_{std::make_unique<store>()} {}

    executor_type get_executor() const noexcept { return executor_; }
    void cancel() {}
    void close() {}

    bool try_receive(nr::packet_batch& batch) {
        batch.reset();
        for (auto& view : store_->views)
            view.time += std::chrono::minutes{3};
        batch = {store_->views, store_.get()};
        return true;
    }
    template <class Token>
    auto async_receive(nr::packet_batch& batch, Token&& token) {
        return net::async_initiate<Token, void(nr::error_code, std::size_t)>(
            [this](auto handler, nr::packet_batch* out) {
                this->try_receive(*out);
                nr::detail::complete_immediately(executor_, std::move(handler), nr::error_code{}, out->size());
            },
            token, &batch);
    }

private:
    struct store : nr::packet_owner {
        store() {
            for (unsigned port = 1; port <= 64; ++port)
                frames.push_back(test::craft{9}.udp(port, 53).ipv4("10.0.0.9", "10.0.0.2", 17).ethernet(0x0800));
            for (auto const& frame : frames) {
                views.push_back(frame.view());
                views.back().time = nr::timestamp{std::chrono::hours{400'000}};
            }
        }
        void recycle() noexcept override {}
        std::vector<test::craft> frames;
        std::vector<nr::packet_view> views;
    };

    executor_type executor_;
    std::unique_ptr<store> store_;
};

} // namespace

BOOST_AUTO_TEST_CASE(a_million_packets_that_start_and_end_flows_take_no_allocation) {
    net::io_context context{1};
    nr::flow_stream flows{returning_flows{context.get_executor()}, nr::flow::five_tuple{}};
    std::uint64_t events_seen = 0, allocations = 1;
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void> {
            nr::flow::event_batch events;
            while (flows.statistics().packets < 100'000)
                co_await flows.async_receive(events, net::use_awaitable);
            lab::allocation_counter const counter;
            while (flows.statistics().packets < 1'100'000)
                events_seen += co_await flows.async_receive(events, net::use_awaitable);
            allocations = counter.here();
        },
        net::detached);
    context.run();
    BOOST_TEST_MESSAGE("figure: 1000000 packets, " << events_seen << " flow events, " << allocations << " allocations");
    BOOST_TEST(events_seen > 1'900'000U);
    BOOST_TEST(allocations == 0U);
}

namespace {

/// A capture on a context of its own, and a thread that sends the same frame from other ports and addresses, each the
/// first of a flow. Counts the allocations of many.
class live {
public:
    explicit live(test::craft frame)
        : bytes{std::move(frame.bytes())} {
        watchdog.async_wait([this](nr::error_code error) {
            if (!error)
                context.stop();
        });
    }

    nr::capture capture() {
        nr::capture result{context};
        wire.right.enter([&] {
            result.open(
                nr::capture_options{"right"}.block_size(16 << 10).block_count(2048).block_timeout(1ms).ignore_outgoing(
                    true));
        });
        return result;
    }

    /// Whether the counting is over, after so many packets; asked more than once of a batch it says nothing.
    bool count(std::uint64_t packets) {
        if (packets == std::exchange(seen, packets))
            return false;
        if (packets < warm_up / 2) // so that blocks fill up
            std::this_thread::sleep_for(5ms);
        if (!counter && packets >= warm_up)
            counter.emplace();
        if (packets < warm_up + total)
            return false;
        allocations = counter->here();
        context.stop();
        return true;
    }

    std::uint64_t run(std::string_view what) {
        std::jthread const sender{[this](std::stop_token stop) {
            auto const socket = wire.left.enter([] { return ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); });
            sockaddr_ll to{};
            to.sll_family = AF_PACKET;
            to.sll_ifindex = static_cast<int>(wire.left.index());
            for (unsigned i = 0; !stop.stop_requested(); ++i) {
                bytes[29] = static_cast<std::uint8_t>(i);
                bytes[34] = static_cast<std::uint8_t>(i >> 16);
                bytes[35] = static_cast<std::uint8_t>(i >> 8);
                ::sendto(socket, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr const*>(&to), sizeof to);
            }
            ::close(socket);
        }};
        context.run();
        BOOST_TEST_MESSAGE("figure: " << total << " packets of the interface, each of them a flow, " << what << ", "
                                      << allocations << " allocations");
        return allocations;
    }

    static constexpr std::uint64_t warm_up = 20'000, total = 30'000;

    lab::pair wire;
    net::io_context context{1};

private:
    std::vector<std::uint8_t> bytes;
    net::steady_timer watchdog{context, 120s};
    std::optional<lab::allocation_counter> counter;
    std::uint64_t seen = 0, allocations = 1;
};

auto few_flows() { return nr::flow::tracker_options{}.max_flows(256); }

struct live_flows : live {
    live_flows()
        : live{test::craft{26}.udp(1, 53).ipv4("10.0.0.9", "10.0.0.2", 17).ethernet(0x0800)} {}
    bool count() { return live::count(flows.statistics().packets); }

    nr::flow_stream<nr::capture> flows{capture(), nr::flow::five_tuple{}, few_flows()};
    nr::flow::event_batch events;
};

} // namespace

BOOST_AUTO_TEST_CASE(from_the_interface_to_a_callback_nothing_is_allocated, *lab::available()) {
    live_flows live;
    struct loop {
        live_flows& in;
        void operator()(nr::error_code error, std::size_t) const {
            if (!error && !in.count())
                in.flows.async_receive(in.events, *this);
        }
    };
    live.flows.async_receive(live.events, loop{live});
    BOOST_TEST(live.run("to a callback") == 0U);
}

BOOST_AUTO_TEST_CASE(nor_to_a_coroutine, *lab::available()) {
    live_flows live;
    net::co_spawn(
        live.context,
        [&]() -> net::awaitable<void> {
            do
                co_await live.flows.async_receive(live.events, net::use_awaitable);
            while (!live.count());
        },
        net::detached);
    BOOST_TEST(live.run("to a coroutine") == 0U);
}

namespace {

/// Attempts to connect, and subscriptions of which some are decided at once and others keep each frame until the
/// connection ends.
struct live_subscriptions : live {
    live_subscriptions()
        : live{test::craft{}.tcp(1, 80, 2).ipv4("10.0.0.9", "10.0.0.2", 6).ethernet(0x0800).pad(6)} {}
    bool count() { return live::count(interest.tracking().packets); }

    static sub::expression wants(char const* text) { return sub::expression{text}; }

    nr::subscriptions<nr::capture> interest{capture(), sub::engine_options{}.tracking(few_flows())};
    std::uint64_t frames = 0, connections = 0;
};

} // namespace

BOOST_AUTO_TEST_CASE(nor_to_the_functions_of_subscriptions, *lab::available()) {
    live_subscriptions live;
    auto const frames = live.interest.subscribe(sub::packets{live.wants("tcp.port = 80")}, [&](sub::packet const&) {
        ++live.frames;
        live.count();
    });
    auto const undecided =
        live.interest.subscribe(sub::packets{live.wants("http.host = 'a'")}, [](sub::packet const&) {});
    auto const ended = live.interest.subscribe(sub::connections{live.wants("tcp and not tls")},
                                               [&](sub::connection const&) { ++live.connections; });
    live.interest.async_run([](nr::error_code) {});
    BOOST_TEST(live.run("to functions") == 0U);
    BOOST_TEST(live.frames >= live.total);
    BOOST_TEST(live.connections >= live.total);
}

BOOST_AUTO_TEST_CASE(nor_from_subscriptions_to_coroutines_and_callbacks, *lab::available()) {
    live_subscriptions live;
    auto frames = live.interest.subscribe(sub::packets{live.wants("tcp.port = 80")});
    auto const undecided =
        live.interest.subscribe(sub::packets{live.wants("http.host = 'a'")}, [](sub::packet const&) {});
    auto ended = live.interest.subscribe(sub::connections{live.wants("tcp and not tls")});
    net::co_spawn(
        live.context,
        [&]() -> net::awaitable<void> {
            decltype(frames)::batch batch;
            do
                live.frames += co_await frames.async_receive(batch, net::use_awaitable);
            while (!live.count());
        },
        net::detached);
    decltype(ended)::batch batch;
    struct loop {
        decltype(ended)& from;
        decltype(ended)::batch& into;
        std::uint64_t& connections;
        void operator()(nr::error_code error, std::size_t count) const {
            connections += count;
            if (!error)
                from.async_receive(into, *this);
        }
    };
    ended.async_receive(batch, loop{ended, batch, live.connections});
    live.interest.async_run([](nr::error_code) {});
    BOOST_TEST(live.run("from subscriptions to a coroutine and a callback") == 0U);
    BOOST_TEST(live.frames >= live.total);
    BOOST_TEST(live.connections >= live.total);
}
