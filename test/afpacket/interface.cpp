#include <netring_asio/interface.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <lab/lab.hpp>

namespace nr = netring_asio;

BOOST_AUTO_TEST_CASE(interfaces_are_listed_as_ip_link_shows_them, *lab::available()) {
    lab::pair const wire{lab::pair_options{}.mtu(9000).ipv4(5).ipv6(6)};
    wire.right.run({"ip", "tuntap", "add", "tunnel", "mode", "tun"});
    auto const interfaces = nr::list_interfaces(wire.right.path());
    BOOST_REQUIRE(interfaces.size() >= 3U); // some kernels add tunnels to every namespace
    auto const find = [&](std::string const& name) {
        auto const found = std::ranges::find(interfaces, name, &nr::interface_info::name);
        BOOST_REQUIRE((found != interfaces.end()));
        return *found;
    };
    auto const right = find("right");
    BOOST_TEST(right.index == static_cast<int>(wire.right.index()));
    BOOST_TEST(right.up);
    BOOST_TEST(right.running);
    BOOST_TEST(!right.loopback);
    BOOST_TEST(right.mtu == 9000U);
    BOOST_TEST((right.link == nr::link_type::ethernet));
    BOOST_TEST(right.driver == "veth");
    BOOST_TEST(right.speed.value() == 10000U);
    BOOST_TEST(right.queues.value() == 1U);
    BOOST_TEST(wire.right.run({"ip", "link", "show", "right"}).find("link/ether " + right.hardware_address) !=
               std::string::npos);
    BOOST_TEST(std::ranges::count(right.addresses, "10.5.0.2/24") == 1);
    BOOST_TEST(std::ranges::count(right.addresses, "fd00:6::2/64") == 1);
    BOOST_TEST(find("lo").loopback);
    auto const tunnel = find("tunnel");
    BOOST_TEST(!tunnel.up);
    BOOST_TEST((tunnel.link == nr::link_type::raw_ip));
    BOOST_TEST(tunnel.hardware_address.empty());

    nr::error_code ec;
    BOOST_TEST(nr::list_interfaces("no-such-namespace", ec).empty());
    BOOST_TEST((ec == nr::error::no_such_namespace));
}
