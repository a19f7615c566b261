#include <boost/test/unit_test.hpp>

#include <chrono>
#include <lab/lab.hpp>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::string const server = R"(
import socket
listener = socket.create_server(("10.77.0.2", 80))
print("listening", flush=True)
one, _ = listener.accept()
one.sendall(one.recv(100))
one.recv(1)
one.close()
held, _ = listener.accept()
held.recv(1)
)";

std::string const client = R"(
import socket
one = socket.create_connection(("10.77.0.2", 80))
one.sendall(b"x" * 100)
one.recv(100)
one.close()
held = socket.create_connection(("10.77.0.2", 80))
print("connected", flush=True)
held.recv(1)
)";

} // namespace

BOOST_AUTO_TEST_CASE(live_flows_are_told_until_it_is_stopped, *lab::available()) {
    lab::pair const wire{lab::pair_options{}.ipv4()};
    auto const serving = wire.right.start({"python3", "-c", server});
    BOOST_REQUIRE(serving.wait_for_output("listening", 10s));
    auto monitor = wire.right.start({EXAMPLE, "--interface", "right"});
    bool ready = false;
    for (int i = 0; i != 20 && !ready; ++i) {
        wire.left.run({"ping", "-c1", "-W2", "10.77.0.2"});
        ready = monitor.wait_for_output("established icmp 10.77.0.1 > 10.77.0.2", 500ms);
    }
    BOOST_REQUIRE(ready);
    auto const connecting = wire.left.start({"python3", "-c", client});
    BOOST_TEST(connecting.wait_for_output("connected", 10s), connecting.output());
    for (auto const* const line :
         {"started tcp 10.77.0.1:", "established tcp 10.77.0.1:", "ended (fin) tcp 10.77.0.1:"})
        BOOST_TEST(monitor.wait_for_output(line, 5s), line << " is not in " << monitor.output());
    BOOST_TEST(monitor.output().find("flushed") == std::string::npos);
    BOOST_TEST(monitor.stop() == 0);
    for (auto const* const line : {"ended (flushed) tcp 10.77.0.1:", "ended (flushed) icmp 10.77.0.1"})
        BOOST_TEST(monitor.output().find(line) != std::string::npos, line << " is not in " << monitor.output());
}

BOOST_AUTO_TEST_CASE(what_stands_against_it_is_said, *lab::available()) {
    lab::network const alone;
    auto nothing_given = alone.start({EXAMPLE});
    BOOST_TEST(nothing_given.wait() == 1);
    BOOST_TEST(nothing_given.output().find("--interface NAME") != std::string::npos, nothing_given.output());
}
