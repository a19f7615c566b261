#include <boost/test/unit_test.hpp>

#include <bridge/support.hpp>

BOOST_AUTO_TEST_SUITE(example, *lab::available())

BOOST_AUTO_TEST_CASE(bridge_joins_two_hosts_but_for_what_it_drops) {
    between const hosts;
    auto bridge = hosts.middle().start(
        {EXAMPLE, "--left", "in0", "--right", "out0", "--drop", "icmp and greater 500", "--verbose"});
    BOOST_REQUIRE(bridge.wait_for_output("forwarding", 10s));
    hosts.here().run({"ping", "-q", "-c", "3", "-i", "0.1", "10.77.0.2"});
    BOOST_CHECK_THROW(hosts.here().run({"ping", "-q", "-c", "2", "-i", "0.1", "-W", "1", "-s", "1000", "10.77.0.2"}),
                      std::exception);
    BOOST_TEST(bridge.stop() == 0);
    auto const output = bridge.output();
    BOOST_TEST(output.find("2 filtered") != std::string::npos, output);
    BOOST_TEST(output.find("right to left: 4 of 4 forwarded") != std::string::npos, output); // with ARP
    auto refused = hosts.middle().start({EXAMPLE, "--left", "in0", "--right", "nobody"});
    BOOST_TEST(refused.wait() == 1);
    BOOST_TEST(refused.output().find("no such interface") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
