#include "../measure.hpp"
#include "ready_source.hpp"
#include "subjects.hpp"
#include <netring_asio/flow/event_batch.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <sender/library.hpp>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <vector>

namespace bench {
namespace {

namespace net = boost::asio;
using executor = net::io_context::executor_type;

constexpr std::size_t operations = 200'000;
constexpr int rounds = 11;

template <class Executor>
using source = ready_source<Executor>;

template <class Source>
void by_callback(net::io_context& context, Source& from) {
    nr::packet_batch batch;
    struct loop {
        Source* from;
        nr::packet_batch* batch;
        void operator()(nr::error_code ec, std::size_t) const {
            if (!ec)
                from->async_receive(*batch, *this);
        }
    };
    from.async_receive(batch, loop{&from, &batch});
    context.run();
}

template <class Source, class Token>
void by_coroutine(net::io_context& context, Source& from, Token token) {
    net::co_spawn(
        context,
        [&]() -> net::awaitable<void, typename Source::executor_type> {
            nr::packet_batch batch;
            for (nr::error_code ec; !ec;)
                std::tie(ec, std::ignore) = co_await from.async_receive(batch, token);
        },
        net::detached);
    context.run();
}

/// Starts an operation of a sender library after the other.
template <class Source>
struct sender_loop {
    struct receiver {
        using receiver_concept = library::receiver_tag;
        sender_loop* self;
        void set_value(std::tuple<nr::error_code, std::size_t> result) noexcept {
            if (!std::get<0>(result))
                self->start();
        }
        void set_error(auto&&) noexcept {}
        void set_stopped() noexcept {}
        library::stop_env get_env() const noexcept { return {}; }
    };
    auto connect() {
        return library::connect(from->async_receive(batch, net::as_tuple(library::use_sender)), receiver{this});
    }
    void start() {
        at = 1 - at;
        auto& next = both[static_cast<std::size_t>(at)];
        next.reset();
        next.emplace(library::in_place{[this] { return connect(); }});
        library::start(next->operation);
    }

