#include "files.hpp"
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/pcap/reader.hpp>
#include <netring_asio/pcap/recorder.hpp>
#include <netring_asio/pcap/rotating_writer.hpp>
#include <netring_asio/pcap/writer.hpp>

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <lab/lab.hpp>
#include <limits>
#include <regex>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace pcap = netring_asio::pcap;
using netring_asio::direction;
using netring_asio::error;
using netring_asio::error_code;
using netring_asio::link_type;
using netring_asio::owned_packet;
using netring_asio::packet_batch;
using netring_asio::packet_view;
using netring_asio::timestamp;
using pcap::file_format;
using namespace std::chrono_literals;

namespace {

constexpr file_format both_formats[] = {file_format::pcap, file_format::pcapng};

std::span<std::byte const> bytes_of(std::string_view text) { return std::as_bytes(std::span{text}); }

std::string hex(std::string_view bytes) {
    std::string result;
    for (char const c : bytes) {
        result += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
        result += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
    }
    return result;
}

/// The bytes of each packet as tshark sees them, in hexadecimal.
std::vector<std::string> tshark_bytes(files::fs::path const& file) {
    std::vector<std::string> result;
    bool next = false;
    for (auto const& line : files::lines_of("tshark -n -r '" + file.string() + "' -T jsonraw -J frame")) {
        std::smatch found;
        if (next && std::regex_search(line, found, std::regex{"\"([0-9a-f]*)\""}))
            result.push_back(found[1]);
        next = line.find("\"frame_raw\"") != line.npos;
    }
    return result;
}

std::vector<owned_packet> read_all(files::fs::path const& path) {
    std::vector<owned_packet> result;
    pcap::reader reader{pcap::reader_options{path}};
    for (packet_batch batch; reader.read(batch) != 0;)
        for (auto const& packet : batch)
            result.emplace_back(packet);
    return result;
}

auto const macs = std::string("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);

/// A UDP packet over IPv4, from the EtherType on.
std::string const payload =
    std::string("\x08\x00", 2) +
    std::string("\x45\x00\x00\x20\x00\x00\x00\x00\x40\x11\x66\xcb\x0a\x00\x00\x01\x0a\x00\x00\x02"
                "\x00\x07\x00\x09\x00\x0c\x00\x00",
                28) +
    "data";

packet_view packet_of(std::string const& bytes, std::int64_t nanoseconds = 1'700'000'000'123'456'789) {
    packet_view view;
    view.data = bytes_of(bytes);
    view.wire_length = static_cast<std::uint32_t>(bytes.size());
    view.time = timestamp{std::chrono::nanoseconds{nanoseconds}};
    return view;
}

} // namespace

BOOST_AUTO_TEST_CASE(tshark_sees_the_packets_that_were_written, *lab::has_program("tshark")) {
    files::temporary_folder const folder;
    for (auto const format : both_formats) {
        std::vector<std::string> bytes;
        std::vector<std::string> expected;
        pcap::writer writer{pcap::writer_options{folder / "x"}.format(format)};
        for (std::size_t i = 0; i != 40; ++i) {
            bytes.push_back(macs + payload + std::string(i, static_cast<char>(i)));
            auto view =
                packet_of(bytes.back(), 4'000'000'000'000'000'001 + static_cast<std::int64_t>(i) * 1'000'000'007);
            view.wire_length += static_cast<std::uint32_t>(i % 3);
            writer.write(view);
            expected.push_back(files::epoch(view.time) + ' ' + std::to_string(view.wire_length) + ' ' +
                               std::to_string(view.data.size()));
            bytes.back() = hex(bytes.back());
        }
        writer.close();
        BOOST_TEST(files::tshark(folder / "x", {"frame.time_epoch", "frame.len", "frame.cap_len"}) == expected,
                   boost::test_tools::per_element());
        BOOST_TEST(tshark_bytes(folder / "x") == bytes, boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(tags_are_put_back, *lab::has_program("tshark")) {
    files::temporary_folder const folder;
    auto const big = [](std::uint64_t value, std::size_t size) { return files::number(value, size, true); };
    auto const inner = std::string("\x81\x00\x00\x07", 4) + payload;
    auto const sll = big(0, 2) + big(1, 2) + big(6, 2) + std::string(8, '\2') + payload;
    auto const sll2 = payload.substr(0, 2) + big(0, 2) + big(3, 4) + big(1, 2) + big(0, 1) + big(6, 1) +
                      std::string(8, '\2') + payload.substr(2);
    for (auto const format : both_formats)
        for (auto const& [link, bytes, tpid, expected] :
             std::vector<std::tuple<link_type, std::string, int, std::string>>{
                 {link_type::ethernet, macs + payload, 0x8100, " 5 3 10.0.0.2"},
                 {link_type::ethernet, macs + inner, 0x88a8, "5 7 0 10.0.0.2"},
                 {link_type::linux_sll, sll, 0x8100, " 5 3 10.0.0.2"},
                 {link_type::linux_sll2, sll2, 0x8100, " 5 3 10.0.0.2"}}) {
            pcap::writer writer{pcap::writer_options{folder / "x"}.format(format)};
            auto view = packet_of(bytes);
            view.link = link;
            view.vlan = {static_cast<std::uint16_t>(tpid), 3 << 13 | 5};
            writer.write(view);
            writer.close();
            BOOST_TEST(files::tshark(folder / "x", {"ieee8021ad.id", "vlan.id", "vlan.priority", "ip.dst", "frame.len",
                                                    "frame.cap_len"})
                           .at(0) ==
                       expected + ' ' + std::to_string(bytes.size() + 4) + ' ' + std::to_string(bytes.size() + 4));
            if (link == link_type::ethernet)
                BOOST_TEST(tshark_bytes(folder / "x").at(0) ==
                           hex(macs + big(static_cast<unsigned>(tpid), 2) + big(3 << 13 | 5, 2) + bytes.substr(12)));
        }
}

BOOST_AUTO_TEST_CASE(the_snap_length_counts_the_tag) {
    files::temporary_folder const folder;
    for (auto const format : both_formats)
        for (std::uint32_t snap = 1; snap != 60; ++snap) {
            auto const bytes = macs + payload;
            auto const whole = macs + std::string("\x81\x00\x00\x05", 4) + payload;
            pcap::writer writer{pcap::writer_options{folder / "x"}.format(format).snap_length(snap)};
            auto view = packet_of(bytes);
            writer.write(view);
            view.vlan = {0x8100, 5};
            writer.write(view);
            view.data = view.data.first(13); // too short to have a tag put in
            writer.write(view);
            writer.close();
            auto const read = read_all(folder / "x");
            BOOST_TEST_REQUIRE(read.size() == 3U);
            BOOST_TEST(files::text(read[0]->data) == bytes.substr(0, snap));
            BOOST_TEST(read[0]->wire_length == bytes.size());
            BOOST_TEST(files::text(read[1]->data) == whole.substr(0, snap));
            BOOST_TEST(read[1]->wire_length == whole.size());
            BOOST_TEST(files::text(read[2]->data) == bytes.substr(0, std::min(snap, 13U)));
            BOOST_TEST(read[2]->wire_length == whole.size());
        }
}

BOOST_AUTO_TEST_CASE(interfaces_directions_and_counters_of_a_pcapng_file,
                     *lab::has_program("tshark") * lab::has_program("capinfos") * lab::has_program("python3")) {
    files::temporary_folder const folder;
    auto const bytes = macs + payload;
    auto const raw = payload.substr(2);
    pcap::writer writer{pcap::writer_options{folder / "x"}.interface_names([](std::int32_t index) {
        return index == 7 ? "lan0" : index == 9 ? "wan0" : "";
    })};
    std::pair<direction, std::string> const directions[] = {
        {direction::host, "0x00000005"},      {direction::multicast, "0x00000009"},
        {direction::broadcast, "0x0000000d"}, {direction::other_host, "0x00000011"},
        {direction::outgoing, "0x00000002"},  {direction::unknown, ""}};
    std::vector<std::string> expected;
    for (auto const& [way, flags] : directions)
        for (std::int32_t const index : {7, 9}) {
            auto view = packet_of(index == 7 ? bytes : raw);
            view.link = index == 7 ? link_type::ethernet : link_type::raw_ip;
            view.interface_index = index;
            view.direction = way;
            writer.write(view);
            expected.push_back((index == 7 ? "0 lan0 " : "1 wan0 ") + flags);
        }
    writer.write_counters(7, {100, 3});
    writer.write_counters(9, {5'000'000'000, 6'000'000'000});
    writer.write_counters(7, {200, 4});
    writer.write_counters(11, {1, 0}); // had no packets
    writer.close();
    BOOST_TEST(files::tshark(folder / "x", {"frame.interface_id", "frame.interface_name", "frame.packet_flags"}) ==
                   expected,
               boost::test_tools::per_element());
    auto const path = (folder / "x").string();
    std::string info;
    for (auto const& line : files::lines_of("capinfos '" + path + "'"))
        info += line + '\n';
    BOOST_TEST(info.find("Number of interfaces in file: 3") != info.npos);
    BOOST_TEST(info.find("Name = lan0") != info.npos);
    BOOST_TEST(info.find("Time precision = nanoseconds (9)") != info.npos);
    BOOST_TEST(info.find("Number of stat entries = 2") != info.npos);

    files::write(folder / "statistics.py", R"(
import struct, sys
data = open(sys.argv[1], 'rb').read()
at = 0
while at < len(data):
    kind, length = struct.unpack_from('<II', data, at)
    assert struct.unpack_from('<I', data, at + length - 4)[0] == length and length % 4 == 0
    if kind == 5:
        interface, = struct.unpack_from('<I', data, at + 8)
        option, values = at + 20, {}
        while True:
            code, size = struct.unpack_from('<HH', data, option)
            if code == 0:
                break
            values[code] = struct.unpack_from('<Q', data, option + 4)[0]
            option += 4 + (size + 3) // 4 * 4
        assert option + 8 == at + length
        print(interface, values[4], values[5])
    at += length
)");
    auto const statistics = files::lines_of("python3 '" + (folder / "statistics.py").string() + "' '" + path + "'");
    BOOST_TEST(statistics == (std::vector<std::string>{"0 100 3", "1 5000000000 6000000000", "0 200 4", "2 1 0"}),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(traces_survive_being_rewritten, *files::has_traces()) {
    files::temporary_folder const folder;
    std::size_t files_compared = 0;
    for (auto const& trace : files::traces()) {
        error_code ec;
        pcap::reader reader;
        reader.open(pcap::reader_options{trace.path}, ec);
        if (ec)
            continue;
        auto const format = both_formats[files_compared % 2];
        pcap::writer writer{pcap::writer_options{folder / "x"}.format(format)};
        std::vector<owned_packet> original;
        for (packet_batch batch; reader.read(batch, ec) != 0;) {
            BOOST_TEST(writer.write(batch) == batch.size());
            for (auto const& packet : batch)
                original.emplace_back(packet);
        }
        writer.close();
        if (original.empty())
            continue;
        auto const copy = read_all(folder / "x");
        bool same = copy.size() == original.size();
        for (std::size_t i = 0; same && i != copy.size(); ++i)
            same = files::text(copy[i]->data) == files::text(original[i]->data) &&
                   copy[i]->wire_length == original[i]->wire_length && copy[i]->link == original[i]->link &&
                   copy[i]->time == original[i]->time && copy[i]->direction == original[i]->direction;
        BOOST_TEST(same, trace.path.filename());
        ++files_compared;
    }
    BOOST_TEST(files_compared > 300U);
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_told) {
    auto const bytes = std::string(1000, 'x');
    for (auto const format : both_formats) {
        pcap::writer writer{pcap::writer_options{"/dev/full"}.format(format)};
        error_code ec;
        int accepted = 0;
        for (; !ec && accepted != 10'000; ++accepted)
            writer.write(packet_of(bytes), ec);
        BOOST_TEST(ec == boost::system::errc::no_space_on_device);
        BOOST_TEST(accepted > 100);
        BOOST_TEST(accepted < 10'000);
        writer.flush(ec);
        BOOST_TEST(ec == boost::system::errc::no_space_on_device);
        writer.close(ec);
        BOOST_TEST(ec == boost::system::errc::no_space_on_device);
        BOOST_TEST(!writer.is_open());

        writer.open(pcap::writer_options{"/dev/full"}.format(format));
        writer.write(packet_of(bytes));
        BOOST_CHECK_THROW(writer.close(), netring_asio::system_error);
    }
}

BOOST_AUTO_TEST_CASE(writing_goes_on_where_a_full_disk_stopped_it) {
    files::temporary_folder const folder;
    auto const before = std::signal(SIGXFSZ, SIG_IGN);
    rlimit unlimited{};
    ::getrlimit(RLIMIT_FSIZE, &unlimited);
    auto limited = unlimited;
    limited.rlim_cur = 1'000'001; // in the middle of a packet

    pcap::writer writer{pcap::writer_options{folder / "x"}};
    ::setrlimit(RLIMIT_FSIZE, &limited);
    error_code ec;
    int failures = 0;
    for (std::uint32_t i = 0; i != 3000;) {
        writer.write(packet_of(files::number(i, 4) + std::string(996, 'x')), ec);
        if (!ec) {
            ++i;
        } else {
            BOOST_TEST(ec == boost::system::errc::file_too_large);
            if (++failures == 3)
                ::setrlimit(RLIMIT_FSIZE, &unlimited);
        }
    }
    writer.close();
    ::setrlimit(RLIMIT_FSIZE, &unlimited);
    std::signal(SIGXFSZ, before);
    BOOST_TEST(failures == 3);

    auto const read = read_all(folder / "x");
    BOOST_TEST_REQUIRE(read.size() == 3000U);
    for (std::uint32_t i = 0; i != 3000; ++i)
        BOOST_TEST_REQUIRE(files::text(read[i]->data.first(4)) == files::number(i, 4));
}

BOOST_AUTO_TEST_CASE(what_is_flushed_can_be_read_at_once) {
    files::temporary_folder const folder;
    for (auto const format : both_formats) {
        pcap::writer writer{pcap::writer_options{folder / "x"}.format(format)};
        auto const bytes = macs + payload;
        for (std::size_t i = 1; i != 4; ++i) {
            writer.write(packet_of(bytes));
            writer.flush();
            BOOST_TEST(read_all(folder / "x").size() == i);
        }
    }
}

BOOST_AUTO_TEST_CASE(extreme_packets) {
    files::temporary_folder const folder;
    auto const long_bytes = std::string(600'000, 'l');
    for (auto const format : both_formats) {
        pcap::writer writer{pcap::writer_options{folder / "x"}.format(format)};
        auto view = packet_of(long_bytes, -5);
        view.vlan = {0x8100, 1};
        writer.write(view);
        view.wire_length = std::numeric_limits<std::uint32_t>::max();
        view.time = timestamp::max();
        writer.write(view);
        view = packet_of("");
        writer.write(view);
        writer.close();
        auto const read = read_all(folder / "x");
        BOOST_TEST_REQUIRE(read.size() == 3U);
        BOOST_TEST(read[0]->data.size() == 262144U);
        BOOST_TEST(read[0]->wire_length == 600'004U);
        BOOST_TEST((read[0]->time == timestamp{}));
        BOOST_TEST(read[1]->wire_length == std::numeric_limits<std::uint32_t>::max());
        BOOST_TEST((read[1]->time == timestamp::max() || format == file_format::pcap));
        BOOST_TEST(read[2]->data.empty());
    }
}

BOOST_AUTO_TEST_CASE(a_classic_file_has_one_link_type_and_no_counters) {
    files::temporary_folder const folder;
    auto const options = pcap::writer_options{folder / "x"}.format(file_format::pcap);
    auto const bytes = payload.substr(2);
    auto view = packet_of(bytes);
    view.link = link_type::raw_ip;
    error_code ec;
    pcap::writer writer{options};
    writer.write(view);
    view.link = link_type::ethernet;
    writer.write(view, ec);
    BOOST_TEST(ec == error::mixed_link_types);
    writer.write_counters(0, {}, ec);
    BOOST_TEST(ec == error::unsupported_option);
    writer.close();
    auto const read = read_all(folder / "x");
    BOOST_TEST_REQUIRE(read.size() == 1U);
    BOOST_TEST((read[0]->link == link_type::raw_ip));

    pcap::writer{options}.close();
    BOOST_TEST((pcap::reader{pcap::reader_options{folder / "x"}}.link() == link_type::ethernet));
    writer.open(pcap::writer_options{options}.link(link_type::linux_sll));
    writer.flush();
    BOOST_TEST((pcap::reader{pcap::reader_options{folder / "x"}}.link() == link_type::linux_sll));
}

BOOST_AUTO_TEST_CASE(errors_of_a_writer) {
    files::temporary_folder const folder;
    pcap::writer writer;
    error_code ec;
    writer.write(packet_of(""), ec);
    BOOST_TEST(ec == error::not_open);
    writer.flush(ec);
    BOOST_TEST(ec == error::not_open);
    writer.close(ec);
    BOOST_TEST(ec == error_code{});
    writer.open(pcap::writer_options{folder / "absent" / "x"}, ec);
    BOOST_TEST(ec == boost::system::errc::no_such_file_or_directory);
    auto const kept = files::write(folder / "kept", "kept");
    for (auto const snap : {0U, 262145U}) {
        writer.open(pcap::writer_options{kept}.snap_length(snap), ec);
        BOOST_TEST(ec == error::invalid_option);
    }
    BOOST_TEST(files::read(kept) == "kept");
    writer.open(pcap::writer_options{kept});
    writer.open(pcap::writer_options{kept}, ec);
    BOOST_TEST(ec == error::already_open);
    BOOST_CHECK_THROW(pcap::writer{pcap::writer_options{folder / "absent" / "x"}}, netring_asio::system_error);
}

BOOST_AUTO_TEST_CASE(durations_for_ever_and_any_time_make_one_file) {
    files::temporary_folder const folder;
    pcap::rotating_writer writer{
        pcap::rotation_options{folder / "rotated"}.max_duration(std::chrono::nanoseconds::max())};
    std::string const bytes = "some bytes";
    auto packet = packet_of(bytes);
    error_code ec;
    for (auto const time : {timestamp{1h}, timestamp{2h}, timestamp::max(), timestamp::max(), timestamp::min()}) {
        packet.time = time;
        writer.write(packet, ec);
        BOOST_TEST(!ec, ec.message());
    }
    BOOST_TEST(writer.files() == 1U);
    writer.close(ec);
    writer.write(packet, ec);
    BOOST_TEST(writer.path().filename() == "rotated-19700101T000000.000000000Z-000002.pcapng");

    pcap::recorder recorder{pcap::recorder_options{folder / "recorded"}.pre_trigger(4096, 1s).post_trigger(
        std::chrono::nanoseconds::max())};
    for (auto const time : {timestamp{1h}, timestamp{2h}}) {
        packet.time = time;
        recorder.record(packet);
        recorder.trigger();
    }
    packet.time = timestamp::max();
    recorder.record(packet);
    BOOST_TEST(recorder.triggered());
    BOOST_TEST(recorder.statistics().written == 3U);
}
