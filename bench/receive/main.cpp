#include "../measure.hpp"
#include "lane.hpp"
#include "receiver.hpp"

#include <boost/program_options.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

// One JSON object a line and measurement, for bench/report.py.
namespace {

using namespace std::chrono_literals;

constexpr int attempts = 5; // how often an invalid measurement is repeated
constexpr auto settling_time = 500ms;
constexpr std::uint64_t warming_up = 50'000; // packets before each measured run
constexpr auto block_timeout = 10ms;
constexpr auto flushing_time = 150ms; // for the last block to close by its timeout and be read
// While a ring is filled to be read later, only full blocks may be closed, or there would be too few.
constexpr auto fill_timeout = 500ms;

bench::candidate const& find_candidate(std::string_view name) {
    for (auto const& candidate : bench::candidates)
        if (candidate.name == name)
            return candidate;
    throw std::invalid_argument{"no such candidate: " + std::string{name}};
}

/// Each round begins with another candidate, and every other round goes backwards.
std::vector<std::size_t> order_of(std::size_t round) {
    std::vector<std::size_t> order(std::size(bench::candidates));
    for (std::size_t i = 0; i != order.size(); ++i)
        order[i] = (i + round / 2) % order.size();
    if (round % 2 != 0)
        std::reverse(order.begin(), order.end());
    return order;
}

/// A candidate in a process of its own: receives until it is interrupted, and prints what came.
int run_receiver(std::string const& name, std::string const& interface) {
    bench::pin_to(bench::receiver_processor);
    auto const receiver = find_candidate(name).make(interface, block_timeout);
    std::cout << "ready" << std::endl;
    receiver->run();
    std::cout << receiver->counted.packets << ' ' << receiver->counted.bytes << ' ' << receiver->counted.sum << ' '
              << receiver->dropped() << '\n';
    return EXIT_SUCCESS;
}

struct paced_result {
    bench::tally counted; // with the warming up
    std::uint64_t dropped = 0;
    bench::usage used;
    bench::seconds time{};
    bench::seconds foreign{};

    bool valid(std::uint64_t sent) const {
        using bench::tally, bench::lane;
        auto const expected =
            tally::of_frames(warming_up, lane::frame_length) + tally::of_frames(sent, lane::frame_length);
        return dropped == 0 ? counted == expected : counted.packets + dropped == expected.packets;
    }
};

paced_result run_paced(bench::lane& lane, char const* name, std::uint64_t count, std::uint64_t rate) {
    auto receiver =
        lane.receiving().start({"/proc/self/exe", "--candidate", name, "--interface", lane.receiving().name()});
    if (!receiver.wait_for_output("ready", 10s))
        throw std::runtime_error{"the receiver did not start: " + receiver.output()};
    std::this_thread::sleep_for(settling_time);
    // What is done once, from loading pages to growing buffers, is done here.
    lane.send(warming_up, rate);
    std::this_thread::sleep_for(flushing_time);

    auto const machine = bench::machine_cpu_time();
    auto const generator = bench::usage::of(::getpid());
    auto const before = bench::usage::of(receiver.id());
    auto const start = std::chrono::steady_clock::now();
    lane.send(count, rate);
    paced_result result;
    result.time = std::chrono::steady_clock::now() - start;
    std::this_thread::sleep_for(flushing_time);
    result.used = bench::usage::of(receiver.id()) - before;
    result.foreign =
        bench::machine_cpu_time() - machine - (bench::usage::of(::getpid()) - generator).cpu - result.used.cpu;

    auto const status = receiver.stop();
    std::istringstream output{receiver.output()};
    std::string ready;
    output >> ready >> result.counted.packets >> result.counted.bytes >> result.counted.sum >> result.dropped;
    if (status != 0 || !output)
        throw std::runtime_error{"the receiver failed: " + receiver.output()};
    return result;
}

void paced(bench::lane& lane, std::size_t rounds, std::uint64_t count, std::uint64_t rate) {
    for (std::size_t round = 0; round != rounds; ++round)
        for (auto const index : order_of(round)) {
            auto const* const name = bench::candidates[index].name;
            auto result = run_paced(lane, name, count, rate);
            for (int repeated = 1; !result.valid(count); ++repeated) {
                if (repeated == attempts)
                    throw std::runtime_error{std::string{name} +
                                             ": what was received and dropped is not what was sent"};
                std::cerr << name << ": sent " << count << ", received " << result.counted.packets << ", dropped "
                          << result.dropped << ": repeated\n";
                result = run_paced(lane, name, count, rate);
            }
            auto const packets = result.counted.packets - std::min(result.counted.packets, warming_up);
            std::cout << R"({"mode": "paced", "rate": )" << rate << R"(, "round": )" << round << R"(, "candidate": ")"
                      << name << R"(", "sent": )" << count << R"(, "received": )" << packets << R"(, "dropped": )"
                      << result.dropped << R"(, "cpu_ns_per_packet": )"
                      << result.used.cpu.count() / static_cast<double>(std::max<std::uint64_t>(packets, 1))
                      << R"(, "wakeups": )" << result.used.wakeups << R"(, "sent_per_second": )"
                      << static_cast<double>(count) / result.time.count() << R"(, "foreign_seconds": )"
                      << result.foreign.count() << "}" << std::endl;
        }
}

