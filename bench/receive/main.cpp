#include "compare.hpp"

#include <boost/program_options.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace {

/// The floor is there twice: how far two identical candidates lie apart is what the measurement cannot tell.
constexpr bench::candidate candidates[] = {
    {"floor", bench::make_tpacket_loop},
    {"floor-again", bench::make_tpacket_loop},
    {"libpcap", bench::make_pcap_loop},
    {"capture-callback", bench::make_capture_callbacks},
    {"capture-coroutine", bench::make_capture_coroutine},
};

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
        return bench::run_receiver(candidates, values["candidate"].as<std::string>(),
                                   values["interface"].as<std::string>());

    bench::lane lane;
    if (values.count("drain-once") != 0)
        return bench::drain_once(lane, candidates, values["drain-once"].as<std::string>(), drain_packets)
                   ? EXIT_SUCCESS
                   : EXIT_FAILURE;
    std::cout << R"({"mode": "setting", "subject": "receive", "generator": ")" << lane.generator_name() << "\"}"
              << std::endl;
    bench::compare_drain(lane, candidates, drain_rounds, drain_packets);
    // Full rate has no duration: as many packets as two million a second would be.
    for (auto const rate : rates) {
        auto const count = static_cast<std::uint64_t>(static_cast<double>(rate != 0 ? rate : 2'000'000) * duration);
        bench::compare_paced(lane, candidates, paced_rounds, count, rate);
    }
} catch (std::exception const& error) {
    std::cerr << "bench.receive: " << error.what() << '\n';
    return EXIT_FAILURE;
}
