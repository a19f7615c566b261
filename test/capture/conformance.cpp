#include "../afpacket/support.hpp"
#include <netring_asio/capture.hpp>

#include <boost/test/unit_test.hpp>

#include <asio/conformance.hpp>
#include <memory>
#include <utility>
#include <vector>

namespace {

namespace net = boost::asio;

/// One wire for all operations of the program; each stage has a capture of its own.
struct on_a_wire {
    static constexpr std::chrono::milliseconds latency{5};

    static lab::pair const& wire() {
        static lab::pair const instance;
        return instance;
    }
    nr::capture make(net::any_io_executor executor) {
        nr::capture capture{std::move(executor)};
        wire().right.enter([&] { capture.open(small()); });
        return capture;
    }
    void make_ready() { lab::send_numbered(wire().left, wire().right, {}); }
};

struct waiting : on_a_wire {
    template <class Capture, class... Token>
    auto start(Capture& capture, Token&&... token) {
        return capture.async_wait(std::forward<Token>(token)...);
    }
};

struct receive : on_a_wire {
    nr::packet_batch batch;
    template <class Capture, class... Token>
    auto start(Capture& capture, Token&&... token) {
        return capture.async_receive(batch, std::forward<Token>(token)...);
    }
};

struct receive_owned : on_a_wire {
    std::vector<nr::owned_packet> packets;
    template <class Capture, class... Token>
    auto start(Capture& capture, Token&&... token) {
        return capture.async_receive(packets, std::forward<Token>(token)...);
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(capture, *lab::available())

BOOST_AUTO_TEST_CASE(async_wait) { conformance::verify<waiting>(); }
BOOST_AUTO_TEST_CASE(async_receive_batch) { conformance::verify<receive>(); }
BOOST_AUTO_TEST_CASE(async_receive_owned) { conformance::verify<receive_owned>(); }
BOOST_AUTO_TEST_CASE(async_pipe) { conformance::verify<conformance::pipe_of<on_a_wire, nr::packet_batch>>(); }

BOOST_AUTO_TEST_SUITE_END()
