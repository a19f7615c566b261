#include <netring_asio/capture.hpp>
#include <netring_asio/injector.hpp>
#include <netring_asio/pacer.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <asio/conformance.hpp>
#include <cmath>
#include <exception>
#include <fstream>
#include <lab/lab.hpp>
#include <lab/numbered.hpp>
#include <pacer/windows.hpp>
#include <utility>
#include <vector>

namespace {

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

/// A clock that goes only when it is told to.
struct set_clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<set_clock>;
    [[maybe_unused]] static constexpr bool is_steady = true;

    static time_point now() noexcept { return time_; }
    static void advance(duration by) noexcept { time_ += by; }

private:
    static inline time_point time_{1h};
};

} // namespace

/// Has Asio look at that clock often.
template <>
struct boost::asio::wait_traits<set_clock> {
    static set_clock::duration to_wait_duration(set_clock::duration left) {
        return std::min<set_clock::duration>(left, 200us);
    }
    static set_clock::duration to_wait_duration(set_clock::time_point end) {
        return to_wait_duration(end - set_clock::now());
    }
};

namespace {

/// One packet each second of a clock that stands still.
struct acquire {
    static constexpr std::chrono::milliseconds latency{1};
    using pacer_type = nr::basic_pacer<net::any_io_executor, set_clock>;

    pacer_type make(net::any_io_executor executor) {
        pacer_type made{std::move(executor), nr::pacer_options{}.packets_per_second(1)};
        made.try_acquire(1, 60);
        return made;
    }
    template <class Pacer, class... Token>
    auto start(Pacer& pacer, Token&&... token) {
        return pacer.async_acquire(1, 60, std::forward<Token>(token)...);
    }
    void make_ready() { set_clock::advance(1s); }
    void take_back() { set_clock::advance(-1s); }
};

/// Sends numbered frames as the pacer lets them, those together that may go together.
net::awaitable<void> send_paced(nr::injector& injector, nr::pacer& pacer, std::vector<std::byte> frame,
                                std::uint64_t count) {
    std::vector<net::const_buffer> frames;
    for (std::uint64_t sent = 0; sent < count; sent += frames.size()) {
        co_await pacer.async_acquire(1, frame.size(), net::use_awaitable);
        frames.assign(1, net::buffer(frame));
        while (frames.size() < 64 && sent + frames.size() < count && pacer.try_acquire(1, frame.size()))
            frames.push_back(net::buffer(frame));
        co_await injector.async_send_frames(frames, net::use_awaitable);
    }
    co_await injector.async_drain(net::use_awaitable);
}

/// How long the calling thread waited for a processor until now.
std::chrono::nanoseconds time_without_processor() {
    std::ifstream statistics{"/proc/thread-self/schedstat"};
    std::chrono::nanoseconds::rep run = 0, waited = 0;
    statistics >> run >> waited;
    return std::chrono::nanoseconds{waited};
}

/// When the frames came, as the kernel at the other end stamped them. Its ring holds all of them, so that nobody needs
/// a processor beside the sender.
std::vector<std::chrono::nanoseconds> arrivals(std::uint64_t rate, std::chrono::seconds length) {
    lab::pair const wire;
    net::io_context context;
    nr::capture capture{context};
    wire.right.enter(
        [&] { capture.open(nr::capture_options{"right"}.block_size(1 << 20).block_count(96).block_timeout(200ms)); });
    nr::injector injector{context};
    wire.left.enter([&] { injector.open(nr::injector_options{"left"}); });
    nr::pacer pacer{context, nr::pacer_options{}.packets_per_second(rate)};
    auto const count = rate * static_cast<std::uint64_t>(length.count());
    std::vector<std::byte> frame(60);
    frame[12] = std::byte{0x88};
    frame[13] = std::byte{0xb5};
    net::co_spawn(context, send_paced(injector, pacer, std::move(frame), count), [](std::exception_ptr failure) {
        if (failure)
            std::rethrow_exception(failure);
    });
    context.run();
    BOOST_TEST(wire.right.counters().rx_packets == count);
    std::vector<std::chrono::nanoseconds> times;
    nr::packet_batch batch;
    while (times.size() != count && capture.receive(batch, 1s) != 0)
        for (auto const& packet : batch)
            times.push_back(packet.time.time_since_epoch());
    BOOST_TEST(times.size() == count);
    return times;
}

} // namespace

