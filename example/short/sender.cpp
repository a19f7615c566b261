// Receives with senders of stdexec, until nothing has come for three seconds.
#include <netring_asio/capture.hpp>
#include <netring_asio/use_sender_stdexec.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <exec/when_any.hpp>
#include <iostream>
#include <stdexec/execution.hpp>
#include <stop_token>
#include <string>
#include <thread>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    net::io_context context{1};
    nr::capture capture{context, nr::capture_options{interface}};
    net::steady_timer timer{context};
    auto const work = net::make_work_guard(context);
    std::jthread const thread{[&](std::stop_token stop) { // until main is left, also by an exception
        std::stop_callback const end{stop, [&] { context.stop(); }};
        context.run();
    }};

    // tag::receive[]
    nr::executor_scheduler const here{capture.get_executor(), nr::stdexec_sender};
    nr::packet_batch batch;
    std::size_t packets = 0;
    do {
        timer.expires_after(3s); // nothing of the two is pending here
        auto either =
            exec::when_any(capture.async_receive(batch, nr::stdexec_sender),
                           stdexec::then(timer.async_wait(nr::stdexec_sender), [] { return std::size_t{0}; }));
        stdexec::sync_wait(stdexec::starts_on(here, std::move(either))); // throws what went wrong
        packets += batch.size();                                         // whichever of the two was first
    } while (!batch.empty());
    // end::receive[]
    std::cout << packets << " packets, then none for 3 s\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
