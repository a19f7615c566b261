#include <netring_asio/injector.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <asio/conformance.hpp>
#include <lab/lab.hpp>
#include <utility>
#include <vector>

namespace {

namespace net = boost::asio;
namespace nr = netring_asio;

/// A wire behind a queueing discipline that holds every frame, until it is taken out of the way.
struct behind_a_dam {
    static constexpr bool exclusive = true;

    static lab::pair const& wire() {
        static lab::pair const instance;
        return instance;
    }
    nr::injector make(net::any_io_executor executor) {
        auto const& left = wire().left;
        left.run(
            {"tc", "qdisc", "replace", "dev", "left", "root", "tbf", "rate", "8bit", "burst", "100", "limit", "1m"});
        nr::injector injector{std::move(executor)};
        left.enter([&] { injector.open(nr::injector_options{"left"}.frame_count(4)); });
        while (auto room = injector.try_reserve(200))
            room.commit();
        injector.flush();
        return injector;
    }
    void make_ready() {
        if (wire().left.run({"tc", "qdisc", "show", "dev", "left"}).find("tbf") != std::string::npos)
            wire().left.run({"tc", "qdisc", "del", "dev", "left", "root"});
    }
};

struct reserve : behind_a_dam {
    nr::tx_frame frame;
    template <class Injector, class... Token>
    auto start(Injector& injector, Token&&... token) {
        return injector.async_reserve(frame, 60, std::forward<Token>(token)...);
    }
};

struct send_one : behind_a_dam {
    std::array<char, 60> frame{};
    template <class Injector, class... Token>
    auto start(Injector& injector, Token&&... token) {
        return injector.async_send(net::buffer(frame), std::forward<Token>(token)...);
    }
};

struct send_frames : behind_a_dam {
    std::array<char, 60> frame{};
    std::vector<net::const_buffer> frames{3, net::buffer(frame)};
    template <class Injector, class... Token>
    auto start(Injector& injector, Token&&... token) {
        return injector.async_send_frames(frames, std::forward<Token>(token)...);
    }
};

struct send_packet : behind_a_dam {
    std::array<std::byte, 60> frame{};
    template <class Injector, class... Token>
    auto start(Injector& injector, Token&&... token) {
        nr::packet_view packet;
        packet.data = frame;
        return injector.async_send_packet(packet, std::forward<Token>(token)...);
    }
};

struct drain : behind_a_dam {
    template <class Injector, class... Token>
    auto start(Injector& injector, Token&&... token) {
        return injector.async_drain(std::forward<Token>(token)...);
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(injector, *lab::available())

BOOST_AUTO_TEST_CASE(async_reserve) { conformance::verify<reserve>(); }
BOOST_AUTO_TEST_CASE(async_send) { conformance::verify<send_one>(); }
BOOST_AUTO_TEST_CASE(async_send_frames) { conformance::verify<send_frames>(); }
BOOST_AUTO_TEST_CASE(async_send_packet) { conformance::verify<send_packet>(); }
BOOST_AUTO_TEST_CASE(async_drain) { conformance::verify<drain>(); }

BOOST_AUTO_TEST_SUITE_END()
