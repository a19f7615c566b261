// Compares the flows of every capture of the shared traces with those that other tools found.

#include "pcap/files.hpp"
#include <netring_asio/decode/checksum.hpp>
#include <netring_asio/decode/defragmenter.hpp>
#include <netring_asio/flow/community_id.hpp>
#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/pcap/reader.hpp>

#include <boost/json/src.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
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

std::vector<flow::event> track_file(flow::tracker<flow::five_tuple>& tracker, fs::path const& file) {
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
    return events;
}

flow_counts tracked(fs::path const& file, bool outer, std::uint64_t flow::direction_stats::* bytes) {
    nr::decode::decoder_options decoding;
    if (outer)
        decoding.max_tunnels(0);
    flow::tracker tracker{flow::five_tuple{}, flow::tracker_options{}.decoding(decoding)};
    flow_counts result;
    for (auto const& e : track_file(tracker, file))
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
    BOOST_TEST_MESSAGE("figure: flows, " << view << " view, " << bytes_name << " bytes: " << agree << " of "
                                         << traces.size() << " captures agree");
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

namespace {

/// Captures whose Community IDs differ in some, and why.
std::map<std::string, std::string> const other_identifiers{
    {"gopacket_le_test102.pcapng", "interfaces of several link types, which libpcap does not read"},
    {"tcpdump_ipv6-next-header-oobr-1.pcap", "an extension header chain without a transport"},
    {"zeek_Teredo.pcap", "an extension header chain without a transport"},
    {"sv_decode-too-small.pcap", "transport headers that are cut off"},
    {"sv_sctp-pkt-too-small.pcap", "transport headers that are cut off"},
    {"tcpdump_udp-length-heapoverflow.pcap", "a length that lies"},
};

/// The Community IDs of a capture's flows, and of ICMP, whose flows have none, of the packets.
std::set<std::string> identifiers(fs::path const& file) {
    std::set<std::string> result;
    flow::tracker tracker{flow::five_tuple{}};
    for (auto const& e : track_file(tracker, file))
        result.insert(flow::community_id(e.key));
    nr::error_code error;
    nr::pcap::reader reader;
    reader.open(nr::pcap::reader_options{file}, error);
    nr::packet_batch packets;
    nr::decode::headers headers;
    while (!error && reader.read(packets, error) != 0)
        for (auto const& packet : packets)
            if (nr::decode::decoder{}(packet, headers) && headers.has_icmp)
                result.insert(flow::community_id(headers).value());
    return result;
}

} // namespace

BOOST_AUTO_TEST_CASE(community_ids, *files::has_traces()) {
    std::size_t agree = 0;
    std::size_t count = 0;
    for (auto const& [file, packets] : files::traces()) {
        auto const got = identifiers(file);
        bool is_equal = true;
        auto const json = parse(expectations(file));
        for (auto const& f : json.at("flows_inner").as_array()) {
            auto const* id = f.as_object().if_contains("community_id");
            if (id == nullptr || !id->is_string() || id->as_string().empty())
                continue;
            ++count;
            is_equal = is_equal && got.contains(id->as_string().c_str());
        }
        BOOST_TEST_CONTEXT(file.string()) { BOOST_TEST(is_equal != other_identifiers.contains(file.filename())); }
        agree += is_equal ? 1 : 0;
    }
    BOOST_TEST_MESSAGE("figure: Community IDs, " << count << " of them, equal in " << agree << " of 375 captures");
}

// What Zeek's own tests expect of these captures, as `zeek.json` of each has it.
BOOST_AUTO_TEST_CASE(states_and_histories_of_zeek, *files::has_traces()) {
    using lines = std::map<std::string, std::string>;
    std::map<std::string, lines> const expected{
        {"dns/zeek_wikipedia.pcap",
         {{"141.142.220.118:35634 > 208.80.152.2:80", "OTH DdA"},
          {"141.142.220.118:48649 > 208.80.152.118:80", "S1 ShADad"},
          {"141.142.220.118:49996 > 208.80.152.3:80", "S1 ShADad"},
          {"141.142.220.118:35642 > 208.80.152.2:80", "S1 ShADad"},
          {"141.142.220.235:6705 > 173.192.163.128:80", "OTH ^h"},
          {"141.142.220.118:43927 > 141.142.2.2:53", "SF Dd"},
          {"141.142.220.118:55092 > 141.142.2.2:53", "SF Dd"},
          {"141.142.220.226:137 > 141.142.220.255:137", "S0 D"}}},
        {"http/zeek_get.pcap", {{"141.142.228.5:59856 > 192.150.187.43:80", "SF ShADadFf"}}},
        {"http/zeek_content-length-overflow.pcap", {{"10.0.0.1:54321 > 10.0.0.2:80", "SF ShADadfF"}}},
        {"http/zeek_variant-01-chunk_2pow64_overflow.pcap", {{"192.168.1.100:40001 > 192.168.1.200:80", "SF ShADaFf"}}},
        {"tcp/zeek_m57-long-49600-80.pcap", {{"192.168.1.105:49600 > 65.54.95.185:80", "RSTO ShADTadttfR"}}},
        {"udp/zeek_udp-broadcast.pcap", {{"192.168.1.1:40190 > 255.255.255.255:7437", "S0 D"}}},
    };
    std::size_t count = 0;
    for (auto const& [file, want] : expected) {
        flow::tracker tracker{flow::five_tuple{}};
        lines got;
        for (auto const& e : track_file(tracker, files::traces_folder() / file))
            if (e.kind == flow::event_kind::ended) {
                std::ostringstream key;
                std::ostringstream value;
                print(key, e.key, e.orientation);
                value << e.stats.state << ' ' << e.stats.history;
                got[key.str().substr(key.str().find(' ') + 1)] = value.str();
            }
        for (auto const& [key, value] : want) {
            BOOST_TEST_CONTEXT(file << ", " << key) { BOOST_TEST(got[key] == value); }
            ++count;
        }
    }
    BOOST_TEST_MESSAGE("figure: connection states and histories of Zeek, " << count << " of them, equal");
}

namespace {

/// Captures in which other packets have wrong checksums than tshark says, and why.
std::map<std::string, std::string> const other_checksums{
    {"gopacket_le_test102.pcapng", "interfaces of several link types, which libpcap does not read"},
    {"ndpi_6in4tunnel.pcap", "what an ICMP error quotes"},
    {"ndpi_icmp-tunnel.pcap", "checksums of ICMP, which the list has none of"},
    {"ndpi_vxlan.pcap", "headers outside a tunnel"},
    {"tcpdump_bigtcp-ipv4.pcap", "a length of 0: segments will have checksums"},
    {"zeek_gtp1_gn_normal_incl_fragmentation.pcap", "headers outside a tunnel"},
    {"zeek_gtp_ext_header.pcap", "headers outside a tunnel"},
};

/// How many packets of a capture have a wrong one by tshark.
std::size_t wrong_checksums(fs::path capture) {
    std::ifstream file{expectations(std::move(capture)).replace_filename("packets.csv")};
    std::string line;
    std::getline(file, line);
    auto const comma_before = line.find(",bad_csum,");
    BOOST_REQUIRE(comma_before != line.npos);
    auto const field = std::count(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(comma_before) + 1, ',');
    std::size_t result = 0;
    while (std::getline(file, line)) {
        bool quoted = false;
        std::ptrdiff_t at = 0;
        bool is_wrong = false;
        for (char const c : line) {
            quoted ^= c == '"';
            at += c == ',' && !quoted ? 1 : 0;
            is_wrong |= at == field && c != ',';
        }
        result += is_wrong ? 1 : 0;
    }
    return result;
}

} // namespace

BOOST_AUTO_TEST_CASE(wrong_checksums_as_tshark_finds_them, *files::has_traces()) {
    std::size_t agree = 0;
    std::size_t count = 0;
    for (auto const& [file, packets] : files::traces()) {
        auto const expected = wrong_checksums(file);
        std::size_t got = 0;
        nr::error_code error;
        nr::pcap::reader reader;
        reader.open(nr::pcap::reader_options{file}, error);
        nr::packet_batch batch;
        nr::decode::headers headers;
        nr::decode::defragmenter defragmenter;
        while (!error && reader.read(batch, error) != 0)
            for (auto const& packet : batch) {
                nr::decode::decoder{}(packet, headers);
                auto verdict = nr::decode::verify_checksums(headers);
                if (headers.is_fragment) {
                    auto whole = headers;
                    auto const datagram = defragmenter.add(headers, packet.time).datagram;
                    if (!datagram.empty() && nr::decode::decoder{}.datagram(datagram, whole))
                        verdict = nr::decode::verify_datagram(whole, headers);
                }
                got += verdict == nr::decode::checksum_verdict::wrong_network ||
                               verdict == nr::decode::checksum_verdict::wrong_transport
                           ? 1
                           : 0;
            }
        BOOST_TEST_CONTEXT(file.string() << ": " << got << ", expected " << expected) {
            BOOST_TEST((got == expected) != other_checksums.contains(file.filename()));
        }
        agree += got == expected ? 1 : 0;
        count += got;
    }
    BOOST_TEST_MESSAGE("figure: wrong checksums, " << count << " packets, as many as tshark finds in " << agree
                                                   << " of 375 captures");
}
