#include "receivers.hpp"

#include <boost/program_options.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <lab/lab.hpp>
#include <limits>
#include <map>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

namespace nr = netring_asio;
using ages = std::vector<std::int64_t>;

void bind_to(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(processor), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0)
        throw std::system_error{errno, std::generic_category(), "sched_setaffinity"};
}

void become_real_time() {
    sched_param const lowest{.sched_priority = 1};
    if (::sched_setscheduler(0, SCHED_FIFO, &lowest) != 0)
        throw std::system_error{errno, std::generic_category(), "sched_setscheduler"};
}

/// Sends a stamped frame, waits until it was seen, pauses so that the receiver is asleep, and so on.
class stamping_sender {
public:
    explicit stamping_sender(lab::side const& at, lab::side const& to) {
        at.enter([&] {
            socket_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
            address_.sll_ifindex = static_cast<int>(::if_nametoindex(at.name().c_str()));
        });
        address_.sll_family = AF_PACKET;
        std::copy(to.address().begin(), to.address().end(), frame_.begin());
        std::copy(at.address().begin(), at.address().end(), frame_.begin() + 6);
        frame_[12] = 0x88;
        frame_[13] = 0xb5;
    }
    ~stamping_sender() { ::close(socket_); }

    void send(std::uint64_t count, std::atomic<std::uint64_t> const& seen) {
        timespec const pause{0, 30'000};
        for (std::uint64_t i = 0; i != count; ++i) {
            ::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
            auto const now = bench::monotonic_now();
            std::memcpy(frame_.data() + bench::stamp_offset, &now, sizeof now);
            if (::sendto(socket_, frame_.data(), frame_.size(), 0, reinterpret_cast<sockaddr const*>(&address_),
                         sizeof address_) < 0)
                throw std::system_error{errno, std::generic_category(), "sendto"};
            for (auto const late = now + 2'000'000'000; seen.load() <= i;) {
                ::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
                if (bench::monotonic_now() > late) {
                    std::cerr << "bench.latency: a frame was not seen within two seconds\n";
                    std::_Exit(EXIT_FAILURE); // the receiver waits for it
                }
            }
        }
    }

private:
    int socket_ = -1;
    sockaddr_ll address_{};
    std::array<std::uint8_t, 60> frame_{};
};

/// Where the sender is, and whether the receiver takes the processor from it as soon as it is woken. Without, each
/// candidate is let in before the sender sleeps as often as the scheduler finds fair, which is half the time or more.
struct setting {
    char const* name;
    bool same_processor;
    bool real_time;
};

ages measure(lab::pair const& wire, stamping_sender& sender, bench::latency_candidate const& candidate,
             std::uint64_t count, setting const& where) {
    std::uint64_t const warm_up = std::min<std::uint64_t>(count, 200);
    std::atomic<std::uint64_t> seen{0};
    std::atomic<bool> open{false};
    ages result;
    result.reserve(count);
    auto receiving = std::async(std::launch::async, [&] {
        bind_to(1);
        if (where.real_time)
            become_real_time();
        auto const receiver = wire.right.enter([&] { return candidate.open("right"); });
        open = true;
        receiver->run([&](std::int64_t age) {
            if (seen.load(std::memory_order_relaxed) >= warm_up)
                result.push_back(age);
            return seen.fetch_add(1) + 1 != warm_up + count;
        });
    });
    bind_to(where.same_processor ? 1 : 0);
    while (!open)
        if (receiving.wait_for(std::chrono::milliseconds{1}) == std::future_status::ready)
            receiving.get();
    sender.send(warm_up + count, seen);
    receiving.get();
    std::sort(result.begin(), result.end());
    return result;
}

double quantile(ages const& sorted, double at) {
    return static_cast<double>(sorted[static_cast<std::size_t>(at * static_cast<double>(sorted.size() - 1))]) / 1000;
}

double quantile(std::vector<double> values, double at) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(at * static_cast<double>(values.size() - 1))];
}
double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

template <class Combine>
std::vector<double> combine(std::vector<double> const& left, std::vector<double> const& right, Combine how) {
    std::vector<double> result;
    std::transform(left.begin(), left.end(), right.begin(), std::back_inserter(result), how);
    return result;
}

/// What the median of the rounds may be at most, beside the bare loop.
struct aim {
    char const* where;
    char const* candidate;
    double ratio;
    double more; // microseconds
};
constexpr double any = std::numeric_limits<double>::infinity();
constexpr std::array aims{aim{"on another processor", "capture, callback", 1.1, any},
                          aim{"on another processor", "capture, spin_always", any, 0.3},
                          aim{"the same, SCHED_FIFO", "capture, callback", any, 1.5}};

} // namespace

