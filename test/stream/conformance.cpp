#include "afpacket/support.hpp"
#include "decode/craft.hpp"
#include <netring_asio/capture.hpp>
#include <netring_asio/datagram_stream.hpp>
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/merge.hpp>
#include <netring_asio/shard_source.hpp>

#include <boost/test/unit_test.hpp>

#include <asio/conformance.hpp>
#include <cstring>
#include <lab/allocations.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace {

namespace net = boost::asio;

/// Flow events of a live capture; each frame sent is the first of a new flow.
struct receive_events {
    static constexpr std::chrono::milliseconds latency{5};

    nr::flow::event_batch events;

    static lab::pair const& wire() {
        static lab::pair const instance;
        return instance;
    }
    auto make(net::any_io_executor executor) {
        nr::capture capture{std::move(executor)};
        wire().right.enter([&] { capture.open(small()); });
        return nr::flow_stream{std::move(capture), nr::flow::five_tuple{}};
    }
    template <class Stream, class... Token>
    auto start(Stream& stream, Token&&... token) {
        return stream.async_receive(events, std::forward<Token>(token)...);
    }
    void make_ready() {
        lab::uncounted const frame_of_the_test;
        static unsigned port = 0;
        auto const frame =
            test::craft{26}.udp(++port % 60'000 + 1, 53).ipv4("10.0.0.9", "10.0.0.2", 17).ethernet(0x0800);
        auto const data = frame.view().data;
        std::vector<std::uint8_t> bytes(data.size());
        std::memcpy(bytes.data(), data.data(), data.size());
        wire().left.send(bytes);
    }
};

/// Packets of a live capture, merged with another that has none.
struct receive_merged : receive_events {
    static constexpr std::chrono::milliseconds latency{15};

    nr::packet_batch batch;

    static lab::pair const& silence() {
        static lab::pair const instance;
        return instance;
    }
    auto make(net::any_io_executor executor) {
        nr::capture one{executor}, other{std::move(executor)};
        wire().right.enter([&] { one.open(small()); });
        silence().right.enter([&] { other.open(small()); });
        return nr::merge(std::chrono::milliseconds{2}, std::move(one), std::move(other));
    }
    template <class Source, class... Token>
    auto start(Source& source, Token&&... token) {
        return source.async_receive(batch, std::forward<Token>(token)...);
    }
};

/// The sizes of datagrams.
struct size_parser {
    using message_type = std::size_t;
    nr::error_code datagram(nr::session::side from, std::span<std::byte const> bytes, nr::timestamp,
                            nr::session::output<std::size_t>& out) {
        out(from, bytes.size());
        return {};
    }
};

/// Messages of a live capture; each frame sent is one of a new flow. A datagram stream has the operation of a session
/// stream.
struct receive_messages : receive_events {
    using stream = nr::datagram_stream<nr::capture, nr::flow::five_tuple, size_parser>;
    stream::event_batch events;

    auto make(net::any_io_executor executor) {
        return nr::datagram_stream{receive_events::make(std::move(executor)),
                                   nr::session::use{size_parser{}}.ports({53})};
    }
    template <class Stream, class... Token>
    auto start(Stream& from, Token&&... token) {
        return from.async_receive(events, std::forward<Token>(token)...);
    }
};

/// The source of a shard, as `shards` makes it; until it is first used it may change its executor.
template <class Source>
class in_shard {
public:
    using executor_type = typename Source::executor_type;
    template <class Executor>
    struct rebind_executor {
        using other = in_shard<typename Source::template rebind_executor<Executor>::other>;
    };

    explicit in_shard(Source from)
        : own{std::move(from)} {}
    template <class Other>
    explicit in_shard(in_shard<Other>&& other)
        : own{std::move(other.own)} {}

    executor_type get_executor() const noexcept { return own.get_executor(); }
    void cancel() { source().cancel(); }
    void close() { source().close(); }
    auto& source() {
        if (!source_)
            source_.emplace(std::make_shared<nr::detail::shard_source_state<Source>>(std::move(own)));
        return *source_;
    }

    Source own;

private:
    std::optional<nr::shard_source<Source>> source_;
};

/// Packets of a live capture that belongs to a shard.
struct receive_in_shard : receive_events {
    nr::packet_batch batch;

    auto make(net::any_io_executor executor) {
        nr::capture capture{std::move(executor)};
        wire().right.enter([&] { capture.open(small()); });
        return in_shard{std::move(capture)};
    }
    template <class Source, class... Token>
    auto start(Source& from, Token&&... token) {
        return from.source().async_receive(batch, std::forward<Token>(token)...);
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(flow_stream_async_receive, *lab::available()) { conformance::verify<receive_events>(); }

BOOST_AUTO_TEST_CASE(flow_stream_async_pipe, *lab::available()) {
    conformance::verify<conformance::pipe_of<receive_events, nr::flow::event_batch>>();
}

BOOST_AUTO_TEST_CASE(merge_async_receive, *lab::available()) { conformance::verify<receive_merged>(); }

BOOST_AUTO_TEST_CASE(session_and_datagram_stream_async_receive, *lab::available()) {
    conformance::verify<receive_messages>();
}

BOOST_AUTO_TEST_CASE(session_and_datagram_stream_async_pipe, *lab::available()) {
    conformance::verify<conformance::pipe_of<receive_messages, receive_messages::stream::event_batch>>();
}

BOOST_AUTO_TEST_CASE(shard_source_async_receive, *lab::available()) { conformance::verify<receive_in_shard>(); }
