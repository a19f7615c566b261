#include "files.hpp"
#include <netring_asio/pcap/reader.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <deque>
#include <lab/lab.hpp>
#include <random>
#include <stop_token>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pcap = netring_asio::pcap;
using netring_asio::error;
using netring_asio::error_code;
using netring_asio::link_type;
using netring_asio::packet_batch;
using netring_asio::packet_view;
using netring_asio::timestamp;
using namespace std::chrono_literals;

namespace {

struct contents {
    std::vector<std::string> data;
    std::vector<packet_view> packets; // without their bytes
    error_code end;
};

contents read_all(pcap::reader_options const& options) {
    contents result;
    pcap::reader reader;
    reader.open(options, result.end);
    packet_batch batch;
    while (!result.end && reader.read(batch, result.end) != 0)
        for (auto packet : batch) {
            result.data.push_back(files::text(packet.data));
            packet.data = {};
            result.packets.push_back(packet);
        }
    return result;
}

contents read_all(files::fs::path const& path) { return read_all(pcap::reader_options{path}); }

std::string const ethernet_frame(60, 'e');

} // namespace

BOOST_AUTO_TEST_CASE(every_trace_has_as_many_packets_as_other_tools_say, *files::has_traces()) {
    std::size_t agreeing = 0;
    for (auto const& trace : files::traces()) {
        auto const name = trace.path.filename().string();
        BOOST_TEST_CONTEXT(name) {
            auto const got = read_all(trace.path);
            if (name == "gopacket_le_test102.pcapng") { // interfaces of different snap lengths
                BOOST_TEST(got.end == error::mixed_link_types);
            } else if (name == "pcpp_microsecs_big_endian.pcap") { // netlink
                BOOST_TEST(got.end == error::unsupported_link_type);
                BOOST_TEST(read_all(pcap::reader_options{trace.path}.any_link_type()).data.size() == trace.packets);
            } else {
                BOOST_TEST(got.end == error_code{});
                BOOST_TEST(got.data.size() == trace.packets);
                ++agreeing;
            }
        }
    }
    BOOST_TEST(agreeing > 300);
}

BOOST_AUTO_TEST_CASE(times_and_lengths_are_those_that_tshark_sees, *files::has_traces() * lab::has_program("tshark")) {
    for (char const* const name :
         {"link/pcpp_nanosecs.pcap", "link/tcpdump_time_2038.pcap", "link/pcpp_sll2.pcap", "link/pcpp_raw_ip.pcap",
          "link/pcpp_null_loopback.pcap", "link/pcpp_linktype_ipv4.pcap", "link/zeek_pcapng-multi-interface.pcapng",
          "link/zeek_snap-tcp.pcap", "link/gopacket_be_test016.pcapng", "vlan/zeek_vlan-pcp-dei.pcapng",
          "malformed/ndpi_reasm_crash_anon.pcapng", "trunc/ndpi_badpackets.pcap", "cid/cid_tcp.pcap"})
        BOOST_TEST_CONTEXT(name) {
            auto const path = files::traces_folder() / name;
            auto expected = files::tshark(path, {"frame.time_epoch", "frame.len", "frame.cap_len"});
            for (auto& line : expected)
                if (line.starts_with(' ')) // a simple packet block, which has no time
                    line.insert(0, "0.000000000");
            auto const got = read_all(path);
            std::vector<std::string> ours;
            for (std::size_t i = 0; i != got.packets.size(); ++i)
                ours.push_back(files::epoch(got.packets[i].time) + ' ' + std::to_string(got.packets[i].wire_length) +
                               ' ' + std::to_string(got.data[i].size()));
            BOOST_TEST(ours == expected, boost::test_tools::per_element());
        }
}

