// What is attached to streams: recorders, dedup, several consumers; and what they keep when streams are converted.

#include "../../example/line_parser.hpp"
#include "session/wire.hpp"
#include <netring_asio/broadcast.hpp>
#include <netring_asio/conversation_stream.hpp>
#include <netring_asio/deduplicated.hpp>
#include <netring_asio/pcap/reader.hpp>
#include <netring_asio/session_stream.hpp>
#include <netring_asio/tapped.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <asio/conformance.hpp>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <stdlib.h>

namespace fs = std::filesystem;
namespace net = boost::asio;
namespace nr = netring_asio;
namespace pcap = netring_asio::pcap;
using namespace std::chrono_literals;
using test::ack;

namespace {

struct taps : test::wire {
    taps() {
        char name[] = "/tmp/netring_asio.XXXXXX";
        BOOST_REQUIRE(::mkdtemp(name) != nullptr);
        folder = name;
    }
    ~taps() { fs::remove_all(folder); }

    auto source() { return test::memory_source<>{context.get_executor(), store}; }
    pcap::recorder_options files() { return pcap::recorder_options{folder / "tap"}; }

    /// The names of the files, in order.
    std::vector<fs::path> written() const {
        std::vector<fs::path> result;
        for (auto const& entry : fs::directory_iterator{folder})
            result.push_back(entry.path());
        std::ranges::sort(result);
        return result;
    }
    /// Length and stamp of each packet, as the files tell them.
    std::vector<std::pair<std::size_t, nr::timestamp>> packets(std::vector<fs::path> const& from) const {
        std::vector<std::pair<std::size_t, nr::timestamp>> result;
        for (auto const& file : from) {
            pcap::reader reader{pcap::reader_options{file.string()}};
            nr::packet_batch batch;
            nr::error_code error;
            while (reader.read(batch, error) != 0)
                for (nr::packet_view const& packet : batch)
                    result.emplace_back(packet.data.size(), packet.time);
        }
        return result;
    }
    template <class Stream>
    std::size_t drain(Stream& from) {
        typename Stream::event_batch events;
        std::size_t count = 0;
        while (from.try_receive(events))
            count += events.size();
        return count;
    }

