#include "loops.hpp"
#include <netring_asio/injector.hpp>
#include <netring_asio/xdp_socket.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <csignal>
#include <exception>
#include <limits>
#include <utility>
#include <vector>

namespace bench {
namespace {

namespace net = boost::asio;
namespace nr = netring_asio;

nr::xdp_options receiving(std::string const& interface) {
    return nr::xdp_options{interface}.take_everything().ring_sizes(xdp_ring, xdp_send_ring);
}
nr::xdp_options sending_only(std::string const& interface) {
    return nr::xdp_options{interface}.nothing().ring_sizes(64, xdp_send_ring);
}

/// Runs a coroutine to its end.
void run(net::io_context& context, net::awaitable<void> body) {
    net::co_spawn(context, std::move(body), [](std::exception_ptr failure) {
        if (failure)
            std::rethrow_exception(failure);
    });
    context.restart();
    context.run();
}

class socket_receiver final : public receiver {
public:
    explicit socket_receiver(nr::xdp_options const& options)
        : socket_{context_, options} {}

    void run() override {
        net::signal_set signals{context_, SIGINT};
        signals.async_wait([this](auto, int) { socket_.cancel(); });
        bench::run(context_, receive(std::numeric_limits<std::uint64_t>::max()));
    }
    void drain(std::uint64_t packets) override { bench::run(context_, receive(counted.packets + packets)); }
    std::uint64_t dropped() override {
        auto const statistics = socket_.statistics();
        return statistics.dropped_ring_full + statistics.dropped_no_frame;
    }

private:
    net::awaitable<void> receive(std::uint64_t end) {
        nr::packet_batch batch;
        while (counted.packets < end) {
            auto const [ec, size] = co_await socket_.async_receive(batch, net::as_tuple(net::use_awaitable));
            if (ec)
                co_return;
            auto sums = counted;
            for (auto const& packet : batch)
                sums.add(packet.data.data(), packet.data.size());
            counted = sums;
        }
    }

    net::io_context context_{1};
    nr::xdp_socket socket_;
};

/// By `async_send_frames` of a socket or an injector.
template <class Socket>
class frames_sender final : public sender {
public:
    template <class Options>
    explicit frames_sender(Options const& options)
        : socket_{context_, options} {}

    void send(frame_burst& frames, std::uint64_t count) override { run(context_, send_all(frames, count)); }

private:
    net::awaitable<void> send_all(frame_burst& frames, std::uint64_t count) {
        std::vector<net::const_buffer> buffers;
        for (std::size_t i = 0; i != burst; ++i)
            buffers.emplace_back(frames[i].data(), frames[i].size());
        for (std::uint64_t sent = 0; sent != count; sent += buffers.size()) {
            frames.number(sent);
            buffers.resize(std::min<std::uint64_t>(burst, count - sent));
            co_await socket_.async_send_frames(buffers, net::use_awaitable);
        }
        co_await socket_.async_drain(net::use_awaitable);
    }

    net::io_context context_{1};
    Socket socket_;
};

class socket_forwarder final : public forwarder {
public:
    socket_forwarder(std::string const& from, std::string const& to)
        : memory_{nr::afxdp::umem_options{}.frame_count(2 * xdp_ring + 2 * xdp_send_ring + 128)}
        , from_{context_, receiving(from).memory(memory_)}
        , to_{context_, sending_only(to).memory(memory_)} {}

    void forward(std::uint64_t count) override { run(context_, forward_all(count)); }

private:
    net::awaitable<void> forward_all(std::uint64_t count) {
        nr::packet_batch batch;
        for (std::uint64_t sent = 0; sent < count;) {
            co_await from_.async_receive(batch, net::use_awaitable);
            while (!batch.empty())
                sent += to_.forward(batch);
        }
        co_await to_.async_drain(net::use_awaitable);
    }

    net::io_context context_{1};
    nr::afxdp::umem memory_;
    nr::xdp_socket from_, to_;
};

} // namespace

std::unique_ptr<receiver> make_xdp_socket(std::string const& interface, block_timeout) {
    return std::make_unique<socket_receiver>(receiving(interface));
}
std::unique_ptr<receiver> make_xdp_moderated(std::string const& interface, block_timeout) {
    return std::make_unique<socket_receiver>(receiving(interface).latency_budget(latency_budget));
}
std::unique_ptr<sender> make_xdp_socket_sender(std::string const& interface) {
    return std::make_unique<frames_sender<nr::xdp_socket>>(sending_only(interface));
}
std::unique_ptr<sender> make_injector_sender(std::string const& interface) {
    return std::make_unique<frames_sender<nr::injector>>(
        nr::injector_options{interface}.frame_count(ring_frames).frame_size(ring_frame_size).qdisc_bypass(true));
}
std::unique_ptr<forwarder> make_xdp_socket_forwarder(std::string const& from, std::string const& to) {
    return std::make_unique<socket_forwarder>(from, to);
}

} // namespace bench
