// A million numbered frames of an outside sender, paced: each arrives exactly once, in order.
#include <netring_asio/capture.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <lab/lab.hpp>
#include <lab/numbered.hpp>
#include <string>
#include <verify/claim.hpp>

namespace net = boost::asio;
namespace nr = netring_asio;

int main() {
    return verify::claims([](verify::report& report) {
        constexpr std::uint64_t million = 1'000'000, rate = 200'000;
        lab::pair const wire;
        net::io_context context{1};
        nr::capture capture{context};
        wire.right.enter([&] { capture.open(nr::capture_options{"right"}.profile(nr::capture_profile::throughput)); });
        std::uint64_t received = 0, misplaced = 0, foreign = 0;
        net::co_spawn(
            context,
            [&]() -> net::awaitable<void> {
                for (nr::packet_batch batch; received < million;) {
                    co_await capture.async_receive(batch, net::use_awaitable);
                    for (auto const packet : batch) {
                        auto const number = lab::frame_number(packet.data);
                        foreign += !number;
                        misplaced += number && *number != received++;
                    }
                }
            },
            net::detached);
        auto const start = std::chrono::steady_clock::now();
        auto sender = lab::start_sender(wire.left, wire.right, {.count = million, .rate = rate});
        context.run_for(std::chrono::seconds{30});
        auto const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

        auto const peer = wire.right.counters().rx_packets;
        auto const dropped = capture.statistics().dropped;
        report.claim("a million frames at 200 000 a second all arrive",
                     received == million && peer == million && dropped == 0,
                     std::to_string(received) + " received, " + std::to_string(dropped) + " dropped in " +
                         std::to_string(seconds) + " s",
                     "the device counted " + std::to_string(peer));
        report.claim("each exactly once and in order", misplaced == 0, std::to_string(misplaced) + " misplaced",
                     "the numbers of the sender");
        report.claim("and nothing else", foreign == 0, std::to_string(foreign) + " other frames", "the ethertype");
    });
}
