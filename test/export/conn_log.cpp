#include "flows.hpp"
#include "pcap/files.hpp"
#include <netring_asio/export/conn_log.hpp>
#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/pcap/reader.hpp>

#include <boost/test/unit_test.hpp>

#include <sstream>

namespace nr = netring_asio;
namespace flow = netring_asio::flow;
namespace exports = netring_asio::exports;

namespace {

std::vector<std::string> split(std::string const& text, char at) {
    std::vector<std::string> parts;
    std::istringstream in{text};
    for (std::string part; std::getline(in, part, at);)
        parts.push_back(part);
    return parts;
}

std::string log_of(std::vector<flow::event> const& events, exports::conn_log_options const& options,
                   std::string_view service = {}) {
    std::ostringstream out;
    exports::conn_log log{out, options};
    for (auto const& e : events)
        log.write(e, service);
    log.finish(nr::timestamp{std::chrono::seconds{1'700'000'100}});
    return out.str();
}

} // namespace

BOOST_AUTO_TEST_CASE(a_line_a_flow_with_zeeks_fields) {
    auto const lines =
        split(log_of({test::ended_flow(1, false, 6)}, exports::conn_log_options{}.community_id(true)), '\n');
    BOOST_REQUIRE(lines.size() == 10u);
    BOOST_TEST(lines[0] == "#separator \\x09");
    BOOST_TEST(lines[1] == "#set_separator\t,");
    BOOST_TEST(lines[4] == "#path\tconn");
    BOOST_TEST(lines[5] == "#open\t2023-11-14-22-13-21");
    BOOST_TEST(lines[9] == "#close\t2023-11-14-22-15-00");
    auto const names = split(lines[6], '\t');
    auto const types = split(lines[7], '\t');
    auto const values = split(lines[8], '\t');
    BOOST_TEST(names.size() == types.size());
    BOOST_REQUIRE(names.size() == values.size() + 1);
    auto const value = [&](std::string const& name) {
        for (std::size_t i = 1; i != names.size(); ++i)
            if (names[i] == name)
                return values[i - 1];
        return std::string{"no such field"};
    };
    BOOST_TEST(value("ts") == "1700000000.124000");
    BOOST_TEST(value("uid").substr(0, 1) == "C");
    BOOST_TEST(value("id.orig_h") == "10.0.0.1");
    BOOST_TEST(value("id.orig_p") == "1001");
    BOOST_TEST(value("id.resp_h") == "10.0.0.2");
    BOOST_TEST(value("id.resp_p") == "443");
    BOOST_TEST(value("proto") == "tcp");
    BOOST_TEST(value("service") == "-");
    BOOST_TEST(value("duration") == "1.500000");
    BOOST_TEST(value("orig_bytes") == "1100");
    BOOST_TEST(value("resp_bytes") == "2100");
    BOOST_TEST(value("conn_state") == "SF");
    BOOST_TEST(value("local_orig") == "-");
    BOOST_TEST(value("missed_bytes") == "6");
    BOOST_TEST(value("history") == "ShADadFf");
    BOOST_TEST(value("orig_pkts") == "11");
    BOOST_TEST(value("orig_ip_bytes") == "1540");
    BOOST_TEST(value("resp_pkts") == "21");
    BOOST_TEST(value("resp_ip_bytes") == "2940");
    BOOST_TEST(value("ip_proto") == "6");
    BOOST_TEST(value("community_id").substr(0, 2) == "1:");
}

// As Zeek has it: a value that reads like one that is not there.
BOOST_AUTO_TEST_CASE(a_service_called_unset_is_not_unset) {
    auto const with = [](std::string_view service) {
        return log_of({test::ended_flow(1, false, 6)}, exports::conn_log_options{}, service);
    };
    BOOST_TEST(with("-").find("\ttcp\t\\x2d\t") != std::string::npos);
    BOOST_TEST(with("(empty)").find("\ttcp\t\\x28empty)\t") != std::string::npos);
    BOOST_TEST(with("a-b").find("\ttcp\ta-b\t") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_initiator_is_the_originator_whichever_end_it_is) {
    auto const line = split(log_of({test::ended_flow(3, true, 17)}, exports::conn_log_options{}), '\n').at(8);
    auto const values = split(line, '\t');
    BOOST_TEST(values.at(2) == "2001:db8::2");
    BOOST_TEST(values.at(3) == "443");
    BOOST_TEST(values.at(4) == "2001:db8::1");
    BOOST_TEST(values.at(6) == "udp");
    BOOST_TEST(values.at(16) == "13");
}

BOOST_AUTO_TEST_CASE(what_is_not_known_is_unset) {
    auto e = test::ended_flow(0, false, 6);
    e.stats.last_time = e.stats.first_time;
    auto const values = split(split(log_of({e}, exports::conn_log_options{}), '\n').at(8), '\t');
    BOOST_TEST(values.at(8) == "-");
    BOOST_TEST(values.at(9) == "-");
    auto const json = log_of({e}, exports::conn_log_options{}.format(exports::log_format::json));
    BOOST_TEST(json.find("duration") == std::string::npos);
    BOOST_TEST(json.find("null") == std::string::npos);
    BOOST_TEST(json.find('#') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(only_ends_give_lines) {
    auto e = test::ended_flow(0, false, 6);
    std::ostringstream out;
    exports::conn_log log{out};
    for (auto const kind : {flow::event_kind::started, flow::event_kind::established, flow::event_kind::late}) {
        e.kind = kind;
        BOOST_TEST(!log.write(e));
    }
    BOOST_TEST(out.str().empty());
    e.kind = flow::event_kind::ended;
    BOOST_TEST(log.write(e));
    BOOST_TEST(log.lines() == 1u);
}

// Another language's parser reads the same from both formats, for the flows of real captures.
BOOST_AUTO_TEST_CASE(both_formats_say_the_same, *files::has_traces()) {
    std::vector<flow::event> events;
    for (auto const* name : {"http/zeek_get.pcap", "dns/zeek_wikipedia.pcap", "cid/cid_ipv6.pcap"}) {
        nr::pcap::reader reader{nr::pcap::reader_options{files::traces_folder() / name}};
        flow::tracker tracker{flow::five_tuple{}};
        nr::packet_batch packets;
        nr::error_code error;
        while (reader.read(packets, error) != 0)
            tracker.track(packets, events);
        while (tracker.flush(events)) {
        }
    }
    files::temporary_folder const folder;
    auto const service = "say \"a\\b\"\tor\n";
    auto const options = exports::conn_log_options{}.community_id(true);
    files::write(folder / "log.tsv", log_of(events, options, service));
    files::write(folder / "log.json",
                 log_of(events, exports::conn_log_options{options}.format(exports::log_format::json), service));
    files::write(folder / "read.py", R"(
import json, sys
lines = open(sys.argv[1]).read().splitlines()
names = next(l for l in lines if l.startswith('#fields')).split('\t')[1:]
types = next(l for l in lines if l.startswith('#types')).split('\t')[1:]
tsv = [l.split('\t') for l in lines if not l.startswith('#')]
objects = [json.loads(l) for l in open(sys.argv[2])]
assert len(tsv) == len(objects)
convert = {'time': float, 'interval': float, 'count': int, 'port': int}
for values, o in zip(tsv, objects):
    assert len(values) == len(names) == len(types)
    row = {n: convert.get(t, lambda x: x.encode().decode('unicode_escape'))(v)
           for n, t, v in zip(names, types, values) if v != '-'}
    del row['uid'], o['uid']
    assert row == o, (row, o)
    assert o['service'] == 'say "a\\b"\tor\n', o
print(len(tsv))
)");
    auto const read = files::lines_of("python3 " + (folder / "read.py").string() + " " + (folder / "log.tsv").string() +
                                      " " + (folder / "log.json").string());
    BOOST_REQUIRE(read.size() == 1u);
    BOOST_TEST(std::stoul(read[0]) > 20u);
    BOOST_TEST_MESSAGE("figure: " << read[0] << " flows of real captures read by Python, the same from both formats");
}
