#include "pushed_down.hpp"

#include "../flow/workload.hpp"
#include "../measure.hpp"
#include <netring_asio/capture.hpp>
#include <netring_asio/subscriptions.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <lab/lab.hpp>
#include <memory>
#include <stdexcept>
#include <vector>

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {
namespace {

namespace nr = netring_asio;
namespace sub = netring_asio::subscription;

constexpr std::size_t connections = 10'000;
constexpr std::size_t packets = 20'000; // of a round

/// Sends frames as they lie in memory, many with a call.
class sender {
public:
    explicit sender(lab::side const& from) {
        from.enter([&] {
            socket_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
            sockaddr_ll to{};
            to.sll_family = AF_PACKET;
            to.sll_ifindex = static_cast<int>(from.index());
            if (socket_ < 0 || ::bind(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
                throw std::runtime_error{"no packet socket"};
        });
    }
    sender(sender const&) = delete;
    sender& operator=(sender const&) = delete;
    ~sender() { ::close(socket_); }

    void send(workload const& work) {
        constexpr std::size_t at_once = 512;
        std::vector<iovec> parts(at_once);
        std::vector<mmsghdr> messages(at_once);
        for (std::size_t i = 0; i < work.size();) {
            auto const count = std::min(at_once, work.size() - i);
            for (std::size_t n = 0; n != count; ++n) {
                auto const data = work.view(i + n).data;
                parts[n] = {const_cast<std::byte*>(data.data()), data.size()};
                messages[n].msg_hdr.msg_iov = &parts[n];
                messages[n].msg_hdr.msg_iovlen = 1;
            }
            auto const sent = ::sendmmsg(socket_, messages.data(), static_cast<unsigned>(count), 0);
            if (sent <= 0)
                throw std::runtime_error{"sendmmsg failed"};
            i += static_cast<std::size_t>(sent);
        }
    }

private:
    int socket_ = -1;
};

/// A capture with so many subscriptions of which none matches.
struct watched {
    watched(lab::side const& at, std::size_t count, bool pushed)
        : interest{[&] {
            nr::capture capture{context};
            at.enter([&] {
                capture.open(nr::capture_options{at.name()}
                                 .block_size(std::size_t{1} << 20)
                                 .block_count(16)
                                 .block_timeout(std::chrono::milliseconds{2})
                                 .ignore_outgoing(true));
            });
            return capture;
        }()} {
        for (std::size_t i = 0; i != count; ++i)
            subscribed.push_back(interest.subscribe(
                sub::packets{sub::expression{"tcp.port = " + std::to_string(i + 1)}}, [](sub::packet const&) {}));
        if (pushed)
            interest.push_down(true);
        interest.async_run([](nr::error_code) {});
    }

    boost::asio::io_context context{1};
    nr::subscriptions<nr::capture> interest;
    std::vector<std::shared_ptr<void>> subscribed;
};

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

} // namespace

void show_push_down(int rounds) {
    struct column {
        std::size_t count;
        bool pushed;
        std::vector<double> kernel, user, seen;
    };
    std::vector<column> columns;
    for (std::size_t const count : {0U, 1U, 10U, 100U})
        for (bool const pushed : {false, true})
            if (count != 0 || !pushed)
                columns.push_back({count, pushed, {}, {}, {}});
    workload work{connections, workload::whole_payload};
    for (int round = -1; round != rounds; ++round) {
        work.generate(packets);
        for (auto& c : columns) {
            lab::pair const wire;
            sender from{wire.left};
            watched to{wire.right, c.count, c.pushed};
            auto const start = thread_cpu_time();
            from.send(work);
            auto const sent = thread_cpu_time();
            to.context.run_for(std::chrono::milliseconds{60});
            auto const done = thread_cpu_time();
            if (round < 0)
                continue;
            c.kernel.push_back((sent - start).count() / packets);
            c.user.push_back((done - sent).count() / packets);
            c.seen.push_back(static_cast<double>(to.interest.tracking().packets));
        }
    }
    std::cout << std::fixed << std::setprecision(1);
    for (auto const& c : columns)
        std::cout << "figure: " << c.count << " subscriptions over a capture" << (c.pushed ? ", pushed down" : "")
                  << ": " << median(c.user) << " ns a packet to receive, " << median(c.kernel)
                  << " to send through the kernel; " << static_cast<std::uint64_t>(median(c.seen)) << " of " << packets
                  << " came\n";
}

} // namespace bench