BOOST_AUTO_TEST_CASE(both_byte_orders_and_resolutions_of_classic_files) {
    files::temporary_folder const folder;
    for (bool const big_endian : {false, true})
        for (bool const nanoseconds : {false, true}) {
            files::classic const file{nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, 1, big_endian};
            auto const path =
                files::write(folder / "x.pcap", file.header() + file.packet(1'700'000'000, 123'456, ethernet_frame) +
                                                    file.packet(4'000'000'000, 7, "short", 1500));
            auto const got = read_all(path);
            BOOST_TEST_REQUIRE(got.packets.size() == 2);
            BOOST_TEST(got.end == error_code{});
            BOOST_TEST(got.data[0] == ethernet_frame);
            BOOST_TEST(got.packets[0].wire_length == 60U);
            BOOST_TEST(files::epoch(got.packets[0].time) ==
                       (nanoseconds ? "1700000000.000123456" : "1700000000.123456000"));
            BOOST_TEST(files::epoch(got.packets[1].time) ==
                       (nanoseconds ? "4000000000.000000007" : "4000000000.000007000")); // after 2038
            BOOST_TEST(got.packets[1].wire_length == 1500U);
            BOOST_TEST(got.data[1] == "short");
        }
}

BOOST_AUTO_TEST_CASE(link_types) {
    files::temporary_folder const folder;
    auto const link_of = [&](std::uint32_t number, bool any = false) {
        files::classic const file{0xa1b2c3d4, number};
        pcap::reader reader;
        error_code ec;
        reader.open(pcap::reader_options{files::write(folder / "x.pcap", file.header())}.any_link_type(any), ec);
        return ec ? std::string{ec == error::unsupported_link_type ? "unsupported" : ec.message()}
                  : std::to_string(static_cast<int>(reader.link().value()));
    };
    BOOST_TEST(link_of(0) == "0");
    BOOST_TEST(link_of(1) == "1");
    for (auto const raw : {12U, 14U, 101U})
        BOOST_TEST(link_of(raw) == "101");
    for (auto const same : {108U, 113U, 228U, 229U, 276U})
        BOOST_TEST(link_of(same) == std::to_string(same));
    BOOST_TEST(link_of(105) == "unsupported");
    BOOST_TEST(link_of(105, true) == "105");
}

BOOST_AUTO_TEST_CASE(cooked_headers_tell_direction_protocol_and_interface) {
    files::temporary_folder const folder;
    auto const big = [](std::uint64_t value, std::size_t size) { return files::number(value, size, true); };
    files::classic const first{0xa1b2c3d4, 113};
    auto got = read_all(files::write(
        folder / "1.pcap",
        first.header() +
            first.packet(1, 0, big(4, 2) + big(1, 2) + big(6, 2) + std::string(8, 'a') + big(0x86dd, 2) + "data")));
    BOOST_TEST_REQUIRE(got.packets.size() == 1);
    BOOST_TEST((got.packets[0].direction == netring_asio::direction::outgoing));
    BOOST_TEST(got.packets[0].protocol == 0x86dd);

    files::classic const second{0xa1b2c3d4, 276};
    got = read_all(files::write(
        folder / "2.pcap", second.header() + second.packet(1, 0,
                                                           big(0x0800, 2) + big(0, 2) + big(70000, 4) + big(1, 2) +
                                                               big(2, 1) + big(6, 1) + std::string(8, 'a') + "data")));
    BOOST_TEST_REQUIRE(got.packets.size() == 1);
    BOOST_TEST((got.packets[0].direction == netring_asio::direction::multicast));
    BOOST_TEST(got.packets[0].protocol == 0x0800);
    BOOST_TEST(got.packets[0].interface_index == 70000);
}

BOOST_AUTO_TEST_CASE(a_file_that_is_cut_off_delivers_what_is_whole) {
    files::temporary_folder const folder;
    files::classic const file;
    auto const whole = file.header() + file.packet(1, 0, ethernet_frame) + file.packet(2, 0, ethernet_frame);
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        auto const got = read_all(files::write(folder / "x.pcap", std::string_view{whole}.substr(0, size)));
        BOOST_TEST(got.packets.size() == (size < 24 + 76 ? 0U : size < whole.size() ? 1U : 2U));
        bool const at_boundary = size == 24 || size == 24 + 76 || size == whole.size();
        BOOST_TEST(got.end == (at_boundary ? error_code{} : error_code{error::truncated_capture_file}));
    }
}

BOOST_AUTO_TEST_CASE(the_end_is_told_again_and_again) {
    files::temporary_folder const folder;
    files::classic const file;
    auto const whole = file.header() + file.packet(1, 0, ethernet_frame);
    packet_batch batch;
    error_code ec;

    pcap::reader reader{pcap::reader_options{files::write(folder / "x.pcap", whole)}};
    BOOST_TEST(!reader.at_end());
    BOOST_TEST(reader.read(batch, ec) == 1U);
    for (int i = 0; i != 3; ++i) {
        BOOST_TEST(reader.read(batch, ec) == 0U);
        BOOST_TEST(batch.empty());
        BOOST_TEST(ec == error_code{});
        BOOST_TEST(reader.at_end());
    }
    reader.close();
    BOOST_TEST(reader.read(batch, ec) == 0U);
    BOOST_TEST(ec == error::not_open);

    reader.open(pcap::reader_options{files::write(folder / "y.pcap", whole + "tail")});
    BOOST_TEST(reader.read(batch, ec) == 1U);
    for (int i = 0; i != 3; ++i) {
        BOOST_TEST(reader.read(batch, ec) == 0U);
        BOOST_TEST(ec == error::truncated_capture_file);
    }
}

BOOST_AUTO_TEST_CASE(errors_at_opening) {
    files::temporary_folder const folder;
    BOOST_TEST(read_all(folder / "absent").end == boost::system::errc::no_such_file_or_directory);
    BOOST_TEST(read_all(folder / ".").end == boost::system::errc::is_a_directory);
    BOOST_TEST(read_all(files::write(folder / "text", "this is no capture file")).end == error::bad_capture_file);
    BOOST_TEST(read_all(files::write(folder / "empty", "")).end == error::truncated_capture_file);
    auto const good = files::write(folder / "good", files::classic{}.header());
    for (auto const& options :
         {pcap::reader_options{good}.batch_packets(0), pcap::reader_options{good}.batch_packets(65537),
          pcap::reader_options{good}.batch_bytes(4095)})
        BOOST_TEST(read_all(options).end == error::invalid_option);
    error_code ec;
    pcap::reader reader{pcap::reader_options{good}};
    reader.open(pcap::reader_options{good}, ec);
    BOOST_TEST(ec == error::already_open);
    BOOST_CHECK_THROW(pcap::reader{pcap::reader_options{folder / "absent"}}, netring_asio::system_error);
}

BOOST_AUTO_TEST_CASE(damaged_records_are_told) {
    files::temporary_folder const folder;
    files::classic const file;
    auto const record = files::number(1, 4) + files::number(0, 4) + files::number(0x7fffffff, 4) + files::number(60, 4);
    auto const got =
        read_all(files::write(folder / "x.pcap", file.header() + file.packet(1, 0, ethernet_frame) + record + record));
    BOOST_TEST(got.packets.size() == 1U);
    BOOST_TEST(got.end == error::bad_capture_file);
}

BOOST_AUTO_TEST_CASE(pcapng_of_two_link_types_is_refused_with_a_reason) {
    using files::block;
    using files::number;
    files::temporary_folder const folder;
    auto const section = block(0x0a0d0d0a, number(0x1a2b3c4d, 4) + number(1, 2) + number(0, 2) + number(~0ULL, 8));
    auto const interface = [](unsigned link) { return block(1, number(link, 2) + number(0, 2) + number(0, 4)); };
    auto const packet = block(6, number(0, 4) + number(0, 8) + number(60, 4) + number(60, 4) + ethernet_frame);
    auto const got = read_all(files::write(folder / "x", section + interface(1) + packet + interface(113) + packet));
    BOOST_TEST(got.packets.size() == 1U);
    BOOST_TEST(got.end == error::mixed_link_types);
}

BOOST_AUTO_TEST_CASE(absurd_times_and_lengths_are_clamped) {
    using files::block;
    using files::number;
    files::temporary_folder const folder;
    auto const section = block(0x0a0d0d0a, number(0x1a2b3c4d, 4) + number(1, 2) + number(0, 2) + number(~0ULL, 8));
    for (auto const resolution : {0U, 6U, 9U, 0x80U, 0xbfU}) {
        auto const interface =
            block(1, number(1, 2) + number(0, 2) + number(0, 4) + number(9, 2) + number(1, 2) + number(resolution, 4) +
                         number(14, 2) + number(8, 2) + number(0x7fffffffffffffff, 8) + number(0, 4));
        auto const packet = block(6, number(0, 4) + number(~0ULL, 8) + number(60, 4) + number(0, 4) + ethernet_frame);
        auto const got = read_all(files::write(folder / "x", section + interface + packet));
        BOOST_TEST(got.end == error_code{});
        BOOST_TEST_REQUIRE(got.packets.size() == 1U);
        BOOST_TEST((got.packets[0].time == timestamp::max() || got.packets[0].time == timestamp::min()));
        BOOST_TEST(got.packets[0].wire_length == 60U);
    }
}

BOOST_AUTO_TEST_CASE(mutations_of_traces_never_crash, *files::has_traces()) {
    files::temporary_folder const folder;
    std::mt19937 random{20240607};
    std::size_t packets = 0;
    for (char const* const name : {"link/zeek_pcapng-multi-interface.pcapng", "link/gopacket_le_test102.pcapng",
                                   "link/gopacket_be_test016.pcapng", "link/pcpp_sll2.pcap", "link/pcpp_nanosecs.pcap",
                                   "vlan/zeek_vlan-pcp-dei.pcapng", "link/zeek_snap-tcp.pcap"}) {
        auto const original = files::read(files::traces_folder() / name);
        for (int round = 0; round != 150; ++round) {
            auto bytes = original;
            for (auto flips = random() % 12; flips != 0; --flips)
                bytes[random() % bytes.size()] = static_cast<char>(random());
            if (random() % 4 == 0)
                bytes.resize(random() % bytes.size());
            if (random() % 4 == 0)
                bytes.insert(random() % (bytes.size() + 1), files::number(random(), 4));
            packets += read_all(pcap::reader_options{files::write(folder / "x", bytes)}.any_link_type()).packets.size();
        }
    }
    BOOST_TEST(packets > 1000U);
}

BOOST_AUTO_TEST_CASE(batches_are_bounded_and_outlive_the_reader) {
    files::temporary_folder const folder;
    files::classic const file;
    auto bytes = file.header();
    for (std::uint32_t i = 0; i != 1000; ++i)
        bytes += file.packet(i, 0, files::number(i, 4) + std::string(996, 'x'));
    bytes += file.packet(1000, 0, std::string(100'000, 'l'));
    files::write(folder / "x.pcap", bytes);

    std::deque<packet_batch> batches;
    {
        pcap::reader reader{pcap::reader_options{folder / "x.pcap"}.batch_packets(7).batch_bytes(4096)};
        for (packet_batch batch; reader.read(batch) != 0;)
            batches.push_back(std::move(batch));
        BOOST_TEST(reader.statistics().packets == 1001U);
        BOOST_TEST(reader.statistics().bytes == 1'100'000U);
    }
    std::uint32_t next = 0;
    for (auto const& batch : batches) {
        BOOST_TEST(batch.size() <= 4U);
        BOOST_TEST((batch.info().first_time == timestamp{std::chrono::seconds{next}}));
        for (auto const& packet : batch) {
            if (next < 1000)
                BOOST_TEST(files::text(packet.data.first(4)) == files::number(next, 4));
            ++next;
        }
    }
    BOOST_TEST(next == 1001U);
    BOOST_TEST((*batches.back().begin()).data.size() == 100'000U);
    std::thread{[&] { batches.clear(); }}.join();
}

BOOST_AUTO_TEST_CASE(frames_share_the_memory_up_to_the_pin_budget) {
    files::temporary_folder const folder;
    files::classic const file;
    auto bytes = file.header();
    for (std::uint32_t i = 0; i != 8; ++i)
        bytes += file.packet(i, 0, files::number(i, 4) + ethernet_frame);
    files::write(folder / "x.pcap", bytes);

    std::vector<netring_asio::frame> frames;
    pcap::reader reader{pcap::reader_options{folder / "x.pcap"}.batch_packets(2).pin_budget(2)};
    for (packet_batch batch; reader.read(batch) != 0;)
        for (auto const& packet : batch) {
            frames.push_back(batch.hold(packet));
            BOOST_TEST(frames.back().copied() == (frames.size() > 4));
            BOOST_TEST((frames.back()->data.data() == packet.data.data()) == (frames.size() <= 4));
        }
    BOOST_TEST(reader.statistics().copied == 4U);
    BOOST_TEST(reader.statistics().pinned_batches == 2U);
    for (std::uint32_t i = 0; i != 8; ++i)
        BOOST_TEST(files::text(frames[i]->data) == files::number(i, 4) + ethernet_frame);
    frames.clear();
    BOOST_TEST(reader.statistics().pinned_batches == 0U);
}

BOOST_AUTO_TEST_CASE(a_pipe_delivers_what_is_whole_at_once) {
    int ends[2];
    BOOST_TEST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    auto const send = [&](std::string const& bytes) {
        BOOST_TEST(::write(ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    };
    files::classic const file;
    send(file.header());
    pcap::reader reader;
    reader.assign(ends[0], pcap::reader_options{});
    BOOST_TEST((reader.link() == link_type::ethernet));

    // Two packets and a half: the two must come now, although the rest does only after they were seen.
    auto const packet = file.packet(1, 0, ethernet_frame);
    send(packet + packet + packet.substr(0, 50));
    packet_batch batch;
    BOOST_TEST(reader.read(batch) == 2U);
    send(packet.substr(50) + packet);
    BOOST_TEST(reader.read(batch) == 2U);
    ::close(ends[1]);
    BOOST_TEST(reader.read(batch) == 0U);
    BOOST_TEST(reader.at_end());
}

BOOST_AUTO_TEST_CASE(a_wait_for_a_pipe_can_be_stopped) {
    files::temporary_folder const folder;
    auto const fifo = folder / "fifo";
    BOOST_TEST_REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    std::stop_source source;
    std::jthread const stopper{[&] {
        std::this_thread::sleep_for(50ms);
        source.request_stop();
    }};
    BOOST_TEST(read_all(pcap::reader_options{fifo}.stop_token(source.get_token())).end ==
               boost::system::errc::operation_canceled);
}

BOOST_AUTO_TEST_CASE(a_filter_passes_what_tcpdump_passes, *files::has_traces() * lab::has_program("tcpdump")) {
    for (auto const& [name, expression] : std::vector<std::pair<std::string, std::string>>{
             {"vlan/zeek_vlan-pcp-dei.pcapng", "vlan"},
             {"vlan/zeek_vlan-pcp-dei.pcapng", "not vlan"},
             {"vlan/zeek_vlan-pcp-dei.pcapng", "vlan and tcp"},
             {"link/pcpp_sll2.pcap", "udp or tcp"},
             {"link/pcpp_raw_ip.pcap", "tcp port 80 or udp"},
             {"link/pcpp_null_loopback.pcap", "ip"},
             {"malformed/ndpi_fuzz-2006-09-29-28586.pcap", "tcp[13] & 2 != 0"}})
        BOOST_TEST_CONTEXT(name << ": " << expression) {
            auto const path = files::traces_folder() / name;
            auto const expected =
                files::lines_of("tcpdump -n -t -q -r '" + path.string() + "' --count '" + expression + "'").at(0);
            pcap::reader reader{pcap::reader_options{path}.filter(expression).batch_packets(3)};
            packet_batch batch;
            std::size_t count = 0;
            while (auto const more = reader.read(batch))
                count += more;
            BOOST_TEST(expected.starts_with(std::to_string(count) + " packet"));
            BOOST_TEST(reader.statistics().packets == count);
            BOOST_TEST(reader.statistics().packets + reader.statistics().filtered == read_all(path).packets.size());
        }
}

BOOST_AUTO_TEST_CASE(a_bad_filter_is_told_with_its_place) {
    files::temporary_folder const folder;
    auto const options =
        pcap::reader_options{files::write(folder / "x.pcap", files::classic{}.header())}.filter("udp and oops");
    BOOST_TEST(read_all(options).end == error::bad_filter);
    BOOST_CHECK_EXCEPTION(pcap::reader{options}, netring_asio::system_error, [](auto const& thrown) {
        return thrown.code() == error::bad_filter &&
               std::string{thrown.what()}.find("udp and oops") != std::string::npos;
    });
}
