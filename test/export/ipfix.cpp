#include "flows.hpp"
#include "pcap/files.hpp"
#include <netring_asio/export/ipfix_exporter.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <lab/lab.hpp>
#include <set>
#include <thread>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace flow = netring_asio::flow;
namespace exports = netring_asio::exports;
using namespace std::chrono_literals;

namespace {

net::ip::address const here = net::ip::address_v4::loopback();

struct outcome {
    nr::error_code error;
    std::size_t count = 0;
};

outcome export_all(net::io_context& context, exports::ipfix_exporter& exporter, std::span<flow::event const> events) {
    outcome result{nr::error::timed_out};
    exporter.async_export(events, [&](nr::error_code ec, std::size_t n) { result = {ec, n}; });
    context.restart();
    context.run_for(20s);
    return result;
}

/// A line for each direction: addresses, ports, protocol, packets and bytes.
std::multiset<std::string> expected_lines(std::vector<flow::event> const& events) {
    std::multiset<std::string> lines;
    for (auto const& e : events) {
        auto const line = [&](auto const& from, auto const& to, flow::direction_stats const& d) {
            lines.insert(from.address.to_string(e.key.ip_version) + ',' + std::to_string(from.port) + ',' +
                         to.address.to_string(e.key.ip_version) + ',' + std::to_string(to.port) + ',' +
                         std::to_string(e.key.protocol) + ',' + std::to_string(d.packets) + ',' +
                         std::to_string(d.ip_bytes));
        };
        line(e.initiator(), e.responder(), e.stats.forward);
        line(e.responder(), e.initiator(), e.stats.reverse);
    }
    return lines;
}

std::string without_blanks(std::string text) {
    std::erase_if(text, [](char c) { return c == ' '; });
    return text;
}

/// Messages as tshark sees them, whatever the collector would make of them: fields of each record.
std::vector<std::string> read_by_tshark(files::temporary_folder const& folder, std::string const& bytes,
                                        std::vector<std::string> const& fields) {
    files::write(folder / "stream", bytes);
    std::string command = "od -Ax -tx1 -v " + (folder / "stream").string() + " | text2pcap -q -T 1000,4739 - " +
                          (folder / "stream.pcap").string() + " && tshark -n -r " + (folder / "stream.pcap").string() +
                          " -d tcp.port==4739,cflow -T fields -E separator=/s";
    for (auto const& field : fields)
        command += " -e " + field;
    return files::lines_of(command);
}

std::string as_text(std::vector<std::byte> const& bytes) { return files::text(bytes); }

} // namespace

BOOST_AUTO_TEST_CASE(a_real_collector_reads_flows_over_udp, *lab::available() * lab::has_program("nfcapd")) {
    lab::network const net;
    files::temporary_folder const folder;
    auto collector = net.start({"nfcapd", "-w", folder.path().string(), "-b", "127.0.0.1", "-p", "4739", "-t", "3600"});
    // It listens when its socket is there.
    auto const listens = [&] { return net.run({"cat", "/proc/net/udp"}).find(":1283 ") != std::string::npos; };
    for (int i = 0; i != 500 && !listens(); ++i)
        std::this_thread::sleep_for(10ms);
    BOOST_REQUIRE(listens());

    auto const events = test::ended_flows(500);
    net::io_context context;
    exports::ipfix_exporter exporter{context, exports::ipfix_exporter_options{here}};
    auto const result = net.enter([&] { return export_all(context, exporter, events); });
    BOOST_TEST(!result.error);
    BOOST_TEST(result.count == events.size());
    BOOST_TEST(exporter.statistics().records == 1000u);
    BOOST_TEST(exporter.statistics().messages > 50u);
    std::this_thread::sleep_for(200ms);
    collector.stop();

    std::multiset<std::string> got;
    auto const lines = files::lines_of("nfdump -R " + folder.path().string() +
                                       " -q -6 -N -o 'fmt:%sa,%sp,%da,%dp,%pr,%pkt,%byt|%ts,%td,%flg'");
    for (auto const& line : lines) {
        auto const text = without_blanks(line);
        auto const bar = text.find('|');
        if (bar == std::string::npos)
            continue;
        got.insert(text.substr(0, bar));
        BOOST_TEST(text.find("1.500", bar) != std::string::npos); // the duration
    }
    BOOST_TEST((got == expected_lines(events)));
    for (auto const& line : got)
        if (!expected_lines(events).contains(line)) {
            BOOST_TEST_MESSAGE("not expected: " << line);
            break;
        }
    BOOST_TEST_MESSAGE("figure: " << got.size() << " records sent over UDP, read back from nfcapd by nfdump");
}

