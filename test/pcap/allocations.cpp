#include "numbered_file.hpp"
#include <netring_asio/pcap/reader.hpp>
#include <netring_asio/pcap/writer.hpp>
#include <netring_asio/pcap_source.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <lab/allocations.hpp>
#include <optional>

namespace net = boost::asio;
using netring_asio::error_code;
using netring_asio::owned_packet;
using netring_asio::packet_batch;
using netring_asio::pcap_source;
using netring_asio::pcap_source_options;
namespace pcap = netring_asio::pcap;

namespace {

constexpr std::uint32_t packets = 1'000'000;

numbered_file const& million() {
    static numbered_file const instance{packets};
    return instance;
}

constexpr std::uint32_t warm_up = 20'000; // packets

/// Receives until the end and tells how much was allocated after the beginning.
template <class Batch, class Token>
net::awaitable<void> receive_all(pcap_source& source, sequence& seen, std::uint64_t& allocated, Token token) {
    Batch batch;
    std::optional<lab::allocation_counter> counter;
    for (;;) {
        auto const [ec, count] = co_await source.async_receive(batch, net::as_tuple(token));
        seen(batch);
        if (ec) {
            allocated = counter->here();
            co_return;
        }
        if (!counter && seen.next >= warm_up)
            counter.emplace();
    }
}

template <class Batch, class Token>
void check_coroutine(Token token) {
    net::io_context context;
    pcap_source source{context, pcap_source_options{million().path}};
    sequence seen;
    std::uint64_t allocated = 1;
    net::co_spawn(context, receive_all<Batch>(source, seen, allocated, token), net::detached);
    context.run();
    BOOST_TEST(seen.next == packets);
    BOOST_TEST(seen.in_order);
    BOOST_TEST(allocated == 0U);
}

} // namespace

BOOST_AUTO_TEST_CASE(a_million_packets_through_coroutines) {
    check_coroutine<packet_batch>(net::use_awaitable);
    check_coroutine<packet_batch>(net::deferred);
}

BOOST_AUTO_TEST_CASE(a_million_copies_through_a_coroutine) {
    check_coroutine<std::vector<owned_packet>>(net::use_awaitable);
}

BOOST_AUTO_TEST_CASE(a_million_packets_read_and_written) {
    files::temporary_folder const folder;
    for (auto const format : {pcap::file_format::pcap, pcap::file_format::pcapng}) {
        pcap::reader reader{pcap::reader_options{million().path}.filter("greater 1")};
        pcap::writer writer{pcap::writer_options{folder / "x"}.format(format)};
        packet_batch batch;
        packet_batch before; // two batches are alive at a time
        reader.read(before);
        reader.read(batch);
        auto written = writer.write(before) + writer.write(batch);
        BOOST_TEST(lab::allocation_counter::of([&] {
                       while (reader.read(before) != 0) {
                           written += writer.write(before);
                           before.swap(batch);
                       }
                   }) == 0U);
        writer.close();
        BOOST_TEST(written == packets);
    }
}
