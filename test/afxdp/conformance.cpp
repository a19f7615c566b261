#include "../bridge/support.hpp"
#include <netring_asio/xdp_bridge.hpp>
#include <netring_asio/xdp_socket.hpp>

#include <asio/conformance.hpp>
#include <lab/numbered.hpp>
#include <vector>

namespace {

/// One wire for all operations of the program; each stage has a socket of its own.
struct on_a_wire {
    static lab::pair const& wire() {
        static lab::pair const instance;
        return instance;
    }
    nr::xdp_socket make(net::any_io_executor executor) {
        nr::xdp_socket socket{std::move(executor)};
        wire().right.enter([&] { socket.open(nr::xdp_options{"right"}.take_everything().ring_sizes(64, 64)); });
        return socket;
    }
    void make_ready() { lab::send_numbered(wire().left, wire().right, {}); }
};

struct wait : on_a_wire {
    template <class Socket, class... Token>
    auto start(Socket& socket, Token&&... token) {
        return socket.async_wait(std::forward<Token>(token)...);
    }
};

struct receive : on_a_wire {
    nr::packet_batch batch;
    template <class Socket, class... Token>
    auto start(Socket& socket, Token&&... token) {
        return socket.async_receive(batch, std::forward<Token>(token)...);
    }
};

struct receive_owned : on_a_wire {
    std::vector<nr::owned_packet> packets;
    template <class Socket, class... Token>
    auto start(Socket& socket, Token&&... token) {
        return socket.async_receive(packets, std::forward<Token>(token)...);
    }
};

struct run_bridge {
    static constexpr bool endless = true;

    static between const& hosts() {
        static between const instance;
        return instance;
    }
    nr::xdp_bridge make(net::any_io_executor executor) {
        auto const end = [](char const* name) { return nr::xdp_options{name}.take_everything().ring_sizes(64, 64); };
        return hosts().open<nr::xdp_bridge>(std::move(executor), {end("in0"), end("out0")});
    }
    template <class Bridge, class... Token>
    auto start(Bridge& bridge, Token&&... token) {
        return bridge.async_run(std::forward<Token>(token)...);
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(xdp_socket, *lab::real_root())

BOOST_AUTO_TEST_CASE(async_wait) { conformance::verify<wait>(); }
BOOST_AUTO_TEST_CASE(async_receive_batch) { conformance::verify<receive>(); }
BOOST_AUTO_TEST_CASE(async_receive_owned) { conformance::verify<receive_owned>(); }
BOOST_AUTO_TEST_CASE(bridge_async_run) { conformance::verify<run_bridge>(); }

BOOST_AUTO_TEST_SUITE_END()
