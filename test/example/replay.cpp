#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdint>
#include <lab/lab.hpp>
#include <lab/patterned.hpp>
#include <string>
#include <vector>

#include <pcap/files.hpp>

using namespace std::chrono_literals;

namespace {

/// Frames of all sizes, one each `gap` microseconds.
class recording {
public:
    recording(lab::side const& to, std::uint64_t count, std::uint32_t gap)
        : pattern{to.address()} {
        files::classic const classic;
        auto bytes = classic.header();
        for (std::uint64_t i = 0; i != count; ++i) {
            std::vector<std::byte> frame(pattern.size(i));
            pattern.write(i, frame);
            auto const time = i * gap;
            bytes += classic.packet(static_cast<std::uint32_t>(time / 1'000'000),
                                    static_cast<std::uint32_t>(time % 1'000'000), files::text(frame));
        }
        files::write(path, bytes);
    }

    lab::pattern pattern;
    files::temporary_folder folder;
    files::fs::path path = folder / "recording.pcap";
};

/// One run of the program, looked at from the other end.
struct run {
    lab::pair wire;
    recording record;
    lab::pattern_receiver receiver{wire.right, record.pattern};

    run(std::uint64_t count, std::uint32_t gap)
        : record{wire.right, count, gap} {}
    lab::process start(std::vector<std::string> options) const {
        options.insert(options.begin(), {EXAMPLE, "--interface", "left", "--read", record.path.string()});
        return wire.left.start(std::move(options));
    }
    /// Runs it to its end and tells how long that took.
    std::chrono::nanoseconds play(std::vector<std::string> options) const {
        auto const begin = std::chrono::steady_clock::now();
        auto program = start(std::move(options));
        BOOST_TEST(program.wait() == 0, program.output());
        return std::chrono::steady_clock::now() - begin;
    }
};

void expect_all(lab::pattern_receiver& receiver, std::uint64_t count) {
    auto const found = receiver.finish(count);
    BOOST_TEST(found.received == count);
    BOOST_TEST(found.damaged == 0U);
    BOOST_TEST(found.repeated == 0U);
    BOOST_TEST(found.missing == 0U);
    BOOST_TEST(found.dropped == 0U);
}

} // namespace

BOOST_AUTO_TEST_SUITE(replay, *lab::available())

BOOST_AUTO_TEST_CASE(a_file_arrives_byte_by_byte_at_full_speed) {
    run run{20'000, 0};
    run.play({"--full-speed"});
    expect_all(run.receiver, 20'000);
    BOOST_TEST_MESSAGE("figure: 20000 frames of 60 to 1514 bytes arrive once, in order, as they are in the file");
}

BOOST_AUTO_TEST_CASE(recorded_times_are_kept_or_scaled) {
    for (auto const* const speed : {"1", "4"}) {
        run run{101, 10'000}; // a second
        auto const taken = run.play({"--speed", speed});
        auto const expected = 1s / std::stoi(speed);
        BOOST_TEST((taken >= expected));
        BOOST_TEST((taken < expected + 1s)); // starting it took a part of that
        expect_all(run.receiver, 101);
    }
}

BOOST_AUTO_TEST_CASE(rates_take_the_place_of_recorded_times) {
    run run{1'001, 1'000'000};
    auto const taken = run.play({"--pps", "2000"});
    BOOST_TEST((taken >= 490ms));
    BOOST_TEST((taken < 1500ms));
    expect_all(run.receiver, 1'001);
}

BOOST_AUTO_TEST_CASE(a_file_is_played_again) {
    run const run{100, 0};
    run.play({"--full-speed", "--loop", "7", "--quiet"});
    BOOST_TEST(run.wire.right.counters().rx_packets == 700U);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_sent_is_left_out_and_told) {
    lab::pair const wire;
    files::temporary_folder const folder;
    files::classic const classic;
    std::string const frame(100, 'x');
    auto const file = files::write(
        folder / "mixed.pcap", classic.header() + classic.packet(0, 0, frame) +
                                   classic.packet(0, 0, std::string(3'000, 'x')) + classic.packet(0, 0, frame, 200) +
                                   classic.packet(0, 0, "short") + classic.packet(0, 0, frame));
    auto program = wire.left.start({EXAMPLE, "--interface", "left", "--read", file.string()});
    BOOST_TEST(program.wait() == 0);
    auto const output = program.output();
    BOOST_TEST(output.find("2 packets, 200 bytes") != std::string::npos, output);
    BOOST_TEST(output.find("1 left out as truncated; 2 left out as too long or too short") != std::string::npos,
               output);
    BOOST_TEST(wire.right.counters().rx_packets == 2U);
}

BOOST_AUTO_TEST_CASE(control_c_ends_it_with_everything_sent_that_was_begun) {
    for (auto const& how : {std::vector<std::string>{"--speed", "1"}, {"--pps", "200"}}) {
        run run{10'000, 5'000};
        auto program = run.start(how);
        BOOST_TEST(program.wait_for_output(" packets/s", 5s), program.output());
        BOOST_TEST(program.stop() == 0, program.output());
        auto const output = program.output();
        auto const last = output.rfind(" s: ");
        BOOST_REQUIRE(last != std::string::npos);
        auto const sent = std::stoull(output.substr(last + 4));
        BOOST_TEST(sent >= 150U);
        BOOST_TEST(sent < 2'000U);
        expect_all(run.receiver, sent);
    }
}

BOOST_AUTO_TEST_CASE(a_time_limit_ends_it) {
    run run{10'000, 5'000}; // nearly a minute
    run.play({"--duration", "1", "--quiet"});
    auto const sent = run.wire.right.counters().rx_packets;
    BOOST_TEST(sent < 9'000U);
    expect_all(run.receiver, sent);
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_told) {
    run const run{1, 0};
    for (auto const& [options, words] :
         {std::pair<std::vector<std::string>, std::string>{{"--speed", "1", "--pps", "10"}, "give one of"},
          {{"--pps", "0"}, "pacer_options"},
          {{"--filter", "no such filter"}, "filter"}}) {
        auto program = run.start(options);
        BOOST_TEST(program.wait() == 1);
        BOOST_TEST(program.output().find(words) != std::string::npos, program.output());
    }
    auto program = run.wire.left.start({EXAMPLE, "--interface", "nosuchdevice", "--read", run.record.path.string()});
    BOOST_TEST(program.wait() == 1);
    BOOST_TEST(program.output().find("no such interface") != std::string::npos, program.output());
}

BOOST_AUTO_TEST_SUITE_END()
