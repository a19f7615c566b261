#include "../bridge/support.hpp"
#include <netring_asio/xdp_bridge.hpp>
#include <netring_asio/xdp_socket.hpp>

#include <boost/asio/buffer.hpp>

#include <array>
#include <asio/conformance.hpp>
#include <lab/eventually.hpp>
#include <lab/numbered.hpp>
#include <utility>
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

struct waiting : on_a_wire {
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

/// A wire whose other end leads all frames behind a queueing discipline that holds them, until it is taken out of the
/// way: their chunks come back then. Each stage has the next queue, for one just closed is busy for a while.
struct behind_a_dam {
    static constexpr unsigned queues = 16, chunks = 4;

    struct river {
        lab::pair wire{lab::pair_options{}.queues(queues)};
        lab::pair dam{wire.left, wire.left, lab::pair_options{}.names("dam", "beyond")};
        bool closed = false;
        unsigned stages = 0;

        river() {
            wire.left.run({"tc", "qdisc", "add", "dev", "left", "ingress"});
            wire.left.run({"tc", "filter", "add", "dev", "left", "ingress", "protocol", "all", "u32", "match", "u32",
                           "0", "0", "action", "mirred", "egress", "redirect", "dev", "dam"});
        }
        void close() {
            open();
            wire.left.run(
                {"tc", "qdisc", "add", "dev", "dam", "root", "tbf", "rate", "64bit", "burst", "1600", "limit", "1m"});
            closed = true;
        }
        void open() {
            if (std::exchange(closed, false))
                wire.left.run({"tc", "qdisc", "del", "dev", "dam", "root"});
        }
    };
    static river& here() {
        static river instance;
        return instance;
    }
    nr::xdp_socket make(net::any_io_executor executor) {
        here().close();
        nr::xdp_socket socket{std::move(executor)};
        here().wire.right.enter([&] {
            socket.open(nr::xdp_options{"right"}
                            .nothing()
                            .queue(here().stages++ % queues)
                            .ring_sizes(64, 64)
                            .transmit_frames(chunks));
        });
        // The first passes at once, and its chunk comes back.
        for (unsigned i = 0; i != chunks + 1; ++i)
            lab::eventually([&] {
                auto room = socket.try_reserve(1500);
                if (room)
                    room.commit();
                return socket.statistics().committed == i + 1;
            });
        socket.flush();
        return socket;
    }
    void make_ready() { here().open(); }
};

struct reserve : behind_a_dam {
    nr::xdp_socket::frame_type frame;
    template <class Socket, class... Token>
    auto start(Socket& socket, Token&&... token) {
        return socket.async_reserve(frame, 60, std::forward<Token>(token)...);
    }
};

struct send_one : behind_a_dam {
    std::array<char, 60> frame{};
    template <class Socket, class... Token>
    auto start(Socket& socket, Token&&... token) {
        return socket.async_send(net::buffer(frame), std::forward<Token>(token)...);
    }
};

struct send_frames : behind_a_dam {
    std::array<char, 60> frame{};
    std::vector<net::const_buffer> frames{3, net::buffer(frame)};
    template <class Socket, class... Token>
    auto start(Socket& socket, Token&&... token) {
        return socket.async_send_frames(frames, std::forward<Token>(token)...);
    }
};

struct send_packet : behind_a_dam {
    std::array<std::byte, 60> frame{};
    template <class Socket, class... Token>
    auto start(Socket& socket, Token&&... token) {
        nr::packet_view packet;
        packet.data = frame;
        return socket.async_send_packet(packet, std::forward<Token>(token)...);
    }
};

struct drain : behind_a_dam {
    template <class Socket, class... Token>
    auto start(Socket& socket, Token&&... token) {
        return socket.async_drain(std::forward<Token>(token)...);
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

BOOST_AUTO_TEST_CASE(async_wait) { conformance::verify<waiting>(); }
BOOST_AUTO_TEST_CASE(async_receive_batch) { conformance::verify<receive>(); }
BOOST_AUTO_TEST_CASE(async_receive_owned) { conformance::verify<receive_owned>(); }
BOOST_AUTO_TEST_CASE(async_pipe) { conformance::verify<conformance::pipe_of<on_a_wire, nr::packet_batch>>(); }
BOOST_AUTO_TEST_CASE(async_reserve) { conformance::verify<reserve>(); }
BOOST_AUTO_TEST_CASE(async_send) { conformance::verify<send_one>(); }
BOOST_AUTO_TEST_CASE(async_send_frames) { conformance::verify<send_frames>(); }
BOOST_AUTO_TEST_CASE(async_send_packet) { conformance::verify<send_packet>(); }
BOOST_AUTO_TEST_CASE(async_drain) { conformance::verify<drain>(); }
BOOST_AUTO_TEST_CASE(bridge_async_run) { conformance::verify<run_bridge>(); }

BOOST_AUTO_TEST_SUITE_END()
