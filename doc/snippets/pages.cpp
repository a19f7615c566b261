// What the pages of the guide show, as they show it: compiled here, and compared with them by scripts/docs.sh.
#include <netring_asio/bridge.hpp>
#include <netring_asio/capture.hpp>
#include <netring_asio/export/ipfix_exporter.hpp>
#include <netring_asio/flow/dedup.hpp>
#include <netring_asio/flow/event_merger.hpp>
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/injector.hpp>
#include <netring_asio/merge.hpp>
#include <netring_asio/pacer.hpp>
#include <netring_asio/pcap/writer.hpp>
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/tls.hpp>
#include <netring_asio/session_stream.hpp>
#include <netring_asio/shards.hpp>
#include <netring_asio/subscriptions.hpp>
#include <netring_asio/xdp_bridge.hpp>
#include <netring_asio/xdp_group.hpp>
#include <netring_asio/xdp_socket.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

namespace snippets {

std::size_t write_frame(std::span<std::byte> frame);
void handle(nr::packet_view const& packet);
void handle(nr::packet_batch const& batch);
void count(nr::packet_view const& packet);
void publish(std::span<nr::flow::event const> flows);

template <class... F>
struct overloaded : F... {
    using F::operator()...;
};

// ---- many_cores.md

class timeline {
public:
    explicit timeline(std::size_t shards)
        : merger_{shards, 1s} {}

    void add(std::size_t shard, nr::flow::event_batch const& events) { // of each shard in its order
        merger_.push(shard, {events.begin(), events.end()});
        merger_.take(in_order_);
        publish(in_order_);
        in_order_.clear();
    }

private:
    nr::flow::event_merger<nr::flow::event> merger_;
    std::vector<nr::flow::event> in_order_;
};

auto both(net::io_context& context) {
    nr::flow_stream flows{nr::merge(nr::capture{context, nr::capture_options{"eth0"}},
                                    nr::capture{context, nr::capture_options{"eth1"}})};
    return flows;
}

void share_queues() {
    nr::shards group{nr::shards_options{}.count(4), nr::xdp_group{nr::xdp_options{"eth0"}.filter("tcp")}};
}

// ---- bridge.md

net::awaitable<void> join(std::string left, std::string right) {
    nr::bridge bridge{co_await net::this_coro::executor, nr::bridge_options{left, right}};
    auto [error] = co_await bridge.async_run(net::as_tuple(net::use_awaitable)); // until cancelled
    std::cout << bridge.statistics().left_to_right.forwarded << " frames to the right\n";
}

void change(nr::bridge_options& options) {
    options.filter([](nr::bridge_packet& packet) {
        if (packet->vlan.id() == 5)
            return nr::bridge_verdict::drop;
        if (packet.from() == nr::bridge_side::left && packet->data.size() >= 14)
            packet.modify()[5] ^= std::byte{1}; // the destination address
        packet.set_vlan({0x8100, 7});           // beside the bytes, as it came
        return nr::bridge_verdict::forward;
    });
}

// ---- capture.md

net::awaitable<void> count(std::string interface) {
    nr::capture capture{co_await net::this_coro::executor, nr::capture_options{interface}.filter("udp port 53")};
    nr::packet_batch batch;
    for (std::uint64_t packets = 0;;) {
        packets += co_await capture.async_receive(batch, net::use_awaitable);
        for (nr::packet_view const& packet : batch)
            std::cout << packet.time.time_since_epoch().count() << ' ' << packet.wire_length << '\n';
    }
}

void share(net::io_context& context) {
    nr::capture first{context, nr::capture_options{"eth0"}.fanout(nr::fanout_options{nr::fanout_mode::hash})};
    nr::capture second{
        context, nr::capture_options{"eth0"}.fanout(nr::fanout_options{nr::fanout_mode::hash}.id(*first.fanout_id()))};
}

void look_again_and_again(net::io_context& context, nr::capture& capture, nr::packet_batch& batch) {
    while (!context.stopped()) {
        for (int budget = 8; budget != 0 && capture.try_receive(batch); --budget)
            handle(batch);
        context.poll(); // timers and everything else
    }
}

nr::capture_options soon() {
    return nr::capture_options{"eth0"}.profile(nr::capture_profile::low_latency).spin(std::chrono::microseconds{50});
}

// ---- flows.md

net::awaitable<void> follow(nr::capture capture, nr::flow::event_batch& events) {
    nr::flow_stream flows{std::move(capture), nr::flow::five_tuple{}, nr::flow::tracker_options{}.active_timeout(60s)};
    auto [error, count] = co_await flows.async_receive(events, net::as_tuple(net::use_awaitable));
    for (nr::flow::event const& e : events)
        std::cout << e << '\n';
}

void see_once(nr::packet_view const& packet) {
    nr::flow::dedup first_sight{nr::flow::dedup_options{}.window(10ms).ignore_hop_limit(true).ignore_mac(true)};
    if (first_sight(packet))
        count(packet);
}

struct by_server {
    struct key_type {
        nr::decode::ip_address address;
        std::uint16_t port;
        bool operator==(key_type const&) const = default;
    };
    static constexpr bool one_connection = false; // many share a key
    struct state_type {
        std::uint64_t syns = 0;
    };