BOOST_AUTO_TEST_SUITE(pacer)

BOOST_AUTO_TEST_CASE(async_acquire) { conformance::verify<acquire>(); }

BOOST_AUTO_TEST_CASE(without_a_rate_nothing_is_held_back) {
    net::io_context context;
    nr::pacer pacer{context};
    for (int i = 0; i != 1'000; ++i)
        BOOST_REQUIRE(pacer.try_acquire(1'000'000, 1'000'000'000));
    BOOST_CHECK_THROW((nr::pacer{context, nr::pacer_options{}.packets_per_second(0)}), nr::system_error);
}

BOOST_AUTO_TEST_CASE(a_changed_rate_holds_for_what_is_pending_and_gives_no_new_burst) {
    net::io_context context;
    acquire::pacer_type pacer{context, nr::pacer_options{}.packets_per_second(1)};
    BOOST_TEST(pacer.try_acquire(1, 60));
    auto granted = pacer.async_acquire(1, 60, net::use_future);
    set_clock::advance(10ms);
    pacer.set_options(nr::pacer_options{}.packets_per_second(100));
    context.run_for(20ms);
    BOOST_TEST((granted.wait_for(0s) == std::future_status::timeout));
    BOOST_TEST(!pacer.try_acquire(1, 60)); // while one is pending
    set_clock::advance(10ms);
    context.run();
    granted.get();
    BOOST_TEST(!pacer.try_acquire(1, 60));
    nr::error_code ec;
    pacer.set_options(nr::pacer_options{}.bits_per_second(1), ec);
    BOOST_TEST((ec == nr::error::invalid_option));
    BOOST_TEST(pacer.options().packets_per_second().value_or(0) == 100U);
    pacer.set_options(nr::pacer_options{});
    BOOST_TEST(pacer.try_acquire(1'000'000, 0));
}

BOOST_AUTO_TEST_CASE(acquiring_blocks_without_a_context) {
    net::io_context context;
    nr::pacer pacer{context, nr::pacer_options{}.packets_per_second(1'000, 1)};
    auto const start = std::chrono::steady_clock::now();
    for (int i = 0; i != 51; ++i)
        pacer.acquire(1, 60);
    BOOST_TEST((std::chrono::steady_clock::now() - start >= 50ms - nr::detail::token_bucket::patience));
}

BOOST_AUTO_TEST_CASE(frames_arrive_at_the_rate_in_every_window, *lab::available()) {
    for (auto const rate : {1'000U, 200'000U}) {
        // Who gets no processor cannot keep a rate, but must not exceed it either.
        bool held_up = true;
        deviation worst{0, 1};
        for (int attempt = 0; attempt != 5 && worst.under > 0; ++attempt) {
            auto const before = time_without_processor();
            worst = worst_windows(arrivals(rate, 2s), rate);
            held_up = time_without_processor() - before > 10ms;
            BOOST_TEST(worst.over <= 0, rate << ": " << worst.over << " packets more than allowed");
        }
        BOOST_TEST((worst.under <= 0 || held_up), rate << ": " << worst.under << " packets fewer than allowed");
        if (worst.under > 0)
            BOOST_TEST_MESSAGE("figure: at " << rate << " packets a second the machine was too busy to tell");
        else
            BOOST_TEST_MESSAGE("figure: at " << rate << " packets a second every window of a second and more is within "
                                             << 2 + 100 * worst.worst() / rate << " %");
    }
}

BOOST_AUTO_TEST_SUITE_END()