BOOST_AUTO_TEST_CASE(a_collector_over_tcp_gets_the_same, *lab::available()) {
    lab::network const net;
    files::temporary_folder const folder;
    auto const script = R"(
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', 4739)); s.listen(); print('ready', flush=True)
c = s.accept()[0]; out = open(sys.argv[1], 'wb')
while True:
    b = c.recv(65536)
    if not b: break
    out.write(b)
out.close(); print('done', flush=True)
)";
    auto collector = net.start({"python3", "-c", script, (folder / "received").string()});
    BOOST_REQUIRE(collector.wait_for_output("ready", 10s));
    auto const events = test::ended_flows(200);
    net::io_context context;
    exports::ipfix_exporter exporter{context, exports::ipfix_exporter_options{here}
                                                  .transport(exports::ipfix_transport::tcp)
                                                  .encoding(exports::ipfix_encoding{}.observation_domain(7))};
    net.enter([&] {
        for (auto const part : {std::span{events}.first(50), std::span{events}.subspan(50)}) {
            auto const result = export_all(context, exporter, part);
            BOOST_TEST(!result.error);
            BOOST_TEST(result.count == part.size());
        }
    });
    exporter.close();
    BOOST_REQUIRE(collector.wait_for_output("done", 10s));
    BOOST_TEST(exporter.statistics().connections == 1u);

    auto const records = read_by_tshark(folder, files::read(folder / "received"), {"cflow.packets"});
    std::size_t count = 0;
    for (auto const& line : records)
        count += static_cast<std::size_t>(std::count(line.begin(), line.end(), ',') + 1);
    BOOST_TEST(count == 400u);
    BOOST_TEST_MESSAGE("figure: " << count << " records sent over TCP, read by tshark");
}

BOOST_AUTO_TEST_CASE(every_field_of_a_record) {
    files::temporary_folder const folder;
    for (bool const biflow : {false, true})
        for (std::uint32_t const enterprise : {0U, 32473U}) {
            exports::ipfix_encoder encoder{exports::ipfix_encoding{}.biflow(biflow).enterprise(enterprise)};
            std::vector<std::byte> message;
            auto const events = std::vector{test::ended_flow(1, false, 6), test::ended_flow(2, true, 17)};
            BOOST_TEST(encoder.encode(events, nr::timestamp{}, message) == 2u);
            BOOST_TEST(encoder.records() == (biflow ? 2u : 4u));
            auto const seen =
                read_by_tshark(folder, as_text(message),
                               {"cflow.srcaddr", "cflow.srcaddrv6", "cflow.srcport", "cflow.dstport", "cflow.protocol",
                                "cflow.flow_end_reason", "cflow.tcp_seq_num", "_ws.malformed"});
            BOOST_REQUIRE(seen.size() == 1u);
            auto const want = biflow ? "10.0.0.1 2001:db8::1 1001,1002 443,443 6,17 1,3 4000000001,4000000001,0,0"
                                     : "10.0.0.1,10.0.0.2 2001:db8::1,2001:db8::2 1001,443,1002,443 443,1001,443,1002 "
                                       "6,6,17,17 1,1,3,3 4000000001,4000000001,0,0";
            BOOST_TEST_CONTEXT("biflow " << biflow << ", enterprise " << enterprise) {
                BOOST_TEST(seen[0].substr(0, std::string{want}.size()) == want);
            }
        }
}

BOOST_AUTO_TEST_CASE(messages_fit_and_are_counted) {
    auto const events = test::ended_flows(300);
    for (bool const biflow : {false, true})
        for (std::size_t const limit : {1024U, 1400U, 9000U}) {
            exports::ipfix_encoder encoder{
                exports::ipfix_encoding{}.max_message(limit).biflow(biflow).enterprise(32473)};
            std::span<flow::event const> left{events};
            std::vector<std::byte> message;
            std::uint32_t sequence = 0;
            while (!left.empty()) {
                auto const count = encoder.encode(left, nr::timestamp{}, message);
                BOOST_REQUIRE(count != 0u);
                BOOST_REQUIRE(message.size() <= limit);
                auto const* const at = reinterpret_cast<unsigned char const*>(message.data());
                BOOST_REQUIRE((at[2] << 8 | at[3]) == static_cast<int>(message.size()));
                BOOST_REQUIRE((static_cast<std::uint32_t>(at[8]) << 24 | static_cast<std::uint32_t>(at[9]) << 16 |
                               static_cast<std::uint32_t>(at[10]) << 8 | at[11]) == sequence);
                sequence = encoder.records();
                left = left.subspan(count);
            }
            BOOST_TEST(sequence == (biflow ? 300u : 600u));
        }
}

