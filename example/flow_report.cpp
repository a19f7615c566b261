// Prints every flow of a capture file, and as JSON also what its TCP streams carried.

#include "stream_runs.hpp"
#include <netring_asio/flow/community_id.hpp>
#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/pcap/reader.hpp>

#include <boost/program_options.hpp>

#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace nr = netring_asio;
namespace flow = netring_asio::flow;
namespace po = boost::program_options;

namespace {

using counter = std::uint64_t flow::direction_stats::*;

counter counter_named(std::string const& name) {
    if (name == "wire")
        return &flow::direction_stats::wire_bytes;
    if (name == "ip")
        return &flow::direction_stats::ip_bytes;
    if (name == "payload")
        return &flow::direction_stats::payload_bytes;
    throw std::invalid_argument{"--bytes is one of wire, ip, payload"};
}

void print_stream(int ip_version, flow::endpoint const& from, flow::endpoint const& to,
                  std::vector<stream_runs::run> const& runs) {
    std::cout << R"({"type":"stream","src":")" << from.address.to_string(ip_version) << R"(","sport":)" << from.port
              << R"(,"dst":")" << to.address.to_string(ip_version) << R"(","dport":)" << to.port << R"(,"runs":[)";
    char const* separator = "";
    for (auto const& run : runs) {
        std::cout << separator << '[' << run.offset << ',' << run.length << ",\"";
        for (auto const byte : run.sha256)
            std::cout << "0123456789abcdef"[byte >> 4] << "0123456789abcdef"[byte & 15];
        std::cout << "\"]";
        separator = ",";
    }
    std::cout << "]}\n";
}

void print_json(flow::event const& e, counter bytes) {
    auto const endpoint = [&e](char const* address, char const* port, flow::endpoint const& end) {
        std::cout << ",\"" << address << "\":\"" << end.address.to_string(e.key.ip_version) << "\",\"" << port
                  << "\":" << end.port;
    };
    auto const direction = [bytes](char const* name, flow::direction_stats const& d) {
        std::cout << ",\"" << name << "\":{\"pkts\":" << d.packets << ",\"bytes\":" << d.*bytes << '}';
    };
    std::cout << R"({"type":"flow","proto":)" << static_cast<unsigned>(e.key.protocol);
    endpoint("src", "sport", e.initiator());
    endpoint("dst", "dport", e.responder());
    direction("fwd", e.stats.forward);
    direction("rev", e.stats.reverse);
    std::cout << R"(,"state":")" << e.stats.state << R"(","history":")" << e.stats.history << R"(","reason":")"
              << e.reason << R"(","community_id":")" << flow::community_id(e.key) << "\"}\n";
}

void report(std::string const& file, std::string const& view, std::string const& bytes_name, bool json) {
    if (view != "inner" && view != "outer")
        throw std::invalid_argument{"--view is one of inner, outer"};
    auto const bytes = counter_named(bytes_name);
    nr::decode::decoder_options decoding;
    if (view == "outer")
        decoding.max_tunnels(0);
    flow::tracker tracker{flow::five_tuple{}, flow::tracker_options{}.decoding(decoding)};

    stream_recorder streams{print_stream};
    if (json)
        tracker.observe(&streams);

    std::vector<flow::event> events;
    auto const print = [&] {
        for (auto const& e : events) {
            if (e.kind != flow::event_kind::ended && e.kind != flow::event_kind::late)
                continue;
            if (json)
                print_json(e, bytes);
            else
                std::cout << e << '\n';
        }
        events.clear();
    };
    auto const finish = [&] {
        bool more = true;
        while (more) {
            more = tracker.flush(events);
            print();
        }
    };

    nr::pcap::reader reader{nr::pcap::reader_options{file}};
    nr::packet_batch packets;
    nr::error_code error;
    while (reader.read(packets, error) != 0) {
        tracker.track(packets, events);
        print();
    }
    finish();
    if (error)
        throw nr::system_error{error, file};
}

} // namespace

int main(int argc, char** argv) {
    try {
        po::options_description options{"flow_report FILE: prints the flows of a capture file"};
        // clang-format off
        options.add_options()
            ("help", "print this and exit")
            ("file", po::value<std::string>(), "pcap or pcapng file, - is standard input")
            ("jsonl", "one JSON object a line, for each flow and for each direction of a TCP stream")
            ("view", po::value<std::string>()->default_value("inner"), "which IP header makes the flow: inner, outer")
            ("bytes", po::value<std::string>()->default_value("wire"), "what the JSON counts: wire, ip, payload");
        // clang-format on
        po::positional_options_description positional;
        positional.add("file", 1);
        po::variables_map values;
        po::store(po::command_line_parser(argc, argv).options(options).positional(positional).run(), values);
        if (values.count("help") != 0 || values.count("file") == 0) {
            std::cout << options;
            return values.count("help") != 0 ? 0 : 2;
        }
        std::ios::sync_with_stdio(false);
        report(values["file"].as<std::string>(), values["view"].as<std::string>(), values["bytes"].as<std::string>(),
               values.count("jsonl") != 0);
    } catch (std::exception const& e) {
        std::cout.flush();
        std::cerr << "flow_report: " << e.what() << '\n';
        return 1;
    }
}
