// Follows the flows of an interface on two cores, for three seconds: each has a capture, a context and a thread of its
// own, and what runs there is written as if it were alone.
#include <netring_asio/capture_group.hpp>
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/shards.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <tuple>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

net::awaitable<void> follow(nr::shard<nr::capture> self, std::size_t& ended) {
    nr::flow_stream flows{self.source()};
    nr::flow::event_batch events;
    for (nr::error_code error; error != net::error::eof;) { // the end of what came before the group was stopped
        std::size_t count = 0;
        std::tie(error, count) = co_await flows.async_receive(events, net::as_tuple(net::use_awaitable));
        if (error && error != net::error::eof)
            throw nr::system_error{error, "receive"}; // the others are stopped, and wait() throws this
        for (nr::flow::event const& event : events)
            ended += event.kind == nr::flow::event_kind::ended;
    }
}

int main(int argc, char** argv) try {
    std::string const interface = argc > 1 ? argv[1] : "lo";
    auto const options = nr::capture_options{interface}.fanout(nr::fanout_options{nr::fanout_mode::hash});
    nr::shards group{nr::shards_options{}.count(2), nr::capture_group{options}};
    std::array<std::size_t, 2> ended{};
    group.start([&](nr::shard<nr::capture> self) {
        auto& mine = ended[self.index()];
        return follow(std::move(self), mine);
    });
    std::this_thread::sleep_for(3s);
    group.stop(); // each works off what it has
    group.wait();
    std::cout << ended[0] << " + " << ended[1] << " flows, " << group.statistics().received << " packets\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