    std::optional<nr::flow::extracted<key_type>> operator()(nr::decode::headers const& packet) const {
        if (!packet.has_tcp)
            return std::nullopt;
        bool const to_server = packet.destination_port < packet.source_port;
        return nr::flow::extracted<key_type>{to_server ? key_type{packet.destination, packet.destination_port}
                                                       : key_type{packet.source, packet.source_port},
                                             to_server ? nr::flow::orientation::a_to_b : nr::flow::orientation::b_to_a};
    }
    void update(state_type& state, nr::decode::headers const& packet, nr::flow::orientation) const {
        state.syns += packet.tcp_flags & nr::decode::tcp_flag::syn ? 1 : 0;
    }
    std::optional<std::chrono::nanoseconds> idle_timeout(key_type const& key) const {
        return key.port == 22 ? std::optional<std::chrono::nanoseconds>{1h} : std::nullopt;
    }
};
static_assert(nr::flow::extractor<by_server>);

net::awaitable<void> look(nr::flow_stream<nr::capture, nr::flow::five_tuple>& flows) {
    for (auto const& e : flows.top(10, [](nr::flow::event const& e) { return e.stats.wire_bytes(); }))
        std::cout << e << '\n';

    nr::flow::snapshot_cursor cursor;
    std::vector<nr::flow::event> part;
    for (bool more = true; more; part.clear()) {
        more = flows.snapshot(cursor, part, 4096);
        publish(part);
        co_await net::post(net::use_awaitable); // receive in between
    }
}

net::awaitable<void> tell(net::any_io_executor executor, net::ip::address address, std::span<nr::flow::event> events) {
    nr::exports::ipfix_exporter collector{executor, nr::exports::ipfix_exporter_options{address}};
    co_await collector.async_export(events, net::use_awaitable);
}

// ---- sessions.md

net::awaitable<void> listen(nr::capture capture) {
    nr::session_stream sessions{nr::flow_stream{std::move(capture)},
                                nr::session::use{nr::session::dns_over_udp{}}.ports({53}),
                                nr::session::use{nr::session::http1_parser{}}.ports({80, 8080}),
                                nr::session::use{nr::session::tls_handshake{}}};
    decltype(sessions)::event_batch events;
    for (;;) {
        auto [error, count] = co_await sessions.async_receive(events, net::as_tuple(net::use_awaitable));
        for (auto const& e : events)
            if (auto const* message = e.message())
                std::visit(overloaded{[](nr::session::http1::request const& r) { std::cout << r.target << '\n'; },
                                      [](nr::session::tls::client_hello const& h) { std::cout << h.ja4() << '\n'; },
                                      [](auto const&) {}},
                           *message);
        if (error)
            co_return;
    }
}

class line_parser {
public:
    using message_type = std::string;
    static constexpr std::string_view name = "lines";

