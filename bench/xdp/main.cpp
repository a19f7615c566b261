#include "../measure.hpp"
#include "../receive/compare.hpp"
#include "loops.hpp"

#include <boost/program_options.hpp>

#include <array>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

// One JSON object a line and measurement, for bench/report.py.
namespace {

using namespace std::chrono_literals;

constexpr std::array full_rings{
    bench::candidate{"floor", bench::make_xdp_loop}, bench::candidate{"floor-again", bench::make_xdp_loop},
    bench::candidate{"xdp_socket", bench::make_xdp_socket}, bench::candidate{"capture", bench::make_capture_coroutine}};
constexpr std::array at_a_rate{bench::candidate{"floor", bench::make_xdp_loop},
                               bench::candidate{"floor-again", bench::make_xdp_loop},
                               bench::candidate{"sleeping-floor", bench::make_xdp_sleeper},
                               bench::candidate{"xdp_socket", bench::make_xdp_socket},
                               bench::candidate{"xdp_socket-budget", bench::make_xdp_moderated},
                               bench::candidate{"capture", bench::make_capture_coroutine}};

template <class Make>
struct named {
    char const* name;
    Make* make;
};
constexpr named<std::unique_ptr<bench::sender>(std::string const&)> senders[] = {
    {"floor", bench::make_xdp_send_loop},
    {"floor-again", bench::make_xdp_send_loop},
    {"xdp_socket", bench::make_xdp_socket_sender},
    {"injector", bench::make_injector_sender}};
constexpr named<std::unique_ptr<bench::forwarder>(std::string const&, std::string const&)> forwarders[] = {
    {"floor", bench::make_xdp_forward_loop},
    {"floor-again", bench::make_xdp_forward_loop},
    {"xdp_socket", bench::make_xdp_socket_forwarder}};

/// A device beside the lane's receiving end that drops what is sent to it, and counts.
class drain_device {
public:
    explicit drain_device(bench::lane const& lane)
        : side_{lane.receiving(), "sink", {}} {
        side_.run({"ip", "link", "add", "sink", "type", "ifb"});
        side_.run({"ip", "link", "set", "sink", "up"});
    }
    lab::side const& side() const noexcept { return side_; }
    std::uint64_t arrived() const { return side_.counters().rx_dropped; }

private:
    lab::side side_;
};

/// Runs what was prepared, on the receivers' processor, and prints what it cost.
template <class Prepare>
void measure(drain_device const& sink, char const* mode, std::size_t round, char const* name, std::uint64_t count,
             Prepare prepare) {
    auto const machine = bench::machine_cpu_time();
    auto const own = bench::usage::of(::getpid());
    auto work = prepare();
    bench::pin_to(bench::receiver_processor);
    auto const arrived = sink.arrived();
    auto const before = bench::thread_cpu_time();
    auto const start = std::chrono::steady_clock::now();
    work();
    bench::seconds const time = std::chrono::steady_clock::now() - start;
    auto const used = bench::thread_cpu_time() - before;
    if (sink.arrived() - arrived != count)
        throw std::runtime_error{std::string{mode} + ", " + name + ": of " + std::to_string(count) +
                                 " frames arrived " + std::to_string(sink.arrived() - arrived)};
    bench::seconds const foreign = bench::machine_cpu_time() - machine - (bench::usage::of(::getpid()) - own).cpu;
    if (round != 0) // what is done once, from loading pages to growing buffers, is done in the first
        std::cout << R"({"mode": ")" << mode << R"(", "round": )" << round - 1 << R"(, "candidate": ")" << name
                  << R"(", "sent": )" << count << R"(, "cpu_ns_per_packet": )"
                  << used.count() / static_cast<double>(count) << R"(, "sent_per_second": )"
                  << static_cast<double>(count) / time.count() << R"(, "foreign_seconds": )" << foreign.count() << "}"
                  << std::endl;
}

void compare_senders(drain_device const& sink, std::size_t rounds, std::uint64_t count) {
    bench::frame_burst frames{bench::lane::frame_length};
    for (std::size_t round = 0; round != rounds + 1; ++round)
        for (auto const index : bench::order_of(round, std::size(senders))) {
            auto const& candidate = senders[index];
            auto const sender = sink.side().enter([&] { return candidate.make(sink.side().name()); });
            measure(sink, "transmit", round, candidate.name, count,
                    [&] { return [&] { sender->send(frames, count); }; });
        }
}

void compare_forwarders(bench::lane& lane, drain_device const& sink, std::size_t rounds, std::uint64_t count) {
    for (std::size_t round = 0; round != rounds + 1; ++round)
        for (auto const index : bench::order_of(round, std::size(forwarders))) {
            auto const& candidate = forwarders[index];
            auto const forwarder =
                sink.side().enter([&] { return candidate.make(lane.receiving().name(), sink.side().name()); });
            measure(sink, "forward", round, candidate.name, count, [&] {
                lane.send(count, 0);
                std::this_thread::sleep_for(100ms);
                return [&] { forwarder->forward(count); };
            });
        }
}

} // namespace

int main(int argc, char** argv) try {
    namespace po = boost::program_options;
    std::size_t rounds = 0, paced_rounds = 0;
    std::uint64_t packets = 0, sent = 0;
    double duration = 0;
    po::options_description visible{"AF_XDP sockets beside the hand-written minimum, as JSON lines for report.py. "
                                    "Options"};
    auto add = visible.add_options();
    add("help", "prints this");
    add("rounds", po::value(&rounds)->default_value(15), "rounds of full rings, of sending and of forwarding");
    add("paced-rounds", po::value(&paced_rounds)->default_value(5), "rounds at 500 000 packets a second");
    add("drain-once", po::value<std::string>(), "only has this candidate read a full ring, for a profiler");
    add("packets", po::value(&packets)->default_value(60'000), "packets in a full ring, to receive and to forward");
    add("sent", po::value(&sent)->default_value(300'000), "frames to send in a round");
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
        return bench::run_receiver(at_a_rate, values["candidate"].as<std::string>(),
                                   values["interface"].as<std::string>());

    bench::lane lane;
    if (values.count("drain-once") != 0)
        return bench::drain_once(lane, full_rings, values["drain-once"].as<std::string>(), packets) ? EXIT_SUCCESS
                                                                                                    : EXIT_FAILURE;
    drain_device const sink{lane};
    std::cout << R"({"mode": "setting", "subject": "xdp", "generator": ")" << lane.generator_name() << "\"}"
              << std::endl;
    bench::compare_drain(lane, full_rings, rounds, packets);
    compare_senders(sink, rounds, sent);
    compare_forwarders(lane, sink, rounds, packets);
    constexpr std::uint64_t rate = 500'000;
    bench::compare_paced(lane, at_a_rate, paced_rounds, static_cast<std::uint64_t>(rate * duration), rate);
} catch (std::exception const& error) {
    std::cerr << "bench.xdp: " << error.what() << '\n';
    return EXIT_FAILURE;
}
