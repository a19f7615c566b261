// Conversations read as streams and fed to consumers: order, gaps, ends, slow readers, cancellation.

#include "session/wire.hpp"
#include <netring_asio/conversation_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <asio/conformance.hpp>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace http = boost::beast::http;
using nr::session::side;
using test::ack, test::fin, test::rst, test::syn;

namespace {

struct conversations : test::wire {
    auto stream(nr::conversation_options const& options = nr::conversation_options{}) {
        return nr::conversation_stream{flows(), options};
    }
    void run() {
        context.restart();
        context.run();
    }
    /// Runs what is ready, but waits for nothing.
    void settle() {
        context.restart();
        while (context.poll() != 0) {
        }
    }
    /// Reads one direction to its end.
    template <class Side>
    std::string drain(Side from) {
        std::string result;
        std::array<char, 7> room{};
        nr::error_code end;
        while (!end) {
            from.async_read_some(net::buffer(room), [&](nr::error_code error, std::size_t size) {
                result.append(room.data(), size);
                if (error == nr::error::stream_gap)
                    result += "<" + std::to_string(from.gap()) + " missing>";
                else
                    end = error;
            });
            run();
        }
        return result + "|" + end.message();
    }
    template <class Stream>
    typename Stream::conversation accept(Stream& from) {
        typename Stream::conversation next;
        nr::error_code result = net::error::would_block;
        from.async_accept(next, [&](nr::error_code error) { result = error; });
        run();
        BOOST_TEST(!result, result.message());
        return next;
    }
};

std::string const closed = "|" + nr::error_code{net::error::eof}.message();
std::string const was_reset = "|" + nr::error_code{net::error::connection_reset}.message();

net::awaitable<void> read_requests(auto conversation, std::vector<std::string>& seen) {
    auto client = conversation.initiator();
    auto server = conversation.responder();
    boost::beast::flat_buffer from_client, from_server;
    for (int i = 0; i != 2; ++i) {
        http::request<http::string_body> request;
        co_await http::async_read(client, from_client, request, net::use_awaitable);
        http::response<http::string_body> response;
        co_await http::async_read(server, from_server, response, net::use_awaitable);
        seen.push_back(std::string{request.target()} + " " + std::to_string(response.result_int()) + " " +
                       response.body());
    }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(session_conversations, conversations)

BOOST_AUTO_TEST_CASE(beast_parses_straight_from_captured_directions) {
    auto web = connection(40000, 80);
    web.open();
    web.send(0, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HT");
    web.send(1, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
    web.send(1, "llo\r\n0\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nbye");
    web.send(0, "TP/1.1\r\n\r\n");
    web.close();
    auto from = stream();
    std::vector<std::string> seen;
    net::co_spawn(context, read_requests(accept(from), seen), net::detached);
    run();
    BOOST_TEST(seen == (std::vector<std::string>{"/a 200 hello", "/b 404 bye"}), boost::test_tools::per_element());
    nr::error_code end;
    decltype(from)::conversation none;
    from.async_accept(none, [&](nr::error_code error) { end = error; });
    run();
    BOOST_TEST((end == net::error::eof));
    BOOST_TEST(!none.is_open());
}

BOOST_AUTO_TEST_CASE(gaps_and_ends_are_told_where_they_are) {
    auto lossy = connection(40000, 80);
    lossy.open();
    lossy.send(0, "before ");
    lossy.next[0] += 1000;
    lossy.send(0, "behind");
    lossy.send(1, "answer");
    lossy.close();
    auto broken = connection(40001, 80);
    broken.open();
    broken.send(0, "half");
    broken.send(1, "", rst | ack);
    auto other_port = connection(40002, 81);
    other_port.open();
    other_port.send(0, "nobody asked");
    auto silent = connection(40003, 80);
    silent.open();
    silent.send(1, "banner");
    auto from = stream(nr::conversation_options{}.ports({80}));
    auto first = accept(from);
    BOOST_TEST(first.info().initiator().port == 40000u);
    BOOST_TEST(first.info().responder().port == 80u);
    BOOST_TEST(drain(first.initiator()) == "before <1000 missing>behind" + closed);
    BOOST_TEST(first.initiator().offset() == 1013u);
    BOOST_TEST(drain(first.responder()) == "answer" + closed);
    auto second = accept(from);
    BOOST_TEST(drain(second.initiator()) == "half" + was_reset);
    BOOST_TEST(drain(second.responder()) == was_reset);
    auto third = accept(from);
    BOOST_TEST(drain(third.responder()) == "banner" + closed); // the input ended
    BOOST_TEST(from.statistics().conversations == 3u);
    third.close();
    nr::error_code result;
    std::array<char, 1> room{};
    third.initiator().async_read_some(net::buffer(room), [&](nr::error_code error, std::size_t) { result = error; });
    run();
    BOOST_TEST((result == net::error::bad_descriptor));
}

namespace {

/// What a test's consumers saw of each connection's client, by its port.
struct seen {
    std::string bytes;
    std::uint64_t missing = 0;
    nr::error_code end;
};

constexpr unsigned stopped_port = 20'000;
constexpr unsigned connections = 1000;
constexpr unsigned segments = 40;
std::string const segment(1000, 's');

struct crowd : conversations {
    crowd() {
        std::vector<tcp> all;
        for (unsigned i = 0; i != connections; ++i) {
            all.push_back(connection(stopped_port + i, 80));
            all.back().open();
        }
        for (unsigned n = 0; n != segments; ++n)
            for (auto& c : all)
                c.send(0, segment);
        for (auto& c : all)
            c.close();
    }

    /// A consumer of each client; that of one connection takes its first chunk when the gate opens.
    auto consumers() {
        return [this](auto const& info, side from) {
            auto consumer = [this, port = info.initiator().port](nr::chunk const& piece, auto handler) {
                auto& to = by_port[port];
                to.bytes.append(reinterpret_cast<char const*>(piece.bytes.data()), piece.bytes.size());
                to.missing += piece.missing;
                to.end = piece.end;
                if (port == stopped_port && !open)
                    gate.async_wait([h = std::move(handler)](nr::error_code) mutable { h(nr::error_code{}); });
                else
                    net::post(context, [h = std::move(handler)]() mutable { h(nr::error_code{}); });
            };
            return from == side::initiator ? std::optional{std::move(consumer)} : std::nullopt;
        };
    }
    std::size_t complete() const {
        std::size_t result = 0;
        for (auto const& [port, what] : by_port)
            result += what.end == net::error::eof && what.bytes.size() == segments * segment.size() ? 1u : 0u;
        return result;
    }
    void open_gate() {
        open = true;
        gate.cancel();
    }

    std::map<unsigned, seen> by_port;
    net::steady_timer gate{context, net::steady_timer::time_point::max()};
    bool open = false;
    nr::error_code outcome = net::error::would_block;
};

} // namespace

BOOST_FIXTURE_TEST_CASE(beside_999_fast_consumers_a_stopped_one_pauses_the_source, crowd) {
    auto from = stream(nr::conversation_options{}.max_queued(16'000).when_full(nr::full_queue::pause_source));
    from.async_consume(consumers(), [&](nr::error_code error) { outcome = error; });
    settle();
    auto const left = store->batches.size();
    auto const queued = from.statistics().queued;
    BOOST_TEST(from.statistics().full == 1u);
    BOOST_TEST(from.statistics().pauses == 1u);
    BOOST_TEST(left > connections * (segments - 20));                          // the source waits
    BOOST_TEST(queued < 16'000u + 64 * segment.size());                        // and memory is bounded
    BOOST_TEST(by_port[stopped_port + 1].bytes.size() >= 15 * segment.size()); // the others were not held up before
    open_gate();
    run();
    BOOST_TEST(!outcome, outcome.message());
    BOOST_TEST(complete() == connections);
    BOOST_TEST_MESSAGE("figure: paused with " << left << " of " << connections * (segments + 6)
                                              << " packets left in the source and " << queued
                                              << " bytes queued; in the end " << complete() << " streams are whole");
}

BOOST_FIXTURE_TEST_CASE(beside_999_fast_consumers_a_stopped_one_is_detached_with_a_told_gap, crowd) {
    auto from = stream(nr::conversation_options{}.max_queued(16'000).when_full(nr::full_queue::detach));
    from.async_consume(consumers(), [&](nr::error_code error) { outcome = error; });
    settle();
    BOOST_TEST(store->batches.empty());
    BOOST_TEST(complete() == connections - 1);
    BOOST_TEST((outcome == net::error::would_block)); // one consumer runs
    open_gate();
    run();
    BOOST_TEST(!outcome, outcome.message());
    auto const& stopped = by_port[stopped_port];
    BOOST_TEST((stopped.end == nr::error::reader_too_slow));
    BOOST_TEST(stopped.missing != 0u);
    BOOST_TEST(stopped.bytes.size() + stopped.missing == segments * segment.size());
    BOOST_TEST(from.statistics().detached == 1u);
    BOOST_TEST(from.statistics().queued == 0u);
    BOOST_TEST_MESSAGE("figure: " << complete() << " streams are whole; the stopped one got " << stopped.bytes.size()
                                  << " bytes and was told that " << stopped.missing << " are missing");
}

BOOST_AUTO_TEST_CASE(an_error_ends_one_consumer_alone) {
    for (unsigned port = 1; port != 4; ++port) {
        auto c = connection(port, 80);
        c.open();
        c.send(0, "one");
        c.send(1, "two");
        c.close();
    }
    std::map<std::pair<unsigned, side>, std::string> got;
    auto from = stream();
    nr::error_code result = net::error::would_block;
    from.async_consume(
        [&](auto const& info, side which) {
            return [&got, port = info.initiator().port, which](nr::chunk const& piece) -> net::awaitable<void> {
                net::steady_timer pause{co_await net::this_coro::executor, std::chrono::microseconds{10}};
                co_await pause.async_wait(net::use_awaitable);
                if (port == 2 && which == side::initiator)
                    throw nr::system_error{nr::error::malformed_message};
                got[{port, which}].append(reinterpret_cast<char const*>(piece.bytes.data()), piece.bytes.size());
                if (piece.end == net::error::eof)
                    got[{port, which}] += ".";
            };
        },
        [&](nr::error_code error) { result = error; });
    run();
    BOOST_TEST(!result, result.message());
    BOOST_TEST(got.size() == 5u);
    for (auto const& [of, text] : got)
        BOOST_TEST(text == (of.second == side::initiator ? "one." : "two."));
    BOOST_TEST(from.statistics().failed == 1u);
}

BOOST_AUTO_TEST_CASE(cancelled_it_ends_when_its_consumers_have) {
    auto c = connection(1, 80);
    c.open();
    c.send(0, "one");
    store->ends = false;
    bool ended = false;
    nr::error_code result = net::error::would_block;
    auto const forever = [&](auto const&, side) {
        return [&ended](nr::chunk const&) -> net::awaitable<void> {
            struct guard {
                ~guard() { value = true; }
                bool& value;
            } const at_end{ended};
            net::steady_timer pause{co_await net::this_coro::executor, net::steady_timer::time_point::max()};
            co_await pause.async_wait(net::use_awaitable);
        };
    };
    {
        auto from = stream();
        net::cancellation_signal stop;
        from.async_consume(forever, net::bind_cancellation_slot(stop.slot(), [&](nr::error_code error) {
                               BOOST_TEST(ended);
                               result = error;
                           }));
        settle();
        BOOST_TEST(!ended);
        stop.emit(net::cancellation_type::terminal);
        run();
        BOOST_TEST((result == net::error::operation_aborted));
        from.async_consume(forever, [&](nr::error_code error) { result = error; });
        c.send(1, "two");
        result = net::error::would_block;
        settle();
    }
    run();
    BOOST_TEST((result == net::error::operation_aborted)); // it was destroyed

    net::io_context other{1};
    auto from =
        std::make_unique<decltype(stream())>(nr::flow_stream{test::memory_source<>{other.get_executor(), store}});
    auto late = connection(2, 80);
    late.open();
    late.send(0, "one");
    from->async_consume(forever, [&](nr::error_code) { BOOST_TEST(false); });
    while (other.poll() != 0) {
    }
    // Destroys consumers and their operation, and with them what they hold.
}

BOOST_AUTO_TEST_CASE(a_conversation_outlives_its_stream_and_its_queue_is_given_back) {
    auto c = connection(1, 80);
    c.open();
    c.send(0, "one");
    c.send(1, "two");
    std::optional from{stream()};
    auto conversation = accept(*from);
    BOOST_TEST(drain(conversation.responder()) == "two" + closed); // reads on to the end
    BOOST_TEST(from->statistics().queued != 0u);
    from.reset();
    BOOST_TEST(drain(conversation.initiator()) == "one" + closed);
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

/// Connections to read from, each of them one packet at a time.
struct packets_to_read {
    void begin() {
        ++port;
        sequence = 1000;
        send("", syn);
        send("x", ack);
    }
    void send(std::string_view bytes, unsigned flags) {
        lab::uncounted const packet_of_the_test;
        frames.push_back(
            test::craft{bytes}.tcp(port, 80, flags, sequence++).ipv4("10.0.0.1", "10.0.0.2", 6).ethernet(0x0800));
        auto view = frames.back().view();
        view.time = now += std::chrono::milliseconds{1};
        store->batches.push_back({view});
    }
    std::shared_ptr<test::packet_store> store = std::make_shared<test::packet_store>();
    std::deque<test::craft> frames;
    nr::timestamp now = test::wire_epoch;
    std::uint32_t sequence = 0;
    unsigned port = 0;
};

/// A stream, and a conversation of it whose first byte was read.
template <class Source>
struct reader {
    using executor_type = typename Source::executor_type;
    using stream_type = nr::conversation_stream<Source>;
    template <class Executor>
    struct rebind_executor {
        using other = reader<typename Source::template rebind_executor<Executor>::other>;
    };

    reader(stream_type from, std::shared_ptr<packets_to_read> packets, std::size_t unread = 0)
        : stream{std::move(from)}
        , content{std::move(packets)} {
        auto& context = static_cast<net::io_context&>(net::query(stream.get_executor(), net::execution::context));
        content->begin();
        stream.async_accept(conversation, [](nr::error_code) {});
        context.restart();
        context.poll();
        conversation.initiator().async_read_some(net::buffer(room), [](nr::error_code, std::size_t) {});
        context.restart();
        context.poll();
        while (unread-- != 0)
            content->send("x", ack);
    }
    /// With a conversation of its own, which then has what the other one still had to read.
    template <class Other>
    explicit reader(reader<Other>&& other)
        : reader{stream_type{std::move(other.stream)}, other.content, other.content->store->batches.size()} {}

    executor_type get_executor() const noexcept { return stream.get_executor(); }

    stream_type stream;
    std::shared_ptr<packets_to_read> content;
    typename stream_type::conversation conversation;
    std::array<char, 16> room{};
};

struct read_some {
    std::shared_ptr<packets_to_read> content = std::make_shared<packets_to_read>();
    std::function<void()> ring = [] {};

    auto make(net::any_io_executor executor) {
        content->store->ends = false;
        return reader<test::memory_source<>>{
            nr::conversation_stream{nr::flow_stream{test::memory_source<>{std::move(executor), content->store}}},
            content};
    }
    template <class Reader, class... Token>
    auto start(Reader& from, Token&&... token) {
        ring = [source = &from.stream.source()] { source->ring(); };
        return from.conversation.initiator().async_read_some(net::buffer(from.room), std::forward<Token>(token)...);
    }
    void make_ready() {
        content->send("x", ack);
        ring();
    }
};

/// A stream, and the conversation that it accepts next.
template <class Source>
struct acceptor {
    using executor_type = typename Source::executor_type;
    using stream_type = nr::conversation_stream<Source>;
    template <class Executor>
    struct rebind_executor {
        using other = acceptor<typename Source::template rebind_executor<Executor>::other>;
    };

    explicit acceptor(stream_type from)
        : stream{std::move(from)} {}
    template <class Other>
    explicit acceptor(acceptor<Other>&& other)
        : stream{std::move(other.stream)} {}

    executor_type get_executor() const noexcept { return stream.get_executor(); }

    stream_type stream;
    typename stream_type::conversation next;
};

/// Conversations of a source.
struct accept_next {
    static constexpr bool allocates = true;

    std::shared_ptr<packets_to_read> content = std::make_shared<packets_to_read>();
    std::function<void()> ring = [] {};

    auto make(net::any_io_executor executor) {
        content->store->ends = false;
        return acceptor<test::memory_source<>>{
            nr::conversation_stream{nr::flow_stream{test::memory_source<>{std::move(executor), content->store}}}};
    }
    template <class Acceptor, class... Token>
    auto start(Acceptor& from, Token&&... token) {
        ring = [source = &from.stream.source()] { source->ring(); };
        return from.stream.async_accept(from.next, std::forward<Token>(token)...);
    }
    void make_ready() {
        content->begin();
        ring();
    }
};

/// Consumers of whatever comes, until it is cancelled.
struct consume {
    static constexpr bool endless = true;
    std::shared_ptr<packets_to_read> content = std::make_shared<packets_to_read>();

    auto make(net::any_io_executor executor) {
        content->store->ends = false;
        return nr::conversation_stream{nr::flow_stream{test::memory_source<>{std::move(executor), content->store}}};
    }
    template <class Stream, class... Token>
    auto start(Stream& from, Token&&... token) {
        return from.async_consume(
            [](auto const&, side) { return [](nr::chunk const&, auto handler) { handler(nr::error_code{}); }; },
            std::forward<Token>(token)...);
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(reading_keeps_the_contract) { conformance::verify<read_some>(); }

BOOST_AUTO_TEST_CASE(accepting_keeps_the_contract) { conformance::verify<accept_next>(); }

BOOST_AUTO_TEST_CASE(consuming_keeps_the_contract) { conformance::verify<consume>(); }
