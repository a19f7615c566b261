// What must not compile, each alone, and with a message that names what is wrong: see test/CMakeLists.txt.
#include <netring_asio/capture_group.hpp>
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/shards.hpp>
#include <netring_asio/subscriptions.hpp>

#include <boost/asio/experimental/channel.hpp>

namespace net = boost::asio;
namespace nr = netring_asio;

void misuse(nr::capture& capture, nr::packet_batch& batch) {
#if defined(WRONG_HANDLER)
    capture.async_receive(batch, [](nr::error_code) {});
#elif defined(COPIED_BATCH)
    nr::packet_batch const copy = batch;
    (void)capture;
#elif defined(COPIED_CAPTURE)
    nr::flow_stream flows{capture};
#elif defined(NO_SOURCE)
    nr::flow_stream<nr::packet_batch> flows{std::move(batch)};
#elif defined(WRONG_BODY)
    nr::shards group{nr::shards_options{}, nr::capture_group{nr::capture_options{"eth0"}}};
    group.start([](nr::capture) {});
#elif defined(WRONG_CHANNEL)
    net::experimental::channel<void(nr::error_code, std::size_t)> sizes{capture.get_executor()};
    capture.async_pipe(sizes, [](nr::error_code) {});
#elif defined(NO_EXTRACTOR)
    nr::flow_stream flows{std::move(capture), 5};
#elif defined(WRONG_ITEM)
    nr::subscriptions interest{std::move(capture)};
    auto const ports = interest.subscribe(nr::subscription::packets{}, [](nr::subscription::connection const&) {});
#endif
}
