#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <lab/lab.hpp>
#include <lab/numbered.hpp>
#include <numeric>
#include <thread>

#include <net/if.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

namespace {

std::vector<std::uint64_t> numbers(std::size_t count, std::uint64_t first = 0) {
    std::vector<std::uint64_t> result(count);
    std::iota(result.begin(), result.end(), first);
    return result;
}

std::string network_of_this_thread() {
    char link[64]{};
    (void)!::readlink("/proc/thread-self/ns/net", link, sizeof link - 1);
    return link;
}

} // namespace

BOOST_AUTO_TEST_SUITE(networks, *lab::available())

BOOST_AUTO_TEST_CASE(a_frame_sent_left_arrives_right_and_is_counted_by_the_kernel) {
    lab::pair const wire;
    lab::numbered_receiver receiver{wire.right};
    lab::send_numbered(wire.left, wire.right, {.count = 1000, .size = 100, .first = 5});
    BOOST_TEST(receiver.receive(1000) == numbers(1000, 5), boost::test_tools::per_element());
    BOOST_TEST(wire.left.counters().tx_packets == 1000U);
    BOOST_TEST(wire.right.counters().rx_packets == 1000U);
    BOOST_TEST(wire.right.counters().rx_bytes == 100'000U);
    BOOST_TEST(wire.right.counters().tx_packets == 0U);
}

BOOST_AUTO_TEST_CASE(a_quiet_pair_carries_nothing_by_itself) {
    lab::pair const wire;
    std::this_thread::sleep_for(1500ms);
    BOOST_TEST(wire.left.counters().rx_packets == 0U);
    BOOST_TEST(wire.right.counters().rx_packets == 0U);
}

BOOST_AUTO_TEST_CASE(entering_a_side_moves_this_thread_and_brings_it_back) {
    lab::pair const wire;
    auto const before = network_of_this_thread();
    auto const there = wire.left.enter(network_of_this_thread);
    BOOST_TEST(there != before);
    BOOST_TEST(there != wire.right.enter(network_of_this_thread));
    {
        lab::inside const guard{wire.left};
        BOOST_TEST(network_of_this_thread() == there);
        BOOST_TEST(::if_nametoindex("left") == wire.left.index());
    }
    BOOST_TEST(network_of_this_thread() == before);
    BOOST_CHECK_THROW(wire.left.enter([] { throw std::runtime_error{"through"}; }), std::runtime_error);
    BOOST_TEST(network_of_this_thread() == before);
}

BOOST_AUTO_TEST_CASE(programs_run_inside_a_side) {
    lab::pair const wire{lab::pair_options{}.ipv4().ipv6().names("a0", "b0").mtu(1400).queues(2)};
    BOOST_TEST(wire.left.run({"ip", "-o", "link", "show", "a0"}).find("mtu 1400") != std::string::npos);
    BOOST_TEST(wire.right.run({"ip", "-d", "link", "show", "b0"}).find("numrxqueues 2") != std::string::npos);
    BOOST_TEST(wire.left.run({"ping", "-c1", "-W2", "10.77.0.2"}).find(" 0% packet loss") != std::string::npos);
    BOOST_TEST(wire.left.run({"ping", "-c1", "-W2", "fd00:77::2"}).find(" 0% packet loss") != std::string::npos);
    BOOST_CHECK_THROW(wire.left.run({"ip", "link", "show", "b0"}), std::runtime_error);
    BOOST_CHECK_THROW(wire.left.run({"no-such-program"}), std::system_error);
}

BOOST_AUTO_TEST_CASE(a_started_program_ends_with_its_object) {
    lab::network const alone;
    pid_t id;
    {
        auto const sleeper = alone.start({"sleep", "1000"});
        id = sleeper.id();
        BOOST_TEST(::kill(id, 0) == 0);
    }
    BOOST_TEST(::kill(id, 0) != 0);
    auto echo = alone.start({"sh", "-c", "echo ready; sleep 1000"});
    BOOST_TEST(echo.wait_for_output("ready", 5s));
    BOOST_TEST(!echo.wait_for(10ms));
    BOOST_TEST(echo.stop() == 128 + SIGINT);
    BOOST_TEST(echo.output() == "ready\n");
}

BOOST_AUTO_TEST_CASE(a_killed_test_leaves_no_program_behind) {
    int channel[2];
    BOOST_REQUIRE(::pipe(channel) == 0);
    pid_t const victim = ::fork();
    if (victim == 0) {
        lab::network const alone;
        auto const sleeper = alone.start({"sleep", "1000"});
        pid_t const id = sleeper.id();
        (void)!::write(channel[1], &id, sizeof id);
        ::pause();
    }
    pid_t id = 0;
    BOOST_REQUIRE(::read(channel[0], &id, sizeof id) == sizeof id);
    ::kill(victim, SIGKILL);
    ::waitpid(victim, nullptr, 0);
    ::close(channel[0]);
    ::close(channel[1]);
    auto const gone = [&] { // a zombie that nobody has reaped yet is gone as well
        std::ifstream status{"/proc/" + std::to_string(id) + "/stat"};
        std::string pid, name, state;
        return !(status >> pid >> name >> state) || state == "Z";
    };
    for (int i = 0; i != 500 && !gone(); ++i)
        std::this_thread::sleep_for(10ms);
    BOOST_TEST(gone());
}

BOOST_AUTO_TEST_CASE(links_go_down_and_up_and_away) {
    lab::pair const wire;
    wire.right.set_down();
    BOOST_TEST(wire.left.run({"ip", "link", "show", "left"}).find("NO-CARRIER") != std::string::npos);
    wire.right.set_up();
    wire.left.set_mtu(9000);
    BOOST_TEST(wire.left.run({"ip", "link", "show", "left"}).find("mtu 9000") != std::string::npos);
    wire.left.remove();
    BOOST_TEST(wire.right.index() == 0U);
    BOOST_CHECK_THROW(wire.right.counters(), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(a_second_pair_in_the_same_networks_is_apart) {
    lab::pair const wire;
    lab::pair const other{wire.left, wire.right, lab::pair_options{}.names("left2", "right2")};
    lab::numbered_receiver receiver{wire.right};
    lab::send_numbered(other.left, other.right, {.count = 50});
    lab::send_numbered(wire.left, wire.right, {.count = 3});
    BOOST_TEST(receiver.receive(4, 200ms) == numbers(3), boost::test_tools::per_element());
    BOOST_TEST(other.right.counters().rx_packets == 50U);
}

BOOST_AUTO_TEST_CASE(the_outside_sender_keeps_its_pace) {
    lab::pair const wire;
    lab::numbered_receiver receiver{wire.right};
    auto const start = std::chrono::steady_clock::now();
    auto sender = lab::start_sender(wire.left, wire.right, {.count = 20'000, .rate = 40'000});
    BOOST_TEST(receiver.receive(20'000) == numbers(20'000), boost::test_tools::per_element());
    auto const took = std::chrono::steady_clock::now() - start;
    BOOST_TEST(sender.wait() == 0);
    BOOST_TEST((took >= 490ms));
    BOOST_TEST((took < 5s));
}

BOOST_AUTO_TEST_CASE(whole_frames_are_sent_as_given, *lab::has_program("tshark")) {
    lab::pair const wire;
    // tshark, as tcpdump insists on becoming another user, which a user namespace of one user does not have.
    auto capture = wire.right.start(
        {"tshark", "-i", "right", "-c1", "-l", "-T", "fields", "-e", "frame.len", "-e", "eth.type", "-e", "data.data"});
    BOOST_REQUIRE(capture.wait_for_output("Capturing on", 20s));
    std::vector<std::uint8_t> frame(60, 0xab);
    frame[12] = 0x88;
    frame[13] = 0xb6;
    for (int i = 0; i != 100 && !capture.wait_for(100ms); ++i) // it says so a moment before it does
        wire.left.send(frame);
    BOOST_TEST(capture.output().find("60\t0x88b6\tabababab") != std::string::npos, capture.output());
}

BOOST_AUTO_TEST_SUITE_END()
