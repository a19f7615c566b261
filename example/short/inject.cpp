// Sends 10 000 frames as fast as the device takes them, each only when there is room for it.
#include <netring_asio/injector.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace net::experimental::awaitable_operators;
using namespace std::chrono_literals;

// To everybody, from a made-up address, of an EtherType for experiments (IEEE 802, 88B5).
std::array<std::uint8_t, 60> const frame{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};

net::awaitable<void> send(nr::injector& injector) {
    for (int i = 0; i != 10'000; ++i)
        co_await injector.async_send(net::buffer(frame), net::use_awaitable);
    auto const result = co_await injector.async_drain(net::use_awaitable);
    std::cout << result.taken << " frames taken, " << result.rejected << " refused\n";
}

net::awaitable<void> send_in_time(nr::injector injector) {
    net::steady_timer timer{injector.get_executor(), 5s};
    auto const first = co_await (send(injector) || timer.async_wait(net::use_awaitable));
    if (first.index() == 1)
        std::cout << "not all in 5 s: " << injector.statistics().taken << " frames taken\n";
}

int main(int argc, char** argv) try {
    net::io_context context;
    nr::injector injector{context, nr::injector_options{argc > 1 ? argv[1] : "lo"}};
    net::co_spawn(context, send_in_time(std::move(injector)), [](std::exception_ptr error) {
        if (error)
            std::rethrow_exception(error);
    });
    context.run();
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