    fs::path folder;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(attached_to_streams, taps)

BOOST_AUTO_TEST_CASE(a_tap_and_a_dedup_stay_with_the_source_whatever_stream_is_made_of_it) {
    auto twice = [&](std::string_view text, unsigned interface, bool again) {
        auto frame = test::craft{text}.udp(9, 53).ipv4("10.0.0.1", "10.0.0.2", 17).ethernet(0x0800);
        for (int copy = 0; copy != (again ? 2 : 1); ++copy) {
            packet(frame, 1us);
            store->batches.back().front().interface_index = static_cast<int>(interface) + copy;
        }
    };
    twice("one", 1, true);
    nr::flow_stream flows{nr::tapped{nr::deduplicated{source()}, files()}};
    BOOST_TEST(drain(flows) == 1u);
    BOOST_TEST(flows.source().recorder().statistics().written == 1u);
    BOOST_TEST(flows.source().source().statistics().copies == 1u);

    twice("two\n", 1, true);
    nr::session_stream sessions{std::move(flows), nr::session::use{line_parser{}}.ports({25})};
    drain(sessions);
    BOOST_TEST(sessions.source().recorder().statistics().packets == 2u);
    BOOST_TEST(sessions.source().recorder().statistics().written == 2u);
    BOOST_TEST(sessions.source().recorder().options().files().prefix() == folder / "tap");
    BOOST_TEST(sessions.source().source().statistics().packets == 4u);
    BOOST_TEST(sessions.source().source().statistics().copies == 2u);
    BOOST_TEST(sessions.statistics().packets == 2u); // what is analysed is what is recorded

    twice("three", 1, false);
    nr::flow_stream other{sessions.release()};
    nr::conversation_stream conversations{std::move(other)};
    nr::error_code result;
    decltype(conversations)::conversation none;
    conversations.async_accept(none, [&](nr::error_code error) { result = error; });
    context.run();
    BOOST_TEST((result == net::error::eof));
    BOOST_TEST(conversations.source().recorder().statistics().written == 3u);
    BOOST_TEST(conversations.source().source().statistics().copies == 2u);
    conversations.source().recorder().flush();
    BOOST_TEST(packets(written()).size() == 3u);
}

BOOST_AUTO_TEST_CASE(files_rotate_by_size_and_time_and_none_is_overwritten) {
    constexpr std::size_t count = 4000;
    std::vector<std::pair<std::size_t, nr::timestamp>> sent;
    auto const frame = test::craft{1000}.udp(9, 53).ipv4("10.0.0.1", "10.0.0.2", 17).ethernet(0x0800);
    auto view = frame.view();
    auto const record = [&](pcap::rotation_options const& options) {
        pcap::recorder recorder{pcap::recorder_options{options}};
        for (std::size_t i = 0; i != count; ++i) {
            view.time = test::wire_epoch + i * 1ms;
            recorder.record(view);
            sent.emplace_back(view.data.size(), view.time);
        }
        BOOST_TEST(recorder.statistics().written == count);
        return recorder.statistics().files;
    };
    auto const options = pcap::rotation_options{folder / "tap"}.max_size(std::size_t{1} << 20);
    auto const by_size = record(options);
    BOOST_TEST(by_size >= 4u);
    auto const first = written();
    BOOST_TEST(first.size() == by_size);
    for (auto const& file : first)
        BOOST_TEST(fs::file_size(file) <= std::size_t{1} << 20);
    BOOST_TEST((packets(first) == sent));

    std::set<fs::path> const before{first.begin(), first.end()};
    auto const by_time = record(pcap::rotation_options{folder / "tap"}.max_duration(1s));
    BOOST_TEST(by_time == 4u);
    BOOST_TEST(written().size() == by_size + by_time);
    BOOST_TEST((packets(first) == std::vector(sent.begin(), sent.begin() + count)));
    std::vector<fs::path> second;
    for (auto const& file : written())
        if (!before.contains(file))
            second.push_back(file);
    BOOST_TEST((packets(second) == std::vector(sent.begin() + count, sent.end())));
}

BOOST_AUTO_TEST_CASE(packets_around_a_trigger_are_recorded) {
    auto const frame = test::craft{100}.udp(9, 53).ipv4("10.0.0.1", "10.0.0.2", 17).ethernet(0x0800);
    auto view = frame.view();
    auto at = test::wire_epoch;
    auto const pass = [&](pcap::recorder& to, int count) {
        for (int i = 0; i != count; ++i) {
            view.time = at += 1ms;
            to.record(view);
        }
    };
    for (auto const ring : {std::size_t{20'000}, std::size_t{1} << 20}) {
        fs::remove_all(folder);
        fs::create_directory(folder);
        pcap::recorder recorder{files().pre_trigger(ring, 500ms).post_trigger(10ms)};
        pass(recorder, 1000);
        BOOST_TEST(written().empty());
        auto const waiting = recorder.statistics().waiting;
        BOOST_TEST(waiting == (ring == 20'000 ? waiting : 501u));
        BOOST_TEST(waiting >= 60u);
        auto const triggered_at = at;
        recorder.trigger();
        pass(recorder, 100);
        auto const s = recorder.statistics();
        BOOST_TEST(s.packets == 1100u);
        BOOST_TEST(s.written == waiting + 10);
        BOOST_TEST(s.written + s.waiting + s.forgotten + s.failed == s.packets);
        BOOST_TEST(!recorder.triggered());
        auto const kept = packets(written());
        BOOST_REQUIRE(kept.size() == waiting + 10);
        BOOST_TEST((kept.front().second == triggered_at - (waiting - 1) * 1ms));
        BOOST_TEST((kept.back().second == triggered_at + 10ms));
        recorder.trigger();
        recorder.flush();
        BOOST_TEST(written().size() == 2u);
    }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_written_is_told_and_counted) {
    int told = 0;
    pcap::recorder recorder{pcap::recorder_options{folder / "no such folder" / "tap"}.on_error(
        [&](nr::error_code error) { told += error == boost::system::errc::no_such_file_or_directory ? 1 : 0; })};
    auto const frame = test::craft{100}.udp(9, 53).ipv4("10.0.0.1", "10.0.0.2", 17).ethernet(0x0800);
    recorder.record(frame.view());
    BOOST_TEST(told == 1);
    BOOST_TEST(recorder.statistics().failed == 1u);
    BOOST_CHECK_EXCEPTION(pcap::recorder{pcap::recorder_options{}}, nr::system_error,
                          [](auto const& e) { return e.code() == nr::error::invalid_option; });
}

BOOST_AUTO_TEST_CASE(consumers_share_events_and_a_slow_one_loses_what_it_is_told) {
    for (unsigned port = 1; port <= 100; ++port)
        udp(true, port, 53, "x");
    nr::broadcast events{flows(), nr::broadcast_options{}.max_queued(8)};
    auto fast = events.subscribe();
    auto slow = events.subscribe();
    BOOST_TEST(events.consumers() == 2u);
    using batch = decltype(fast)::event_batch;
    batch received;
    std::size_t seen = 0;
    for (;;) {
        nr::error_code result;
        fast.async_receive(received, [&](nr::error_code error, std::size_t) { result = error; });
        context.restart();
        context.run();
        if (result) {
            BOOST_TEST((result == net::error::eof));
            break;
        }
        BOOST_TEST(received.missed() == 0u);
        seen += received.size();
    }
    BOOST_TEST(fast.lag().missed == 0u);
    auto const lag = slow.lag();
    BOOST_TEST(lag.batches == 8u);
    BOOST_TEST(lag.missed + lag.events == seen);
    batch late;
    BOOST_REQUIRE(slow.try_receive(late));
    BOOST_TEST(late.missed() == lag.missed);
    std::size_t got = late.size();
    while (slow.try_receive(late)) {
        BOOST_TEST(late.missed() == 0u);
        got += late.size();
    }
    BOOST_TEST(got == lag.events);
    nr::error_code end;
    slow.async_receive(late, [&](nr::error_code error, std::size_t) { end = error; });
    context.restart();
    context.run();
    BOOST_TEST((end == net::error::eof)); // each is told
    BOOST_TEST_MESSAGE("figure: of " << seen << " events a fast consumer got all, one that did not read lost "
                                     << lag.missed << " and was told so");
}

BOOST_AUTO_TEST_CASE(a_consumer_may_hold_the_stream_up_instead) {
    for (unsigned port = 1; port <= 100; ++port)
        udp(true, port, 53, "x");
    nr::broadcast events{flows(), nr::broadcast_options{}.max_queued(8).when_full(nr::slow_consumer::holds_up)};
    auto fast = events.subscribe();
    std::optional slow{events.subscribe()};
    decltype(fast)::event_batch received;
    std::size_t seen = 0;
    bool ended = false;
    auto const receive = [&](auto const& self) -> void {
        fast.async_receive(received, [&, self](nr::error_code error, std::size_t count) {
            seen += count;
            ended = error == net::error::eof;
            if (!error)
                self(self);
        });
    };
    receive(receive);
    context.poll();
    BOOST_TEST(!ended);
    BOOST_TEST(slow->lag().batches == 8u);
    BOOST_TEST(store->batches.size() > 80u);
    decltype(fast)::event_batch late;
    std::size_t got = 0;
    for (int i = 0; i != 50; ++i) {
        while (slow->try_receive(late))
            got += late.size();
        context.restart();
        context.poll();
    }
    BOOST_TEST(ended);
    BOOST_TEST(got == seen);
    BOOST_TEST(slow->lag().missed == 0u);
    slow.reset();
    BOOST_TEST(events.consumers() == 1u);
}

BOOST_AUTO_TEST_CASE(consumers_end_with_their_broadcast) {
    store->ends = false;
    std::optional events{nr::broadcast{flows()}};
    auto one = events->subscribe();
    decltype(one)::event_batch batch;
    nr::error_code result;
    one.async_receive(batch, [&](nr::error_code error, std::size_t) { result = error; });
    context.poll();
    events.reset();
    context.restart();
    context.run();
    BOOST_TEST((result == net::error::operation_aborted));
    one.async_receive(batch, [&](nr::error_code error, std::size_t) { result = error; });
    result = {};
    context.restart();
    context.run();
    BOOST_TEST((result == net::error::operation_aborted));
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

/// Packets through a tap that waits for its trigger.
struct receive_tapped {
    static constexpr bool exclusive = false; // as the source of the test

    auto make(net::any_io_executor executor) {
        store->ends = false;
        return nr::tapped{test::memory_source<>{std::move(executor), store},
                          pcap::recorder_options{fs::path{"/nowhere/tap"}}.pre_trigger(10'000)};
    }
    template <class Source, class... Token>
    auto start(Source& from, Token&&... token) {
        ring = [source = &from.source()] { source->ring(); };
        return from.async_receive(batch, std::forward<Token>(token)...);
    }
    void make_ready() {
        lab::uncounted const packet_of_the_test;
        frames.push_back(test::craft{9}.udp(9, 53).ipv4("10.0.0.9", "10.0.0.2", 17).ethernet(0x0800));
        store->batches.push_back({frames.back().view()});
        ring();
    }

    std::shared_ptr<test::packet_store> store = std::make_shared<test::packet_store>();
    std::deque<test::craft> frames;
    std::function<void()> ring = [] {};
    nr::packet_batch batch; // goes before what it was lent from
};

/// A broadcast and one consumer of it.
template <class Source>
struct subscriber {
    using executor_type = typename Source::executor_type;
    using stream = nr::flow_stream<Source>;
    template <class Executor>
    struct rebind_executor {
        using other = subscriber<typename Source::template rebind_executor<Executor>::other>;
    };

    explicit subscriber(stream from)
        : events{std::move(from)}
        , consumer{events.subscribe()} {}
    template <class Other>
    explicit subscriber(subscriber<Other>&& other)
        : subscriber{stream{other.events.release()}} {}

    executor_type get_executor() const noexcept { return events.get_executor(); }
    void cancel() { consumer.cancel(); }

    nr::broadcast<stream> events;
    typename nr::broadcast<stream>::consumer consumer;
};

/// Events of a flow stream, by way of a broadcast; each packet is the first of a new flow.
struct receive_broadcast {
    auto make(net::any_io_executor executor) {
        store->ends = false;
        return subscriber<test::memory_source<>>{nr::flow_stream{test::memory_source<>{std::move(executor), store}}};
    }
    template <class Subscriber, class... Token>
    auto start(Subscriber& from, Token&&... token) {
        ring = [source = &from.events.stream().source()] { source->ring(); };
        if constexpr (std::is_same_v<decltype(from.consumer),
                                     nr::broadcast<nr::flow_stream<test::memory_source<>>>::consumer>)
            return from.consumer.async_receive(batch, std::forward<Token>(token)...);
        else
            return from.consumer.async_receive(other_batch(from), std::forward<Token>(token)...);
    }
    template <class Subscriber>
    auto& other_batch(Subscriber const&) {
        static typename decltype(Subscriber::consumer)::event_batch instance;
        return instance;
    }
    void make_ready() {
        lab::uncounted const packet_of_the_test;
        frames.push_back(test::craft{9}.udp(++port, 53).ipv4("10.0.0.9", "10.0.0.2", 17).ethernet(0x0800));
        store->batches.push_back({frames.back().view()});
        ring();
    }

    std::shared_ptr<test::packet_store> store = std::make_shared<test::packet_store>();
    std::deque<test::craft> frames;
    std::function<void()> ring = [] {};
    unsigned port = 0;
    nr::broadcast<nr::flow_stream<test::memory_source<>>>::consumer::event_batch batch;
};

} // namespace

BOOST_AUTO_TEST_CASE(receiving_through_a_tap_keeps_the_contract) { conformance::verify<receive_tapped>(); }

BOOST_AUTO_TEST_CASE(receiving_a_broadcast_keeps_the_contract) { conformance::verify<receive_broadcast>(); }
