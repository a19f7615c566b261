#include "../afpacket/support.hpp"
#include "library.hpp"
#include <netring_asio/capture.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/test/unit_test.hpp>

#include <memory>
#include <optional>
#include <random>
#include <semaphore>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <tuple>

namespace net = boost::asio;
namespace ex = library;
using ex::use_sender;

namespace {

/// A context that runs on a thread of its own, and a capture on it.
class capturing {
public:
    capturing() {
        wire.right.enter([&] { capture.open(roomy()); });
    }
    ~capturing() {
        net::post(context, [this] { capture.close(); });
        work.reset();
        thread.join();
    }

    auto scheduler() { return nr::executor_scheduler{capture.get_executor(), use_sender}; }
    /// An operation that is begun where the capture lives.
    auto receive(nr::packet_batch& batch) {
        return ex::starts_on(scheduler(), capture.async_receive(batch, use_sender));
    }
    void send(std::uint64_t first, std::uint64_t count = 1) {
        lab::send_numbered(wire.left, wire.right, {.count = count, .first = first});
    }

    lab::pair wire;
    net::io_context context{1};
    nr::capture capture{context};
    net::executor_work_guard<net::io_context::executor_type> work{context.get_executor()};
    std::thread thread{[this] { context.run(); }};
};

template <class Sender>
std::error_code error_of(Sender sender) {
    try {
        ex::sync_wait(std::move(sender));
    } catch (std::system_error const& failure) {
        return failure.code();
    }
    return {};
}

/// How an operation ended, told by a receiver of the test's own.
struct ending {
    enum { nothing, value, error, stopped } how = nothing;
    std::thread::id thread;
    std::binary_semaphore done{0};

    void is(decltype(how) what) noexcept {
        how = what;
        thread = std::this_thread::get_id();
        done.release();
    }
    void wait() {
        if (!done.try_acquire_for(std::chrono::minutes{1}))
            throw std::runtime_error{"the operation did not end"};
    }
};

struct recorder {
    using receiver_concept = ex::receiver_tag;
    ending* to;
    ex::stop_env environment{};

    template <class... Values>
    void set_value(Values&&...) && noexcept {
        to->is(ending::value);
    }
    void set_error(std::error_code) && noexcept { to->is(ending::error); }
    void set_error(std::exception_ptr) && noexcept { to->is(ending::error); }
    void set_stopped() && noexcept { to->is(ending::stopped); }
    ex::stop_env get_env() const noexcept { return environment; }
};

} // namespace

BOOST_AUTO_TEST_SUITE(programs, *lab::available())

