#include "decode/craft.hpp"
#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/flow_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <lab/allocations.hpp>
#include <vector>

namespace net = boost::asio;
namespace nr = netring_asio;

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