int main(int argc, char** argv) try {
    namespace po = boost::program_options;
    std::size_t rounds = 0;
    std::uint64_t samples = 0;
    std::string netring;
    po::options_description described{"Time from a sender's stamp to a receiver's handler, in microseconds. Options"};
    described.add_options()("help", "prints this")("rounds", po::value(&rounds)->default_value(20),
                                                   "interleaved rounds")(
        "samples", po::value(&samples)->default_value(5'000),
        "frames of each receiver in a round, a fiftieth of them where each takes milliseconds")(
        "netring", po::value(&netring), "the program of bench/peers/netring")("check", "fails where an aim is missed");
    po::variables_map values;
    po::store(po::parse_command_line(argc, argv, described), values);
    po::notify(values);
    if (values.count("help") != 0) {
        std::cout << described;
        return EXIT_SUCCESS;
    }

    auto const options = [](std::string const& interface) { return nr::capture_options{interface}; };
    auto const fast = [&](std::string const& interface) {
        return options(interface).profile(nr::capture_profile::low_latency);
    };
    using bench::bare_wait;
    std::vector<bench::latency_candidate> candidates{
        {"bare loop", "bare loop", 1, false, [](auto& i) { return bench::open_bare_loop(i, bare_wait::poll); }},
        {"bare loop again", "bare loop", 1, false, [](auto& i) { return bench::open_bare_loop(i, bare_wait::poll); }},
        {"bare loop, Asio", "bare loop", 1, false, [](auto& i) { return bench::open_bare_loop(i, bare_wait::asio); }},
        {"capture, callback", "bare loop", 1, false, [&](auto& i) { return bench::open_capture(fast(i)); }},
        {"capture, coroutine", "bare loop", 1, false, [&](auto& i) { return bench::open_coroutine(fast(i)); }},
        {"capture, spin 50 us", "bare loop", 1, true,
         [&](auto& i) { return bench::open_capture(fast(i).spin(std::chrono::microseconds{50})); }},
        {"capture, balanced", "bare loop", 50, false, [&](auto& i) { return bench::open_capture(options(i)); }},
        {"libpcap, immediate", "bare loop", 1, false, [](auto& i) { return bench::open_pcap(i); }},
        {"xdp_socket", "bare loop", 1, false,
         [](auto& i) { return bench::open_xdp(nr::xdp_options{i}.take_everything()); }},
        {"bare spin", "bare spin", 1, true, [](auto& i) { return bench::open_bare_loop(i, bare_wait::spin); }},
        {"bare spin again", "bare spin", 1, true, [](auto& i) { return bench::open_bare_loop(i, bare_wait::spin); }},
        {"capture, spin_always", "bare spin", 1, true,
         [&](auto& i) { return bench::open_capture(fast(i).spin(nr::spin_always)); }},
        {"coroutine, spin_always", "bare spin", 1, true,
         [&](auto& i) { return bench::open_coroutine(fast(i).spin(nr::spin_always)); }},
        {"capture, try_receive", "bare spin", 1, true, [&](auto& i) { return bench::open_trying(fast(i)); }},
    };
    if (!netring.empty())
        candidates.push_back(
            {"netring, Tokio", "bare loop", 50, false, [&](auto& i) { return bench::open_netring(i, netring); }});
    bool met = true;
    lab::pair const wire;
    stamping_sender sender{wire.left, wire.right};
    for (setting const& where :
         {setting{"on another processor", false, false}, setting{"on the same processor", true, false},
          setting{"the same, SCHED_FIFO", true, true}}) {
        std::map<std::string, ages> all;
        std::map<std::string, std::vector<double>> medians, slowest;
        for (std::size_t round = 0; round != rounds; ++round)
            for (std::size_t i = 0; i != candidates.size(); ++i) {
                auto const& candidate = candidates[(i + round) % candidates.size()];
                if (candidate.spins && where.same_processor)
                    continue;
                auto const found = measure(wire, sender, candidate, samples / candidate.divisor, where);
                medians[candidate.name].push_back(quantile(found, 0.5));
                slowest[candidate.name].push_back(quantile(found, 0.99));
                all[candidate.name].insert(all[candidate.name].end(), found.begin(), found.end());
            }
        std::cout << '\n'
                  << std::left << std::setw(23) << where.name << "  samples      p50      p99    p99.9  p50 beside\n"
                  << std::fixed << std::setprecision(2);
        for (auto const& candidate : candidates) {
            auto& found = all[candidate.name];
            if (found.empty())
                continue;
            std::sort(found.begin(), found.end());
            auto const ratio =
                median(combine(medians[candidate.name], medians[candidate.beside], std::divides<double>{}));
            auto const more = median(combine(medians[candidate.name], medians[candidate.beside], std::minus<double>{}));
            std::cout << std::left << std::setw(23) << candidate.name << std::right << std::setw(9) << found.size();
            for (double const at : {0.5, 0.99, 0.999})
                std::cout << std::setw(9) << quantile(found, at);
            std::cout << "  " << ratio << " of " << candidate.beside << ", " << std::showpos << more << std::noshowpos
                      << '\n';
            for (auto const& wanted : aims) {
                if (wanted.where != std::string_view{where.name} ||
                    wanted.candidate != std::string_view{candidate.name})
                    continue;
                // Nine of ten rounds of the same program twice differ by less than this.
                std::string const again = std::string{candidate.beside} + " again";
                auto const spread = quantile(combine(slowest[again], slowest[candidate.beside],
                                                     [](double a, double b) { return std::abs(a - b); }),
                                             0.9);
                auto const slower =
                    median(combine(slowest[candidate.name], slowest[candidate.beside], std::minus<double>{}));
                bool const good = ratio <= wanted.ratio && more <= wanted.more && slower <= spread;
                std::cout << "    aim: "
                          << (wanted.ratio < any ? "1.10 of it"
                              : wanted.more < 1  ? "+0.30"
                                                 : "+1.50")
                          << ", and p99 " << std::showpos << slower << std::noshowpos << " within the " << spread
                          << " of the same loop twice: " << (good ? "met" : "MISSED") << '\n';
                met &= good;
            }
        }
    }
    return met || values.count("check") == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (std::exception const& error) {
    std::cerr << "bench.latency: " << error.what() << '\n';
    return EXIT_FAILURE;
}