/// CPU time for reading a ring that was filled beforehand, or nothing where not all packets came.
std::optional<bench::nanoseconds> run_drain(bench::lane& lane, bench::candidate const& candidate, std::uint64_t count) {
    auto const receiver = lane.receiving().enter([&] { return candidate.make(lane.receiving().name(), fill_timeout); });
    std::this_thread::sleep_for(flushing_time);
    auto const before = lane.receiving().counters().rx_packets;
    lane.send(count, 0);
    std::this_thread::sleep_for(fill_timeout + flushing_time);
    auto const arrived = lane.receiving().counters().rx_packets - before;
    auto const dropped = receiver->dropped();
    if (arrived != count || dropped != 0) { // then a receiver would wait for the rest
        std::cerr << candidate.name << ": sent " << count << ", arrived " << arrived << ", dropped " << dropped << '\n';
        return {};
    }
    bench::pin_to(bench::receiver_processor);
    auto const start = bench::thread_cpu_time();
    receiver->drain(count);
    auto const used = bench::thread_cpu_time() - start;
    if (receiver->counted != bench::tally::of_frames(count, bench::lane::frame_length))
        throw std::runtime_error{std::string{candidate.name} + " read other packets than were sent"};
    return used;
}

void drain(bench::lane& lane, std::size_t rounds, std::uint64_t count) {
    if (rounds != 0) // what is done once, from loading pages to growing buffers, is done here
        for (auto const& candidate : bench::candidates)
            run_drain(lane, candidate, count);
    for (std::size_t round = 0; round != rounds; ++round)
        for (auto const index : order_of(round)) {
            auto const& candidate = bench::candidates[index];
            auto const machine_before = bench::machine_cpu_time();
            auto const before = bench::usage::of(::getpid());
            std::optional<bench::nanoseconds> used;
            for (int attempt = 0; !(used = run_drain(lane, candidate, count));)
                if (++attempt == attempts)
                    throw std::runtime_error{std::string{candidate.name} + ": not all packets came"};
            bench::seconds const foreign =
                bench::machine_cpu_time() - machine_before - (bench::usage::of(::getpid()) - before).cpu;
            std::cout << R"({"mode": "drain", "round": )" << round << R"(, "candidate": ")" << candidate.name
                      << R"(", "received": )" << count << R"(, "cpu_ns_per_packet": )"
                      << used->count() / static_cast<double>(count) << R"(, "foreign_seconds": )" << foreign.count()
                      << "}" << std::endl;
        }
}

} // namespace

int main(int argc, char** argv) try {
    namespace po = boost::program_options;
    std::size_t drain_rounds = 0, paced_rounds = 0;
    std::uint64_t drain_packets = 0;
    std::vector<std::uint64_t> rates;
    double duration = 0;
    po::options_description visible{"Receivers beside each other, as JSON lines for report.py. Options"};
    auto add = visible.add_options();
    add("help", "prints this");
    add("drain-rounds", po::value(&drain_rounds)->default_value(15), "rounds of reading full rings; 0 for none");
    add("drain-packets", po::value(&drain_packets)->default_value(420'000), "packets in each ring");
    add("drain-once", po::value<std::string>(), "only has this candidate read a full ring, for a profiler");
    add("paced-rounds", po::value(&paced_rounds)->default_value(5), "rounds at each rate; 0 for none");
    add("rate", po::value(&rates)->multitoken()->default_value({500'000, 1'000'000, 0}, "500000 1000000 0"),
        "packets a second; 0 is as fast as it goes");
    add("duration", po::value(&duration)->default_value(2), "seconds of each paced run");
    po::options_description hidden;
    hidden.add_options()("candidate", po::value<std::string>())("interface", po::value<std::string>());
    po::options_description all;
    all.add(visible).add(hidden);
    po::variables_map values;
    po::store(po::parse_command_line(argc, argv, all), values);
    po::notify(values);
    if (values.count("help") != 0) {
        std::cout << visible;
        return EXIT_SUCCESS;
    }
    if (values.count("candidate") != 0)
        return run_receiver(values["candidate"].as<std::string>(), values["interface"].as<std::string>());

    bench::lane lane;
    if (values.count("drain-once") != 0) {
        auto const& candidate = find_candidate(values["drain-once"].as<std::string>());
        return run_drain(lane, candidate, drain_packets) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    std::cout << R"({"mode": "setting", "subject": "receive", "generator": ")" << lane.generator_name() << "\"}"
              << std::endl;
    drain(lane, drain_rounds, drain_packets);
    // Full rate has no duration: as many packets as two million a second would be.
    for (auto const rate : rates) {
        auto const count = static_cast<std::uint64_t>(static_cast<double>(rate != 0 ? rate : 2'000'000) * duration);
        paced(lane, paced_rounds, count, rate);
    }
} catch (std::exception const& error) {
    std::cerr << "bench.receive: " << error.what() << '\n';
    return EXIT_FAILURE;
}
