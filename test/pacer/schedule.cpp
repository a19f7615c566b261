#include <netring_asio/detail/pacing_schedule.hpp>

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <pacer/windows.hpp>
#include <random>
#include <vector>

namespace nr = netring_asio;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

/// A sender on a clock that goes on when it waits.
class sender {
public:
    sender(nr::pacer_options const& options, nanoseconds lateness, unsigned seed)
        : random_{seed}
        , lateness_{lateness} {
        nr::error_code ec;
        schedule_ = {options, now_, true, ec};
        BOOST_REQUIRE(!ec);
    }

    void send(std::uint64_t packets, std::uint64_t bytes) {
        for (bool waited = false; !schedule_.take(packets, bytes, now_, waited); waited = true) {
            ++waits;
            now_ = std::max(now_, schedule_.wake(packets, bytes)) + some(lateness_);
        }
        times.insert(times.end(), packets, now_);
        bits.insert(bits.end(), packets, 8 * bytes / packets);
    }
    void pause(nanoseconds length) { now_ += length; }
    nanoseconds now() const { return now_; }
    /// Mostly short, as timers' lateness is.
    nanoseconds some(nanoseconds most) {
        auto const part = std::uniform_real_distribution{}(random_);
        return nanoseconds{static_cast<std::int64_t>(static_cast<double>(most.count()) * std::pow(part, 8))};
    }
    std::uint64_t draw(std::uint64_t low, std::uint64_t high) {
        return std::uniform_int_distribution<std::uint64_t>{low, high}(random_);
    }

    std::vector<nanoseconds> times;
    std::vector<std::uint64_t> bits;
    std::uint64_t waits = 0;

private:
    std::minstd_rand random_;
    nanoseconds lateness_;
    nanoseconds now_ = 12'345s;
    nr::detail::pacing_schedule schedule_;
};

/// The most that lies in any window beyond what flows in meanwhile.
double largest_burst(sender const& sent, std::vector<std::uint64_t> const& sizes, double rate) {
    double before = 0, least = 0, largest = 0;
    for (std::size_t i = 0; i != sizes.size(); ++i) {
        auto const due = rate * std::chrono::duration<double>{sent.times[i] - sent.times[0]}.count();
        least = i == 0 ? before - due : std::min(least, before - due);
        before += static_cast<double>(sizes[i]);
        largest = std::max(largest, before - due - least);
    }
    return largest;
}

constexpr std::uint64_t rates[] = {10, 33, 49, 100, 333, 499, 700, 1'000, 1'234, 9'999, 50'000, 123'457, 200'000};

} // namespace

BOOST_AUTO_TEST_SUITE(schedule)

