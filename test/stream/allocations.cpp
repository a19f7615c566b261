#include "decode/craft.hpp"
#include <netring_asio/capture.hpp>
#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/flow_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstring>
#include <lab/allocations.hpp>
#include <lab/lab.hpp>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace net = boost::asio;
namespace nr = netring_asio;
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

/// Starts and evicts a flow with each packet that another thread sends, and counts the allocations of a million.
class live_flows {
public:
    live_flows() {
        nr::capture capture{context};
        wire.right.enter([&] {
            capture.open(nr::capture_options{"right"}.block_size(16 << 10).block_count(2048).block_timeout(1ms));
        });
        flows.emplace(std::move(capture), nr::flow::five_tuple{}, nr::flow::tracker_options{}.max_flows(256));
        watchdog.async_wait([this](nr::error_code error) {
            if (!error)
                context.stop();
        });
    }

    /// Whether the counting is over.
    bool count() {
        auto const packets = flows->statistics().packets;
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

    std::uint64_t run() {
        std::jthread const sender{[this](std::stop_token stop) {
            auto const crafted = test::craft{26}.udp(1, 53).ipv4("10.0.0.9", "10.0.0.2", 17).ethernet(0x0800);
            auto const view = crafted.view().data;
            std::vector<std::uint8_t> frame(view.size());
            std::memcpy(frame.data(), view.data(), view.size());
            auto const socket = wire.left.enter([] { return ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); });
            sockaddr_ll to{};
            to.sll_family = AF_PACKET;
            to.sll_ifindex = static_cast<int>(wire.left.index());
            for (unsigned i = 0; !stop.stop_requested(); ++i) {
                frame[29] = static_cast<std::uint8_t>(i);
                frame[34] = static_cast<std::uint8_t>(i >> 16);
                frame[35] = static_cast<std::uint8_t>(i >> 8);
                ::sendto(socket, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr const*>(&to), sizeof to);
            }
            ::close(socket);
        }};
        context.run();
        BOOST_TEST_MESSAGE("figure: " << total << " packets of the interface, each of them a flow, " << allocations
                                      << " allocations");
        return allocations;
    }

    static constexpr std::uint64_t warm_up = 20'000, total = 60'000;

    lab::pair wire;
    net::io_context context{1};
    net::steady_timer watchdog{context, 60s};
    std::optional<nr::flow_stream<nr::capture>> flows;
    nr::flow::event_batch events;
    std::optional<lab::allocation_counter> counter;
    std::uint64_t allocations = 1;
};

} // namespace

BOOST_AUTO_TEST_CASE(from_the_interface_to_a_callback_nothing_is_allocated, *lab::available()) {
    live_flows live;
    struct loop {
        live_flows& in;
        void operator()(nr::error_code error, std::size_t) const {
            if (!error && !in.count())
                in.flows->async_receive(in.events, *this);
        }
    };
    live.flows->async_receive(live.events, loop{live});
    BOOST_TEST(live.run() == 0U);
}

BOOST_AUTO_TEST_CASE(nor_to_a_coroutine, *lab::available()) {
    live_flows live;
    net::co_spawn(
        live.context,
        [&]() -> net::awaitable<void> {
            do
                co_await live.flows->async_receive(live.events, net::use_awaitable);
            while (!live.count());
        },
        net::detached);
    BOOST_TEST(live.run() == 0U);
}
