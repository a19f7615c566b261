#include "compare.hpp"

#include "../measure.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <thread>

#include <unistd.h>

namespace bench {
namespace {

using namespace std::chrono_literals;

constexpr int attempts = 5; // how often an invalid measurement is repeated
constexpr auto settling_time = 500ms;
constexpr std::uint64_t warming_up = 50'000; // packets before each measured run
constexpr auto longest_wait = 10ms;          // for a block to fill
constexpr auto flushing_time = 150ms;        // for the last block to close by its timeout and be read
// While a ring is filled to be read later, only full blocks may be closed, or there would be too few.
constexpr auto fill_timeout = 500ms;

candidate const& find_candidate(std::span<candidate const> candidates, std::string_view name) {
    for (auto const& candidate : candidates)
        if (candidate.name == name)
            return candidate;
    throw std::invalid_argument{"no such candidate: " + std::string{name}};
}

struct paced_result {
    tally counted; // with the warming up
    std::uint64_t dropped = 0;
    usage used;
    seconds time{};
    seconds foreign{};

    bool valid(std::uint64_t sent) const {
        auto const expected =
            tally::of_frames(warming_up, lane::frame_length) + tally::of_frames(sent, lane::frame_length);
        return dropped == 0 ? counted == expected : counted.packets + dropped == expected.packets;
    }
};

paced_result run_paced(lane& lane, char const* name, std::uint64_t count, std::uint64_t rate) {
    auto receiver =
        lane.receiving().start({"/proc/self/exe", "--candidate", name, "--interface", lane.receiving().name()});
    if (!receiver.wait_for_output("ready", 10s))
        throw std::runtime_error{"the receiver did not start: " + receiver.output()};
    std::this_thread::sleep_for(settling_time);
    // What is done once, from loading pages to growing buffers, is done here.
    lane.send(warming_up, rate);
    std::this_thread::sleep_for(flushing_time);

    auto const machine = machine_cpu_time();
    auto const generator = usage::of(::getpid());
    auto const before = usage::of(receiver.id());
    auto const start = std::chrono::steady_clock::now();
    lane.send(count, rate);
    paced_result result;
    result.time = std::chrono::steady_clock::now() - start;
    std::this_thread::sleep_for(flushing_time);
    result.used = usage::of(receiver.id()) - before;
    result.foreign = machine_cpu_time() - machine - (usage::of(::getpid()) - generator).cpu - result.used.cpu;

    auto const status = receiver.stop();
    std::istringstream output{receiver.output()};
    std::string ready;
    output >> ready >> result.counted.packets >> result.counted.bytes >> result.counted.sum >> result.dropped;
    if (status != 0 || !output)
        throw std::runtime_error{"the receiver failed: " + receiver.output()};
    return result;
}

/// CPU time for reading a ring that was filled beforehand, or nothing where not all packets came.
std::optional<nanoseconds> run_drain(lane& lane, candidate const& candidate, std::uint64_t count) {
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
    pin_to(receiver_processor);
    auto const start = thread_cpu_time();
    receiver->drain(count);
    auto const used = thread_cpu_time() - start;
    if (receiver->counted != tally::of_frames(count, lane::frame_length))
        throw std::runtime_error{std::string{candidate.name} + " read other packets than were sent"};
    return used;
}

} // namespace

std::vector<std::size_t> order_of(std::size_t round, std::size_t candidates) {
    std::vector<std::size_t> order(candidates);
    for (std::size_t i = 0; i != order.size(); ++i)
        order[i] = (i + round / 2) % order.size();
    if (round % 2 != 0)
        std::reverse(order.begin(), order.end());
    return order;
}

int run_receiver(std::span<candidate const> candidates, std::string const& name, std::string const& interface) {
    pin_to(receiver_processor);
    auto const receiver = find_candidate(candidates, name).make(interface, longest_wait);
    std::cout << "ready" << std::endl;
    receiver->run();
    std::cout << receiver->counted.packets << ' ' << receiver->counted.bytes << ' ' << receiver->counted.sum << ' '
              << receiver->dropped() << '\n';
    return EXIT_SUCCESS;
}

void compare_paced(lane& lane, std::span<candidate const> candidates, std::size_t rounds, std::uint64_t count,
                   std::uint64_t rate) {
    for (std::size_t round = 0; round != rounds; ++round)
        for (auto const index : order_of(round, candidates.size())) {
            auto const* const name = candidates[index].name;
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

bool drain_once(lane& lane, std::span<candidate const> candidates, std::string const& name, std::uint64_t count) {
    return run_drain(lane, find_candidate(candidates, name), count).has_value();
}

void compare_drain(lane& lane, std::span<candidate const> candidates, std::size_t rounds, std::uint64_t count) {
    if (rounds != 0) // what is done once, from loading pages to growing buffers, is done here
        for (auto const& candidate : candidates)
            run_drain(lane, candidate, count);
    for (std::size_t round = 0; round != rounds; ++round)
        for (auto const index : order_of(round, candidates.size())) {
            auto const& candidate = candidates[index];
            auto const machine_before = machine_cpu_time();
            auto const before = usage::of(::getpid());
            std::optional<nanoseconds> used;
            for (int attempt = 0; !(used = run_drain(lane, candidate, count));)
                if (++attempt == attempts)
                    throw std::runtime_error{std::string{candidate.name} + ": not all packets came"};
            seconds const foreign = machine_cpu_time() - machine_before - (usage::of(::getpid()) - before).cpu;
            std::cout << R"({"mode": "drain", "round": )" << round << R"(, "candidate": ")" << candidate.name
                      << R"(", "received": )" << count << R"(, "cpu_ns_per_packet": )"
                      << used->count() / static_cast<double>(count) << R"(, "foreign_seconds": )" << foreign.count()
                      << "}" << std::endl;
        }
}

} // namespace bench
