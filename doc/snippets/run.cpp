// Runs what the pages of the guide show, one piece after the other: `pages INTERFACE`, in a network in which eth0 leads
// to eth1 and eth2 to eth3. test/example/short.py makes it, and has something come meanwhile.
#include "conversations.cpp"
#include "pages.cpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <exception>
#include <functional>
#include <string_view>

#include <fcntl.h>

namespace snippets {
namespace {

std::size_t seen = 0;
std::optional<net::posix::stream_descriptor> nowhere;

/// Runs a piece for a moment; one that would wait for ever is destroyed with its context.
void run(std::string_view name, std::function<net::awaitable<void>(net::io_context&)> const& piece) {
    std::cout << name << std::endl;
    net::io_context context;
    net::co_spawn(context, piece(context), [](std::exception_ptr failure) {
        if (failure)
            std::rethrow_exception(failure);
    });
    context.run_for(200ms);
    nowhere.reset();
}

template <class Stream>
net::awaitable<void> drain(Stream& stream) {
    typename Stream::event_batch events;
    for (;;)
        seen += co_await stream.async_receive(events, net::use_awaitable);
}

} // namespace

std::size_t write_frame(std::span<std::byte> frame) {
    std::ranges::fill(frame.first(60), std::byte{0xff});
    return 60;
}
void handle(nr::packet_view const&) { ++seen; }
void handle(nr::packet_batch const& batch) { seen += batch.size(); }
void count(nr::packet_view const&) { ++seen; }
void publish(std::span<nr::flow::event const> flows) { seen += flows.size(); }
net::posix::stream_descriptor& file_of(info_type const&, nr::session::side) { return *nowhere; }

namespace {

void run_receiving(std::string const& interface) {
    auto const capture = [&](net::io_context& context) { return nr::capture{context, nr::capture_options{interface}}; };
    run("count", [&](auto&) { return count(interface); });
    run("share", [](net::io_context& context) -> net::awaitable<void> {
        share(context);
        co_return;
    });
    run("options", [](auto&) -> net::awaitable<void> {
        seen += soon().low_latency();
        co_return;
    });
    {
        std::cout << "look_again_and_again" << std::endl;
        net::io_context context;
        auto looked_at = capture(context);
        nr::packet_batch batch;
        net::steady_timer end{context, 200ms};
        end.async_wait([&](nr::error_code) { context.stop(); });
        look_again_and_again(context, looked_at, batch);
    }
    run("follow, merge events", [&](net::io_context& context) -> net::awaitable<void> {
        nr::flow::event_batch events;
        co_await follow(capture(context), events);
        timeline order{2};
        order.add(0, events);
    });
    run("see_once", [&](net::io_context& context) -> net::awaitable<void> {
        auto from = capture(context);
        nr::packet_batch batch;
        co_await from.async_receive(batch, net::use_awaitable);
        see_once(*batch.begin());
    });
    run("by_server", [&](net::io_context& context) -> net::awaitable<void> {
        nr::flow_stream flows{capture(context), by_server{}};
        co_await drain(flows);
    });
    run("look, tell", [&](net::io_context& context) -> net::awaitable<void> {
        nr::flow_stream flows{capture(context)};
        nr::flow::event_batch events;
        co_await flows.async_receive(events, net::use_awaitable);
        co_await look(flows);
        net::ip::udp::socket const collector{context, {net::ip::address_v4::loopback(), 4739}};
        std::vector<nr::flow::event> told{events.begin(), events.end()};
        co_await tell(context.get_executor(), net::ip::address_v4::loopback(), told);
    });
    run("merge", [](net::io_context& context) -> net::awaitable<void> {
        auto flows = both(context);
        co_await drain(flows);
    });
    run("listen", [&](net::io_context& context) { return listen(capture(context)); });
    run("line_parser", [&](net::io_context& context) -> net::awaitable<void> {
        nr::session_stream lines{nr::flow_stream{capture(context)}, nr::session::use{line_parser{}}.ports({80})};
        co_await drain(lines);
    });
    run("read", [&](net::io_context& context) { return read(capture(context)); });
    run("keep", [&](net::io_context& context) -> net::awaitable<void> {
        nowhere.emplace(context, ::open("/dev/null", O_WRONLY | O_CLOEXEC));
        nr::conversation_stream conversations{nr::flow_stream{capture(context)}};
        co_await keep(conversations);
    });
    run("broadcast", [&](net::io_context& context) { return share(nr::flow_stream{capture(context)}); });
    run("record", [&](net::io_context& context) -> net::awaitable<void> {
        record(capture(context));
        co_return;
    });
    nr::pcap::writer file{nr::pcap::writer_options{"/dev/null"}};
    run("write_what_is_wanted", [&](auto&) { return write_what_is_wanted(file); });
}

void run_sending() {
    std::array<std::byte, 60> frame{};
    write_frame(frame);
    std::vector<net::const_buffer> const frames(10, net::buffer(frame));
    run("send", [&](auto&) { return send("eth0", frames); });
    run("fill_in_place, pace", [&](net::io_context& context) -> net::awaitable<void> {
        nr::injector injector{context, nr::injector_options{"eth0"}};
        fill_in_place(injector);
        co_await pace(context.get_executor(), injector, frames);
        nr::pacer pacer{context, nr::pacer_options{}.packets_per_second(1000)};
        std::vector<net::const_buffer> burst;
        co_await pace_bursts(pacer, injector, burst, frames.data(), frames.data() + frames.size());
    });
    run("join", [](auto&) { return join("eth1", "eth2"); });
    run("change", [](net::io_context& context) -> net::awaitable<void> {
        nr::bridge_options options{"eth1", "eth2"};
        change(options);
        nr::bridge bridge{context, options};
        co_await bridge.async_run(net::use_awaitable);
    });
}

void run_past_the_stack() {
    run("xdp: take", [](net::io_context& context) { return take(context); });
    run("xdp: join_past_the_stack", [](net::io_context& context) { return join_past_the_stack(context); });
    run("xdp: queues", [](auto&) -> net::awaitable<void> {
        share_queues();
        co_return;
    });
}

} // namespace
} // namespace snippets

int main(int argc, char** argv) try {
    snippets::run_receiving(argc > 1 ? argv[1] : "lo");
    snippets::run_sending();
    snippets::run_past_the_stack();
    std::cout << "done, " << snippets::seen << " packets and events seen\n";
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
