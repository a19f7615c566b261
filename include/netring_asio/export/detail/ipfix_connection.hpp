#pragma once

#include <netring_asio/error.hpp>
#include <netring_asio/export/ipfix_exporter_options.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace netring_asio::exports {

/// Counters of an `ipfix_exporter`, that only grow.
struct ipfix_exporter_statistics {
    std::uint64_t messages = 0; ///< handed to the kernel
    std::uint64_t records = 0;  ///< in them
    std::uint64_t bytes = 0;
    std::uint64_t connections = 0; ///< made, over TCP
};

namespace detail {

/// The sockets of an exporter and the message in the works; shared with its operation.
template <class Executor>
struct ipfix_connection {
    using tcp_socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
    using udp_socket = boost::asio::basic_datagram_socket<boost::asio::ip::udp, Executor>;

    ipfix_connection(Executor const& executor, ipfix_exporter_options const& with)
        : options{with}
        , encoder{with.encoding()}
        , tcp{executor}
        , udp{executor} {}

    bool over_tcp() const noexcept { return options.transport() == ipfix_transport::tcp; }

    /// Nothing is sent by connecting a datagram socket, so it is done at once.
    void open_udp(error_code& ec) {
        udp.open(options.collector().is_v4() ? boost::asio::ip::udp::v4() : boost::asio::ip::udp::v6(), ec);
        if (!ec)
            udp.connect({options.collector(), options.port()}, ec);
        if (ec) {
            error_code ignored;
            udp.close(ignored);
        }
        templates_due = {};
    }

    /// Also ends an operation that is between two steps.
    void cancel() {
        ++cancels;
        error_code ignored;
        tcp.cancel(ignored);
        udp.cancel(ignored);
    }
    void close() {
        ++cancels;
        connected = false;
        error_code ignored;
        tcp.close(ignored);
        udp.close(ignored);
    }

    /// The next message of some events; returns how many were dealt with.
    std::size_t encode(std::span<flow::event const> events) {
        auto const now = std::chrono::steady_clock::now();
        if (!over_tcp() && now >= templates_due) {
            encoder.repeat_templates();
            templates_due = now + options.template_interval();
        }
        auto const before = encoder.records();
        auto const count = encoder.encode(
            events, std::chrono::time_point_cast<timestamp::duration>(std::chrono::system_clock::now()), message);
        records = encoder.records() - before;
        return count;
    }
    /// Whether the message went out decides whether it counts.
    void end_message(bool sent) {
        if (!sent)
            return encoder.take_back();
        ++statistics.messages;
        statistics.records += records;
        statistics.bytes += message.size();
    }

    ipfix_exporter_options options;
    ipfix_encoder encoder;
    tcp_socket tcp;
    udp_socket udp;
    std::vector<std::byte> message;
    std::uint32_t records = 0;
    std::chrono::steady_clock::time_point templates_due{};
    ipfix_exporter_statistics statistics;
    std::uint64_t cancels = 0;
    bool connected = false;
    bool exporting = false;
};

} // namespace detail
} // namespace netring_asio::exports