BOOST_AUTO_TEST_CASE(results_are_values_and_complete_where_the_object_lives) {
    capturing on;
    on.send(0);
    nr::packet_batch batch;
    auto const result = ex::sync_wait(ex::then(on.capture.async_receive(batch, use_sender), [](std::size_t count) {
        return std::pair{count, std::this_thread::get_id()};
    }));
    BOOST_TEST_REQUIRE(result.has_value());
    BOOST_TEST(std::get<0>(*result).first == 1U);
    BOOST_TEST((std::get<0>(*result).second == on.thread.get_id()));
    BOOST_TEST(batch.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_program_begins_where_the_object_lives) {
    capturing on;
    auto const result = ex::sync_wait(ex::then(on.scheduler().schedule(), [] { return std::this_thread::get_id(); }));
    BOOST_TEST_REQUIRE(result.has_value());
    BOOST_TEST((std::get<0>(*result) == on.thread.get_id()));
    BOOST_TEST((on.scheduler() == on.scheduler()));
}

BOOST_AUTO_TEST_CASE(errors_are_errors_of_the_standard_library) {
    net::io_context context;
    auto const work = net::make_work_guard(context);
    std::jthread const thread{[&](std::stop_token) { context.run(); }};
    nr::capture closed{context};
    nr::packet_batch batch;
    BOOST_TEST(
        (error_of(closed.async_receive(batch, use_sender)) == std::error_code{make_error_code(nr::error::not_open)}));
    auto const recovered =
        ex::sync_wait(ex::let_error(ex::then(closed.async_receive(batch, use_sender), [](std::size_t) { return 1; }),
                                    [](auto) { return ex::just(2); }));
    BOOST_TEST(std::get<0>(recovered.value()) == 2);
    auto const both = ex::sync_wait(closed.async_receive(batch, net::as_tuple(use_sender)));
    BOOST_TEST((std::get<0>(both.value()) == std::tuple{nr::error_code{nr::error::not_open}, std::size_t{0}}));
    context.stop();
}

BOOST_AUTO_TEST_CASE(an_object_makes_senders_by_default) {
    net::io_context context;
    nr::packet_batch batch;
    auto closed = use_sender.as_default_on(nr::basic_capture<net::io_context::executor_type>{context});
    ending end;
    auto operation = ex::connect(closed.async_receive(batch), recorder{&end});
    ex::start(operation);
    context.run();
    end.wait();
    BOOST_TEST((end.how == ending::error));
}

BOOST_AUTO_TEST_CASE(what_is_cancelled_is_stopped) {
    capturing on;
    nr::packet_batch batch;
    ending end;
    auto operation = ex::connect(on.receive(batch), recorder{&end});
    ex::start(operation);
    net::post(on.context, [&] { on.capture.cancel(); });
    end.wait();
    BOOST_TEST((end.how == ending::stopped));
}

BOOST_AUTO_TEST_CASE(what_fails_stops_its_sibling) {
    capturing on;
    nr::packet_batch one, other;
    for (int i = 0; i != 300; ++i) {
        auto const error =
            error_of(ex::starts_on(on.scheduler(), ex::when_all(on.capture.async_receive(one, use_sender),
                                                                on.capture.async_receive(other, use_sender))));
        if (error != std::errc::operation_in_progress)
            BOOST_TEST_REQUIRE(i == -1, "iteration " << i << ": " << error.message());
    }
    on.send(5);
    BOOST_TEST(std::get<0>(ex::sync_wait(on.receive(one)).value()) == 1U);
}

#ifndef SENDER_LIBRARY_HAS_NO_WHEN_ANY
BOOST_AUTO_TEST_CASE(what_ends_first_stops_the_other) {
    capturing on;
    nr::packet_batch batch;
    net::steady_timer timer{on.context};
    auto const race = [&](std::chrono::milliseconds limit) {
        timer.expires_after(limit);
        auto const result = ex::sync_wait(ex::starts_on(
            on.scheduler(), ex::when_any(on.capture.async_receive(batch, use_sender),
                                         ex::then(timer.async_wait(use_sender), [] { return std::size_t{99}; }))));
        return std::get<0>(result.value());
    };
    BOOST_TEST(race(std::chrono::milliseconds{5}) == 99U);
    on.send(7, 3);
    BOOST_TEST(race(std::chrono::minutes{1}) == 3U);
    BOOST_TEST(batch.size() == 3U);
}
#endif

BOOST_AUTO_TEST_CASE(coroutines_await_senders) {
    capturing on;
    std::vector<std::uint64_t> numbers;
    auto const program = [](capturing& in, std::vector<std::uint64_t>& seen) -> ex::task<int> {
        nr::packet_batch batch;
        for (std::uint64_t i = 0; i != 20; ++i) {
            in.send(i);
            co_await in.receive(batch);
            append_numbers(seen, batch);
        }
        batch.reset();
        try {
            nr::capture closed{in.capture.get_executor()};
            co_await closed.async_receive(batch, use_sender);
        } catch (std::system_error const& failure) {
            co_return failure.code() == std::error_code{make_error_code(nr::error::not_open)} ? 42 : 1;
        }
        co_return 0;
    };
    auto const result = ex::sync_wait(program(on, numbers));
    BOOST_TEST(std::get<0>(result.value()) == 42);
    BOOST_TEST(numbers == numbers_up_to(20));
}

BOOST_AUTO_TEST_CASE(what_is_abandoned_is_stopped) {
    lab::pair const wire;
    nr::packet_batch batch;
    ending receiving, scheduled;
    auto context = std::make_unique<net::io_context>();
    auto capture = std::make_unique<nr::capture>(*context);
    wire.right.enter([&] { capture->open(small()); });
    auto operation = ex::connect(capture->async_receive(batch, use_sender), recorder{&receiving});
    auto schedule =
        ex::connect(nr::executor_scheduler{context->get_executor(), use_sender}.schedule(), recorder{&scheduled});
    ex::start(operation);
    ex::start(schedule);
    capture.reset();
    BOOST_TEST((receiving.how == ending::nothing));
    context.reset();
    BOOST_TEST((receiving.how == ending::stopped));
    BOOST_TEST((scheduled.how == ending::stopped));
}

BOOST_AUTO_TEST_CASE(what_is_to_stop_does_not_start) {
    net::io_context context;
    nr::capture closed{context};
    nr::packet_batch batch;
    ex::stop_source source;
    source.request_stop();
    ending end;
    auto operation = ex::connect(closed.async_receive(batch, use_sender), recorder{&end, {source.get_token()}});
    ex::start(operation);
    BOOST_TEST((end.how == ending::stopped));
}

BOOST_AUTO_TEST_CASE(stop_requests_race_with_packets_and_lose_none) {
    constexpr std::uint64_t total = 20'000;
    capturing on;
    std::vector<std::uint64_t> numbers;
    std::mt19937 random{7};
    int stopped = 0, values = 0, elsewhere = 0;
    auto sender = lab::start_sender(on.wire.left, on.wire.right, {.count = total, .rate = 10'000});
    auto const end_of_patience = std::chrono::steady_clock::now() + std::chrono::minutes{2};
    while (numbers.size() < total && std::chrono::steady_clock::now() < end_of_patience) {
        nr::packet_batch batch;
        ex::stop_source source;
        ending end;
        bool const here = random() % 4 == 0; // started on this thread, as nobody else touches the capture
        auto const watch = [&](auto operation_sender) {
            auto operation = ex::connect(std::move(operation_sender), recorder{&end, {source.get_token()}});
            ex::start(operation);
            for (auto const at = std::chrono::steady_clock::now() + std::chrono::microseconds{random() % 600};
                 std::chrono::steady_clock::now() < at;)
                std::this_thread::yield();
            source.request_stop();
            end.wait();
        };
        if (here)
            watch(on.capture.async_receive(batch, use_sender));
        else
            watch(on.receive(batch));
        stopped += end.how == ending::stopped;
        values += end.how == ending::value;
        elsewhere += end.thread != on.thread.get_id();
        append_numbers(numbers, batch);
    }
    BOOST_TEST_MESSAGE("figure: " << values << " receives completed, " << stopped << " were stopped, " << numbers.size()
                                  << " packets");
    BOOST_TEST(numbers == numbers_up_to(total));
    BOOST_TEST(stopped > 0);
    BOOST_TEST(values > 0);
    BOOST_TEST(elsewhere == 0);
}

BOOST_AUTO_TEST_SUITE_END()