BOOST_AUTO_TEST_CASE(a_message_taken_back_does_not_count) {
    exports::ipfix_encoder encoder;
    std::vector<std::byte> first;
    std::vector<std::byte> second;
    auto const events = test::ended_flows(1);
    encoder.encode(events, nr::timestamp{}, first);
    encoder.take_back();
    encoder.encode(events, nr::timestamp{}, second);
    BOOST_TEST((first == second)); // with the templates
    encoder.encode(events, nr::timestamp{}, second);
    BOOST_TEST(second.size() < first.size());
    auto started = test::ended_flow(0, false, 6);
    started.kind = flow::event_kind::started;
    BOOST_TEST(encoder.encode(std::vector{started}, nr::timestamp{}, second) == 1u);
    BOOST_TEST(second.empty());
}

BOOST_AUTO_TEST_CASE(without_a_collector_it_says_so_and_tries_again, *lab::available()) {
    lab::network const net;
    auto const events = test::ended_flows(4);
    net::io_context context;
    exports::ipfix_exporter exporter{context,
                                     exports::ipfix_exporter_options{here}.transport(exports::ipfix_transport::tcp)};
    net.enter([&] {
        for (int i = 0; i != 2; ++i) {
            auto const result = export_all(context, exporter, events);
            BOOST_TEST((result.error == net::error::connection_refused));
            BOOST_TEST(result.count == 0u);
        }
    });
    BOOST_TEST(exporter.statistics().records == 0u);
}

BOOST_AUTO_TEST_CASE(default_tokens) {
    net::io_context context;
    exports::ipfix_exporter exporter{context, exports::ipfix_exporter_options{here}};
    auto awaitable = net::use_awaitable.as_default_on(std::move(exporter));
    auto nothing = awaitable.async_export({}, net::use_future);
    context.run();
    BOOST_TEST(nothing.get() == 0u);
}

BOOST_AUTO_TEST_CASE(one_export_at_a_time_and_cancellation, *lab::available()) {
    lab::network const net;
    auto listener = net.start({"python3", "-c",
                               "import socket,time\ns=socket.socket();s.bind(('127.0.0.1',4739));s.listen()\n"
                               "print('ready',flush=True);time.sleep(60)"});
    BOOST_REQUIRE(listener.wait_for_output("ready", 10s));
    // More than socket buffers take, which nobody reads.
    auto const events = test::ended_flows(200'000);
    net::io_context context;
    exports::ipfix_exporter exporter{context,
                                     exports::ipfix_exporter_options{here}.transport(exports::ipfix_transport::tcp)};
    net.enter([&] {
        outcome first;
        outcome second{nr::error::timed_out};
        net::cancellation_signal signal;
        bool ended = false;
        exporter.async_export(events, net::bind_cancellation_slot(signal.slot(), [&](nr::error_code ec, std::size_t n) {
                                  first = {ec, n};
                                  ended = true;
                              }));
        exporter.async_export(events, [&](nr::error_code ec, std::size_t n) { second = {ec, n}; });
        BOOST_TEST((second.error == nr::error::timed_out)); // never within the initiation
        context.run_for(300ms);
        BOOST_TEST((second.error == nr::error::operation_in_progress));
        BOOST_TEST(!ended);
        signal.emit(net::cancellation_type::partial);
        context.run_for(5s);
        BOOST_TEST(ended);
        BOOST_TEST((first.error == net::error::operation_aborted));
        BOOST_TEST(first.count < events.size());
        // Destruction ends what is pending.
        outcome third{nr::error::timed_out};
        {
            auto moved = std::move(exporter);
            moved.async_export(events, [&](nr::error_code ec, std::size_t n) { third = {ec, n}; });
            context.restart();
            context.run_for(100ms);
        }
        context.restart();
        context.run_for(5s);
        BOOST_TEST((third.error == net::error::operation_aborted));
    });
}