BOOST_DATA_TEST_CASE(every_window_of_a_second_or_more_keeps_the_rate, boost::unit_test::data::make(rates), rate) {
    constexpr auto lateness = 8ms; // at the most
    for (bool const in_batches : {false, true}) {
        sender sender{nr::pacer_options{}.packets_per_second(rate), lateness, 17};
        auto const batch = std::max<std::uint64_t>(1, rate / 1'000);
        while (sender.now() < 12'345s + 4s)
            sender.send(in_batches ? sender.draw(1, batch) : 1, 60);
        // A packet that its timer delays lies that much later in the windows that it begins or ends.
        auto const shift = rate < 50 ? static_cast<double>(rate) * std::chrono::duration<double>{lateness}.count() : 0;
        auto const worst = worst_windows(sender.times, static_cast<double>(rate)).worst();
        BOOST_TEST(worst <= shift, "off by " << worst << " packets more than allowed");
        BOOST_TEST(static_cast<double>(sender.waits) <= 2'100 * 4);
    }
}

BOOST_DATA_TEST_CASE(no_more_than_the_burst_goes_at_once_whenever_the_sender_pauses,
                     boost::unit_test::data::make(rates), rate) {
    for (std::uint64_t const burst : {0U, 1U, 7U, 1'000U}) {
        sender sender{nr::pacer_options{}.packets_per_second(rate, burst), 0ns, 3};
        auto const obtained = burst != 0 ? burst : std::max<std::uint64_t>(1, rate / 500);
        for (std::uint64_t i = 0; i != 500; ++i) {
            sender.send(sender.draw(1, std::min<std::uint64_t>(obtained, 50)), 60);
            if (sender.draw(0, 99) == 0)
                sender.pause(nanoseconds{sender.draw(0, 20'000'000'000 / rate * obtained)});
        }
        auto const largest =
            largest_burst(sender, std::vector<std::uint64_t>(sender.times.size(), 1), static_cast<double>(rate));
        BOOST_TEST(largest <= static_cast<double>(obtained) + 0.001);
        BOOST_TEST(largest >= static_cast<double>(obtained) - 1);
    }
}

BOOST_AUTO_TEST_CASE(bits_are_paced_with_the_overhead_of_each_packet) {
    for (std::uint64_t const rate : {9'600ULL, 1'000'000ULL, 100'000'000ULL, 10'000'000'000ULL, 100'000'000'000ULL}) {
        sender sender{nr::pacer_options{}.bits_per_second(rate).packet_overhead(24), 0ns, 5};
        for (int i = 0; i != 20'000; ++i)
            sender.send(1, sender.draw(60, 1'514));
        std::vector<std::uint64_t> sizes;
        std::uint64_t sum = 0;
        for (auto const bits : sender.bits) {
            sizes.push_back(bits + 8 * 24);
            sum += sizes.back();
        }
        auto const burst = std::max(static_cast<double>(rate) / 500, 8.0 * (1'514 + 24));
        BOOST_TEST(largest_burst(sender, sizes, static_cast<double>(rate)) <=
                   burst + 1 + static_cast<double>(rate) * 1e-9);
        auto const seconds = std::chrono::duration<double>{sender.times.back() - sender.times.front()}.count();
        if (static_cast<double>(sum) > 100 * burst)
            BOOST_TEST(std::abs(static_cast<double>(sum) / seconds / static_cast<double>(rate) - 1) < 0.02);
    }
}

BOOST_AUTO_TEST_CASE(the_lower_of_two_rates_holds) {
    auto const options = nr::pacer_options{}.packets_per_second(10'000).bits_per_second(10'000'000);
    sender small{options, 100us, 7}, large{options, 100us, 7};
    for (int i = 0; i != 30'000; ++i)
        small.send(1, 60);
    for (int i = 0; i != 3'000; ++i)
        large.send(1, 1'250);
    BOOST_TEST(worst_windows(small.times, 10'000).worst() <= 0);
    BOOST_TEST(worst_windows(large.times, 1'000).worst() <= 0);
}

BOOST_AUTO_TEST_CASE(rounding_does_not_add_up) {
    sender sender{nr::pacer_options{}.packets_per_second(999'999'937, 1), 0ns, 1}; // a prime number of parts
    for (int i = 0; i != 1'000'000; ++i)
        sender.send(1, 60);
    auto const taken = (sender.times.back() - sender.times.front()).count();
    BOOST_TEST(std::abs(static_cast<double>(taken) - 999'999 * 1e9 / 999'999'937) < 2);
}

BOOST_AUTO_TEST_CASE(what_is_larger_than_the_burst_waits_for_all_of_it_and_is_worked_off) {
    sender sender{nr::pacer_options{}.packets_per_second(1'000, 10), 0ns, 1};
    auto const start = sender.now();
    sender.send(100, 6'000);
    BOOST_TEST((sender.now() == start));
    sender.send(1, 60);
    BOOST_TEST(((sender.now() - start) / 1ms == 91)); // 90 of debt and the one
    sender.send(100, 6'000);
    BOOST_TEST(((sender.now() - start) / 1ms == 101));
}

BOOST_AUTO_TEST_CASE(who_was_late_catches_up_at_once_or_not_at_all) {
    nr::error_code ec;
    for (bool const at_once : {true, false}) {
        auto now = nanoseconds{1s};
        nr::detail::pacing_schedule schedule{nr::pacer_options{}.packets_per_second(1'000, 1), now, false, ec};
        BOOST_TEST(!schedule.take(1, 60, now, false));
        now = schedule.wake(1, 60) + 6ms;
        BOOST_TEST(schedule.take(1, 60, now, true));
        now += at_once ? 0ms : 50ms;
        int caught_up = 0;
        while (schedule.take(1, 60, now, false))
            ++caught_up;
        BOOST_TEST(caught_up == (at_once ? 6 : 1));
    }
}

BOOST_AUTO_TEST_CASE(values_out_of_range_are_refused) {
    auto const refused = [](nr::pacer_options const& options) {
        nr::error_code ec;
        nr::detail::pacing_schedule const schedule{options, 0ns, true, ec};
        return ec == nr::error::invalid_option;
    };
    using options = nr::pacer_options;
    BOOST_TEST(refused(options{}.packets_per_second(0)));
    BOOST_TEST(refused(options{}.packets_per_second(1'000'000'001)));
    BOOST_TEST(refused(options{}.packets_per_second(1, (1ULL << 31) + 1)));
    BOOST_TEST(refused(options{}.bits_per_second(999)));
    BOOST_TEST(refused(options{}.bits_per_second(1'000'000'000'001)));
    BOOST_TEST(refused(options{}.bits_per_second(1'000, (1ULL << 31) + 1)));
    BOOST_TEST(refused(options{}.packet_overhead(1'001)));
    BOOST_TEST(!refused(options{}.packets_per_second(1'000'000'000, 1ULL << 31)));
    BOOST_TEST(!refused(options{}.bits_per_second(1'000'000'000'000, 1ULL << 31).packet_overhead(1'000)));
    BOOST_TEST(!refused(options{}));
}

BOOST_AUTO_TEST_SUITE_END()
