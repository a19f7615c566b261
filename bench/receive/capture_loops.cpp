#include "receiver.hpp"
#include <netring_asio/capture.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <csignal>
#include <limits>

namespace bench {
namespace {

namespace net = boost::asio;
namespace nr = netring_asio;

/// `Consume::start(loop)` receives until `count` says that it was enough.
template <class Consume>
class capture_loop final : public receiver {
public:
    explicit capture_loop(std::string const& interface, block_timeout timeout)
        : capture{context, nr::capture_options{interface}
                               .block_size(block_size)
                               .block_count(ring_size / block_size)
                               .block_timeout(timeout)} {}

    void run() override {
        net::signal_set signals{context, SIGINT};
        signals.async_wait([this](auto, int) { capture.cancel(); });
        Consume::start(*this);
        context.run();
    }

    void drain(std::uint64_t packets) override {
        end_ = counted.packets + packets;
        context.restart();
        Consume::start(*this);
        context.run();
        batch.reset();
    }

    std::uint64_t dropped() override { return capture.statistics().dropped; }

    /// Counts the batch; false after the last.
    bool count() noexcept {
        auto sums = counted;
        for (auto const& packet : batch)
            sums.add(packet.data.data(), packet.data.size());
        counted = sums;
        return counted.packets < end_;
    }

    net::io_context context{1};
    nr::capture capture;
    nr::packet_batch batch;

private:
    std::uint64_t end_ = std::numeric_limits<std::uint64_t>::max();
};

struct with_callbacks {
    template <class Loop>
    static void start(Loop& loop) {
        loop.capture.async_receive(loop.batch, [&loop](nr::error_code ec, std::size_t) {
            if (!ec && loop.count())
                start(loop);
        });
    }
};

struct with_a_coroutine {
    template <class Loop>
    static net::awaitable<void> receive(Loop& loop) {
        for (;;) {
            auto const [ec, size] = co_await loop.capture.async_receive(loop.batch, net::as_tuple(net::use_awaitable));
            if (ec || !loop.count())
                co_return;
        }
    }
    template <class Loop>
    static void start(Loop& loop) {
        net::co_spawn(loop.context, receive(loop), net::detached);
    }
};

} // namespace

std::unique_ptr<receiver> make_capture_callbacks(std::string const& interface, block_timeout timeout) {
    return std::make_unique<capture_loop<with_callbacks>>(interface, timeout);
}

std::unique_ptr<receiver> make_capture_coroutine(std::string const& interface, block_timeout timeout) {
    return std::make_unique<capture_loop<with_a_coroutine>>(interface, timeout);
}

} // namespace bench
