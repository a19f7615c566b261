// Compares the flows of every capture of the shared traces with those that other tools found.

#include "pcap/files.hpp"
#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/pcap/reader.hpp>

#include <boost/json/src.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <tuple>
#include <vector>

namespace nr = netring_asio;
namespace flow = netring_asio::flow;
namespace fs = std::filesystem;

namespace {

/// Captures known to differ, and why.
std::map<std::string, std::string> const known{
    {"gopacket_le_test102.pcapng", "interfaces of several link types, which libpcap does not read"},
};

using flow_key = std::tuple<int, std::string, int, std::string, int>;
using flow_counts = std::map<flow_key, std::array<std::uint64_t, 4>>;

void add(flow_counts& to, int protocol, std::string a, int port_a, std::string b, int port_b,
         std::array<std::uint64_t, 4> counts) {
    if (std::tie(b, port_b) < std::tie(a, port_a)) {
        std::swap(a, b);
        std::swap(port_a, port_b);
        counts = {counts[2], counts[3], counts[0], counts[1]};
    }
    auto& sum = to[{protocol, a, port_a, b, port_b}];
    for (std::size_t i = 0; i != 4; ++i)
        sum[i] += counts[i];
}

bool is_compared(int protocol) { return protocol == 6 || protocol == 17 || protocol == 132; }

boost::json::value parse(fs::path const& file) {
    std::ifstream in{file};
    return boost::json::parse(std::string{std::istreambuf_iterator<char>{in}, {}});
}

flow_counts expected(boost::json::value const& json, std::string const& view, std::string const& bytes) {
    flow_counts result;
    auto const& object = json.as_object();
    auto const* flows = object.if_contains("flows_" + view);
    for (auto const& f : (flows != nullptr ? *flows : object.at("flows_inner")).as_array()) {
        auto const protocol = f.at("proto").to_number<int>();
        if (!is_compared(protocol))
            continue;
        std::array<std::uint64_t, 4> counts{};
        for (std::size_t i = 0; i != 2; ++i) {
            auto const& direction = f.at(i == 0 ? "fwd" : "rev");
            counts[i * 2] = direction.at("pkts").to_number<std::uint64_t>();
            counts[i * 2 + 1] = direction.at(bytes + "_bytes").to_number<std::uint64_t>();
        }
        add(result, protocol, f.at("src").as_string().c_str(), f.at("sport").to_number<int>(),
            f.at("dst").as_string().c_str(), f.at("dport").to_number<int>(), counts);
    }
    return result;
}

flow_counts tracked(fs::path const& file, bool outer, std::uint64_t flow::direction_stats::* bytes) {
    nr::decode::decoder_options decoding;
    if (outer)
        decoding.max_tunnels(0);
    flow::tracker tracker{flow::five_tuple{}, flow::tracker_options{}.decoding(decoding)};
    std::vector<flow::event> events;
    nr::error_code error;
    nr::pcap::reader reader;
    reader.open(nr::pcap::reader_options{file}, error);
    nr::packet_batch packets;
    while (!error && reader.read(packets, error) != 0)
        tracker.track(packets, events);
    packets.reset();
    while (tracker.flush(events)) {
    }
    flow_counts result;
    for (auto const& e : events)
        if ((e.kind == flow::event_kind::ended || e.kind == flow::event_kind::late) && is_compared(e.key.protocol))
            add(result, e.key.protocol, e.key.a.address.to_string(e.key.ip_version), e.key.a.port,
                e.key.b.address.to_string(e.key.ip_version), e.key.b.port,
                e.orientation == flow::orientation::a_to_b
                    ? std::array<std::uint64_t, 4>{e.stats.forward.packets, e.stats.forward.*bytes,
                                                   e.stats.reverse.packets, e.stats.reverse.*bytes}
                    : std::array<std::uint64_t, 4>{e.stats.reverse.packets, e.stats.reverse.*bytes,
                                                   e.stats.forward.packets, e.stats.forward.*bytes});
    return result;
}

fs::path expectations(fs::path capture) {
    if (capture.extension() == ".gz")
        capture.replace_extension();
    return capture.replace_extension(".expect") / "flows.json";
}

void compare_all(std::string const& view, std::string const& bytes_name, std::uint64_t flow::direction_stats::* bytes) {
    auto const traces = files::traces();
    BOOST_TEST(traces.size() == 375u);
    std::size_t agree = 0;
    for (auto const& [file, packets] : traces) {
        auto const want = expected(parse(expectations(file)), view, bytes_name);
        auto const got = tracked(file, view == "outer", bytes);
        auto const is_known = known.contains(file.filename());
        BOOST_TEST_CONTEXT(file.string()) {
            if (is_known)
                BOOST_TEST((want != got), "agrees now: take it off the list");
            else
                BOOST_TEST((want == got));
        }
        agree += want == got ? 1 : 0;
    }
    std::cout << view << " view, " << bytes_name << " bytes: " << agree << " of " << traces.size()
              << " captures agree\n";
}

} // namespace

BOOST_AUTO_TEST_CASE(innermost_flows_in_wire_bytes, *files::has_traces()) {
    compare_all("inner", "wire", &flow::direction_stats::wire_bytes);
}

BOOST_AUTO_TEST_CASE(innermost_flows_in_ip_bytes, *files::has_traces()) {
    compare_all("inner", "ip", &flow::direction_stats::ip_bytes);
}

BOOST_AUTO_TEST_CASE(outermost_flows_in_wire_bytes, *files::has_traces()) {
    compare_all("outer", "wire", &flow::direction_stats::wire_bytes);
}
