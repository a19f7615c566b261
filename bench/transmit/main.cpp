#include "../measure.hpp"
#include "sender.hpp"

#include <boost/program_options.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <lab/lab.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

// One JSON object a line and measurement, for bench/report.py.
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t few = 1'000; // frames of the run whose cost is that of starting and ending
constexpr int attempts = 5;          // how often an invalid measurement is repeated

struct loop {
    char const* name;
    void (*send)(bench::sending const& what);
};
constexpr loop loops[] = {{"floor", bench::send_by_ring_loop},
                          {"floor-again", bench::send_by_ring_loop},
                          {"injector", bench::send_by_injector},
                          {"injector-reserve", bench::send_by_reservation},
                          {"sendmmsg", bench::send_by_messages}};

/// Where frames go: a device that drops and counts them, or a peer that receives them.
struct lane {
    lab::pair wire;
    lab::side sink{wire.left, "sink", {}};

    lane() {
        sink.run({"ip", "link", "add", "sink", "type", "ifb"});
        sink.run({"ip", "link", "set", "sink", "up"});
    }
    std::uint64_t arrived(bool veth) const {
        return veth ? wire.right.counters().rx_packets : sink.counters().rx_dropped;
    }
};

/// Files that the tools send from.
class recipes {
public:
    recipes() {
        auto pattern = (fs::temp_directory_path() / "bench.transmit.XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            throw std::runtime_error{"mkdtemp"};
        folder_ = pattern;
    }
    ~recipes() {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    recipes(recipes const&) = delete;
    recipes& operator=(recipes const&) = delete;

    std::string for_trafgen(std::size_t length) const {
        auto const path = folder_ / ("trafgen." + std::to_string(length));
        std::ofstream{path} << "{ 0x02,0,0,0,0,0, 0x02,0,0,0,0,0, 0x88,0xb5, fill(0," << length - 14 << ") }\n";
        return path;
    }
    std::string for_tcpreplay(std::size_t length) const {
        auto const path = folder_ / ("tcpreplay." + std::to_string(length));
        std::ofstream out{path, std::ios::binary};
        auto const put = [&](std::initializer_list<std::uint32_t> words) {
            for (auto const word : words)
                out.write(reinterpret_cast<char const*>(&word), sizeof word);
        };
        put({0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65'535, 1});
        bench::frame_burst frames{length};
        auto const size = static_cast<std::uint32_t>(length);
        for (std::uint64_t i = 0; i != few; ++i) {
            put({0, 0, size, size});
            out.write(reinterpret_cast<char const*>(frames[0].data()), static_cast<std::streamsize>(length));
        }
        return path;
    }

private:
    fs::path folder_;
};

std::vector<std::string> command(std::string const& name, bench::sending const& what, recipes const& files) {
    auto const count = std::to_string(what.count);
    if (name == "trafgen") {
        std::vector<std::string> result{"trafgen", "--dev", what.interface, "--conf", files.for_trafgen(what.length),
                                        "-n",      count,   "-P",           "1",      "-Q",
                                        "-C"};
        if (!what.bypass)
            result.emplace_back("-q");
        return result;
    }
    if (name == "tcpreplay")
        return {"tcpreplay",
                "-i",
                what.interface,
                "--topspeed",
                "-K",
                "-q",
                "--loop",
                std::to_string(what.count / few),
                files.for_tcpreplay(what.length)};
    std::vector<std::string> result{
        "/proc/self/exe", "--candidate", name, "--interface", what.interface, "--length", std::to_string(what.length),
        "--count",        count};
    if (what.bypass)
        result.emplace_back("--bypass");
    return result;
}

bench::nanoseconds cpu_of_children() {
    rusage used{};
    ::getrusage(RUSAGE_CHILDREN, &used);
    auto const nanoseconds = [](timeval time) {
        return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
    };
    return bench::nanoseconds{nanoseconds(used.ru_utime) + nanoseconds(used.ru_stime)};
}

struct run_result {
    bench::nanoseconds cpu{};
    bench::seconds time{}, foreign{};
    std::uint64_t arrived = 0;
};

run_result run(lane const& lane, std::string const& name, bench::sending const& what, recipes const& files) {
    bool const veth = what.interface == lane.wire.left.name();
    auto const machine = bench::machine_cpu_time();
    auto const own = bench::usage::of(::getpid());
    auto const before = cpu_of_children();
    auto const arrived = lane.arrived(veth);
    auto const start = std::chrono::steady_clock::now();
    auto program = lane.wire.left.start(command(name, what, files));
    if (program.wait() != 0)
        throw std::runtime_error{name + " failed: " + program.output()};
    run_result result;
    result.time = std::chrono::steady_clock::now() - start;
    result.cpu = cpu_of_children() - before;
    result.arrived = lane.arrived(veth) - arrived;
    result.foreign = bench::machine_cpu_time() - machine - (bench::usage::of(::getpid()) - own).cpu - result.cpu;
    return result;
}

/// What `what.count` frames cost more than a few.
void measure(lane const& lane, std::string const& name, bench::sending const& what, std::size_t round,
             recipes const& files) {
    auto little = what;
    little.count = few;
    run_result start, whole;
    for (int attempt = 0;; ++attempt) {
        start = run(lane, name, little, files);
        whole = run(lane, name, what, files);
        // trafgen's reports of how much it sent are as approximate as what it sends.
        if (whole.arrived == what.count && start.arrived == few)
            break;
        if (attempt == attempts)
            throw std::runtime_error{name + ": not all frames arrived"};
        std::cerr << name << ": sent " << what.count << ", arrived " << whole.arrived << ": repeated\n";
    }
    auto const frames = static_cast<double>(what.count - few);
    std::cout << R"({"mode": "transmit", "device": ")" << what.interface << R"(", "length": )" << what.length
              << R"(, "bypass": )" << (what.bypass ? "true" : "false") << R"(, "round": )" << round
              << R"(, "candidate": ")" << name << R"(", "sent": )" << what.count << R"(, "cpu_ns_per_packet": )"
              << (whole.cpu - start.cpu).count() / frames << R"(, "sent_per_second": )"
              << frames / (whole.time - start.time).count() << R"(, "foreign_seconds": )"
              << (whole.foreign + start.foreign).count() << "}" << std::endl;
}

void compare(lane const& lane, bench::sending const& what, std::vector<std::string> const& names, std::size_t rounds,
             recipes const& files) {
    // Each round begins with another candidate, and every other round goes backwards.
    for (std::size_t round = 0; round != rounds; ++round)
        for (std::size_t i = 0; i != names.size(); ++i) {
            auto const place = round % 2 == 0 ? i : names.size() - 1 - i;
            measure(lane, names[(place + round / 2) % names.size()], what, round, files);
        }
}

} // namespace

int main(int argc, char** argv) try {
    namespace po = boost::program_options;
    std::size_t rounds = 0;
    std::uint64_t count = 0;
    std::vector<std::size_t> lengths;
    po::options_description visible{"Senders beside each other, as JSON lines for report.py. Options"};
    auto add = visible.add_options();
    add("help", "prints this");
    add("rounds", po::value(&rounds)->default_value(10), "rounds at each length");
    add("count", po::value(&count)->default_value(1'000'000), "frames in each run, a multiple of 1000");
    add("length", po::value(&lengths)->multitoken()->default_value({60, 1514}, "60 1514"), "bytes of a frame");
    bench::sending what;
    po::options_description hidden;
    hidden.add_options()("candidate", po::value<std::string>())("interface", po::value(&what.interface))(
        "bypass", po::bool_switch(&what.bypass));
    po::options_description all;
    all.add(visible).add(hidden);
    po::variables_map values;
    po::store(po::parse_command_line(argc, argv, all), values);
    po::notify(values);
    if (values.count("help") != 0) {
        std::cout << visible;
        return EXIT_SUCCESS;
    }
    what.count = count;
    if (values.count("candidate") != 0) {
        what.length = lengths.at(0);
        for (auto const& candidate : loops)
            if (candidate.name == values["candidate"].as<std::string>()) {
                candidate.send(what);
                return EXIT_SUCCESS;
            }
        throw std::invalid_argument{"no such candidate"};
    }
    if (count <= few || count % few != 0)
        throw std::invalid_argument{"--count wants a multiple of 1000, more than that"};

    lane const lane;
    recipes const files;
    bench::pin_to(bench::generator_processor); // and those started from here
    std::cout << R"({"mode": "setting", "subject": "transmit"})" << std::endl;
    std::vector<std::string> names;
    for (auto const& candidate : loops)
        names.emplace_back(candidate.name);
    auto with_tools = names;
    with_tools.insert(with_tools.end(), {"trafgen", "tcpreplay"});
    for (auto const length : lengths)
        compare(lane, {"sink", length, count, true}, with_tools, rounds, files);
    // For the guide: what a queueing discipline costs, and a veth, where the kernel copies what a ring gives it.
    auto const fewer = (rounds + 1) / 2;
    for (auto const length : lengths)
        compare(lane, {"sink", length, count, false}, names, fewer, files);
    for (auto const length : lengths)
        compare(lane, {"left", length, count, false}, names, fewer, files);
} catch (std::exception const& error) {
    std::cerr << "bench.transmit: " << error.what() << '\n';
    return EXIT_FAILURE;
}
