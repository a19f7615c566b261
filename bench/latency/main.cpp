#include "receivers.hpp"

#include <boost/program_options.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <iomanip>
#include <iostream>
#include <lab/lab.hpp>
#include <map>
#include <system_error>
#include <thread>

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

ages measure(lab::pair const& wire, stamping_sender& sender, bench::latency_candidate const& candidate,
             std::uint64_t count, bool same_processor) {
    std::uint64_t const warm_up = std::min<std::uint64_t>(count, 200);
    std::atomic<std::uint64_t> seen{0};
    std::atomic<bool> open{false};
    ages result;
    result.reserve(count);
    auto receiving = std::async(std::launch::async, [&] {
        bind_to(1);
        auto const receiver = wire.right.enter([&] { return candidate.open("right"); });
        open = true;
        receiver->run([&](std::int64_t age) {
            if (seen.load(std::memory_order_relaxed) >= warm_up)
                result.push_back(age);
            return seen.fetch_add(1) + 1 != warm_up + count;
        });
    });
    bind_to(same_processor ? 1 : 0);
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

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

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
        "netring", po::value(&netring), "the program of bench/peers/netring");
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
    lab::pair const wire;
    stamping_sender sender{wire.left, wire.right};
    for (bool const same_processor : {false, true}) {
        std::map<std::string, ages> all;
        std::map<std::string, std::vector<double>> medians;
        for (std::size_t round = 0; round != rounds; ++round)
            for (std::size_t i = 0; i != candidates.size(); ++i) {
                auto const& candidate = candidates[(i + round) % candidates.size()];
                if (candidate.spins && same_processor)
                    continue;
                auto const found = measure(wire, sender, candidate, samples / candidate.divisor, same_processor);
                medians[candidate.name].push_back(quantile(found, 0.5));
                all[candidate.name].insert(all[candidate.name].end(), found.begin(), found.end());
            }
        std::cout << (same_processor ? "\non the same processor " : "on another processor  ")
                  << "    samples      p50      p99    p99.9  p50 beside\n"
                  << std::fixed << std::setprecision(2);
        for (auto const& candidate : candidates) {
            auto& found = all[candidate.name];
            if (found.empty())
                continue;
            std::sort(found.begin(), found.end());
            std::vector<double> ratios, differences;
            for (std::size_t i = 0; i != rounds; ++i) {
                ratios.push_back(medians[candidate.name][i] / medians[candidate.beside][i]);
                differences.push_back(medians[candidate.name][i] - medians[candidate.beside][i]);
            }
            std::cout << std::left << std::setw(23) << candidate.name << std::right << std::setw(9) << found.size();
            for (double const at : {0.5, 0.99, 0.999})
                std::cout << std::setw(9) << quantile(found, at);
            std::cout << "  " << median(ratios) << " of " << candidate.beside << ", " << std::showpos
                      << median(differences) << std::noshowpos << '\n';
        }
    }
} catch (std::exception const& error) {
    std::cerr << "bench.latency: " << error.what() << '\n';
    return EXIT_FAILURE;
}