    nr::error_code feed(nr::session::side from, std::span<std::byte const> bytes, nr::timestamp,
                        nr::session::output<std::string>& out) {
        auto& line = lines_[index(from)];
        for (auto const byte : bytes) {
            if (byte == std::byte{'\n'}) {
                out(from, line);
                line.clear();
            } else if (line.size() == 1000) {
                return nr::error::message_too_long;
            } else if (byte != std::byte{'\r'}) {
                line += static_cast<char>(byte);
            }
        }
        return {};
    }

private:
    std::array<std::string, 2> lines_; // one of each side that is not complete yet
};
static_assert(nr::session::stream_parser<line_parser>);

// ---- transmit.md

net::awaitable<void> send(std::string interface, std::vector<net::const_buffer> frames) {
    nr::injector injector{co_await net::this_coro::executor, nr::injector_options{interface}};
    co_await injector.async_send_frames(frames, net::use_awaitable);
    nr::tx_result result = co_await injector.async_drain(net::use_awaitable);
    std::cout << result.taken << " taken, " << result.rejected << " refused\n";
}

void fill_in_place(nr::injector& injector) {
    if (auto frame = injector.try_reserve(1514))
        frame.commit(write_frame(frame.data()));
    injector.flush();
}

net::awaitable<void> pace(net::any_io_executor executor, nr::injector& injector,
                          std::vector<net::const_buffer> frames) {
    nr::pacer pacer{executor, nr::pacer_options{}.packets_per_second(50'000).bits_per_second(200'000'000)};
    for (auto const& frame : frames) {
        co_await pacer.async_acquire(1, frame.size(), net::use_awaitable);
        co_await injector.async_send(frame, net::use_awaitable);
    }
}

net::awaitable<void> pace_bursts(nr::pacer& pacer, nr::injector& injector, std::vector<net::const_buffer>& burst,
                                 net::const_buffer const* next, net::const_buffer const* end) {
    co_await pacer.async_acquire(1, next->size(), net::use_awaitable);
    do
        burst.push_back(*next++);
    while (next != end && pacer.try_acquire(1, next->size()));
    co_await injector.async_send_frames(burst, net::use_awaitable);
}

// ---- xdp.md

net::awaitable<void> take(net::io_context& context) {
    nr::xdp_socket socket{context, nr::xdp_options{"eth0"}.filter("udp port 4789")};
    nr::packet_batch batch;
    for (;;) {
        co_await socket.async_receive(batch, net::use_awaitable);
        for (auto const packet : batch)
            handle(packet);
    }
}

net::awaitable<void> join_past_the_stack(net::io_context& context) {
    nr::xdp_bridge bridge{context, nr::xdp_bridge_options{nr::xdp_options{"eth1"}.take_everything(),
                                                          nr::xdp_options{"eth2"}.take_everything()}};
    auto [error] = co_await bridge.async_run(net::as_tuple(net::use_awaitable)); // until cancelled
}

// ---- subscriptions.md

net::awaitable<void> write_what_is_wanted(nr::pcap::writer& file) {
    auto executor = co_await net::this_coro::executor;
    nr::subscriptions interest{nr::capture{executor, nr::capture_options{"eth0"}}};
    auto frames = interest.subscribe(nr::subscription::packets{nr::subscription::expression{"tls.sni ~ 'example'"}});
    interest.async_run(net::detached);
    for (decltype(frames)::batch batch;;) {
        co_await frames.async_receive(batch, net::use_awaitable);
        for (nr::subscription::packet const& p : batch)
            file.write(*p.frame);
    }
}

} // namespace snippets