    // Held by a class of their own, because of what the operation's type depends on.
    struct holder {
        template <class Make>
        explicit holder(Make make)
            : operation(make) {}
        library::operation_of<decltype(std::declval<Source&>().async_receive(std::declval<nr::packet_batch&>(),
                                                                             net::as_tuple(library::use_sender))),
                              receiver>
            operation;
    };
    Source* from;
    nr::packet_batch batch;
    std::array<std::optional<holder>, 2> both; // one is still running while it says that it is over
    int at = 0;
};

template <class Source>
void by_sender(net::io_context& context, Source& from) {
    sender_loop<Source> all{&from, {}, {}};
    all.start();
    context.run();
}

double median_of(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

template <class Executor, class Run>
double cost_of_operation(std::span<nr::packet_view const> packets, Run run) {
    std::vector<double> all;
    for (int i = 0; i != rounds; ++i) {
        net::io_context context{1};
        source<Executor> from{context.get_executor(), packets, 1};
        auto const before = thread_cpu_time();
        run(context, from);
        all.push_back((thread_cpu_time() - before).count() / static_cast<double>(packets.size()));
    }
    return median_of(all);
}

void line(char const* what, double value, char const* unit) {
    std::cout << "  " << std::left << std::setw(52) << what << std::right << std::fixed << std::setprecision(1)
              << std::setw(9) << value << ' ' << unit << '\n';
}

/// A stand-in for what a stream does when events wait for a receive: fills a batch of storage from its pool.
template <class Event>
class event_source {
public:
    event_source(executor to, std::size_t total, std::size_t batch_size)
        : executor_{to}
        , left_{total}
        , batch_size_{batch_size} {}

    flow::batch_of<Event> make() {
        auto const count = std::min(left_, batch_size_);
        left_ -= count;
        auto storage = pool_->take();
        storage.reserve(batch_size_);
        for (std::size_t i = 0; i != count; ++i)
            storage.emplace_back(model_).flow_id = ++number_;
        return {std::move(storage), pool_};
    }
    template <class Token>
    auto async_receive(flow::batch_of<Event>& out, Token&& token) {
        return net::async_initiate<Token, void(nr::error_code, std::size_t)>(
            [this](auto handler, flow::batch_of<Event>* batch) {
                batch->reset();
                *batch = make();
                nr::detail::complete_immediately(executor_, std::move(handler),
                                                 batch->empty() ? nr::error_code{net::error::eof} : nr::error_code{},
                                                 batch->size());
            },
            token, &out);
    }

private:
    executor executor_;
    std::size_t left_, batch_size_;
    std::uint64_t number_ = 0;
    Event model_;
    std::shared_ptr<flow::detail::event_pool<Event>> pool_ = std::make_shared<flow::detail::event_pool<Event>>();
};

template <class Event>
std::uint64_t sum_of(flow::batch_of<Event> const& batch) {
    std::uint64_t sum = 0;
    for (auto const& e : batch)
        sum += e.flow_id;
    return sum;
}

struct record { // a cache line: what a consumer of its own might make of a packet
    std::uint64_t flow_id = 0;
    std::array<std::uint64_t, 7> rest{};
};

constexpr std::size_t event_count = 4'000'000;
constexpr std::uint64_t expected_sum = std::uint64_t{event_count} * (event_count + 1) / 2;

void check(std::uint64_t sum) {
    if (sum != expected_sum)
        throw std::runtime_error{"events were lost"};
}

/// Millions of events a second of this thread's CPU time, or of wall time where another consumes.
template <class Event>
double through_receive(std::size_t batch_size) {
    std::vector<double> all;
    for (int i = 0; i != rounds; ++i) {
        net::io_context context{1};
        event_source<Event> from{context.get_executor(), event_count, batch_size};
        std::uint64_t sum = 0;
        auto const before = thread_cpu_time();
        net::co_spawn(
            context,
            [&]() -> net::awaitable<void, executor> {
                flow::batch_of<Event> batch;
                for (nr::error_code ec; !ec;) {
                    std::tie(ec, std::ignore) = co_await from.async_receive(batch, net::as_tuple(net::deferred));
                    sum += sum_of(batch);
                }
            },
            net::detached);
        context.run();
        all.push_back(1e3 * event_count / (thread_cpu_time() - before).count());
        check(sum);
    }
    return median_of(all);
}

template <class Event, template <class...> class Channel>
double through_channel(std::size_t batch_size, bool other_thread) {
    using channel = Channel<executor, void(nr::error_code, flow::batch_of<Event>)>;
    std::vector<double> all;
    for (int i = 0; i != rounds; ++i) {
        net::io_context here{1}, there{1};
        event_source<Event> from{here.get_executor(), event_count, batch_size};
        auto& consuming = other_thread ? there : here;
        channel between{consuming.get_executor(), 16};
        std::uint64_t sum = 0;
        net::co_spawn(
            here,
            [&]() -> net::awaitable<void, executor> {
                for (;;) {
                    auto batch = from.make();
                    bool const last = batch.empty();
                    co_await between.async_send(nr::error_code{}, std::move(batch), net::as_tuple(net::deferred));
                    if (last)
                        co_return;
                }
            },
            net::detached);
        net::co_spawn(
            consuming,
            [&]() -> net::awaitable<void, executor> {
                for (;;) {
                    auto const [ec, batch] = co_await between.async_receive(net::as_tuple(net::deferred));
                    if (ec || batch.empty())
                        co_return;
                    sum += sum_of(batch);
                }
            },
            net::detached);
        auto const before = read_clock(CLOCK_MONOTONIC);
        std::thread other;
        if (other_thread)
            other = std::thread{[&] { there.run(); }};
        here.run();
        if (other.joinable())
            other.join();
        all.push_back(1e3 * event_count / nanoseconds{read_clock(CLOCK_MONOTONIC) - before}.count());
        check(sum);
    }
    return median_of(all);
}

} // namespace

outcome measure_operations() {
    std::vector<nr::packet_view> const packets(operations);
    auto const tuple = net::as_tuple(net::use_awaitable_t<executor>{});
    std::cout << "a receive of a batch that is there, one after the other\n";
    line("net::post, the least that Asio takes",
         cost_of_operation<executor>(packets,
                                     [](auto& context, auto&) {
                                         struct loop {
                                             net::io_context* context;
                                             std::size_t left;
                                             void operator()() {
                                                 if (--left != 0)
                                                     net::post(*context, loop{*this});
                                             }
                                         };
                                         net::post(context, loop{&context, operations});
                                         context.run();
                                     }),
         "ns");
    line("callback", cost_of_operation<executor>(packets, [](auto& c, auto& s) { by_callback(c, s); }), "ns");
    line("callback, any_io_executor",
         cost_of_operation<net::any_io_executor>(packets, [](auto& c, auto& s) { by_callback(c, s); }), "ns");
    line("coroutine, use_awaitable",
         cost_of_operation<executor>(packets, [&](auto& c, auto& s) { by_coroutine(c, s, tuple); }), "ns");
    line("coroutine, deferred",
         cost_of_operation<executor>(packets,
                                     [](auto& c, auto& s) { by_coroutine(c, s, net::as_tuple(net::deferred)); }),
         "ns");
    line("sender", cost_of_operation<executor>(packets, [](auto& c, auto& s) { by_sender(c, s); }), "ns");

    constexpr double aim = 40;
    outcome result;
    for (std::size_t const size : {std::size_t{64}, std::size_t{256}}) {
        std::cout << "\nevents, millions a second, " << size << " in a batch, filling them included\n";
        line("64 bytes each, through async_receive, one core", through_receive<record>(size), "M/s");
        line("64 bytes each, through a channel, one core",
             through_channel<record, net::experimental::channel>(size, false), "M/s");
        line("64 bytes each, to another thread",
             through_channel<record, net::experimental::concurrent_channel>(size, true), "M/s");
        auto const received = through_receive<flow::event>(size);
        line("flow::event, through async_receive, one core", received, "M/s");
        result.met = result.met && received >= aim;
        line("flow::event, to another thread",
             through_channel<flow::event, net::experimental::concurrent_channel>(size, true), "M/s");
    }
    std::cout << "  (a flow::event has " << sizeof(flow::event) << " bytes)\n  aim: " << aim
              << " M/s through async_receive, " << (result.met ? "met\n" : "MISSED\n");
    return result;
}

} // namespace bench
