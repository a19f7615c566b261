#include <boost/test/unit_test.hpp>

#include <chrono>
#include <lab/lab.hpp>
#include <string>

using namespace std::chrono_literals;

// The program is the first one of README.md, built from that text.
BOOST_AUTO_TEST_CASE(the_first_program_shows_the_flows_of_real_traffic, *lab::available()) {
    lab::pair const wire{lab::pair_options{}.ipv4()};
    auto program = wire.right.start({README_PROGRAM, "right"});
    bool seen = false;
    for (int i = 0; i != 20 && !seen; ++i) {
        wire.left.run({"ping", "-c1", "-W2", "10.77.0.2"});
        seen = program.wait_for_output("established icmp 10.77.0.1 > 10.77.0.2", 500ms);
    }
    BOOST_TEST(seen, program.output());
    BOOST_TEST(!program.wait_for(0ms), "ended: " + program.output());
}

BOOST_AUTO_TEST_CASE(it_says_what_is_wrong, *lab::available()) {
    lab::network const alone;
    auto program = alone.start({README_PROGRAM, "nosuchdevice"});
    BOOST_TEST(program.wait() != 0);
    BOOST_TEST(program.output().find("nosuchdevice") != std::string::npos, program.output());
}
