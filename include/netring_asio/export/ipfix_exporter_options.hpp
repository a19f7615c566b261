#pragma once

#include <netring_asio/export/ipfix_encoder.hpp>

#include <boost/asio/ip/address.hpp>

#include <chrono>
#include <cstdint>

namespace netring_asio::exports {

/// How messages reach a collector.
enum class ipfix_transport : std::uint8_t {
    udp, ///< nobody tells whether they arrive
    tcp, ///< a collector that is slow makes the exporter wait
};

/// Where an `ipfix_exporter` sends, and what.
class ipfix_exporter_options {
public:
    /// The collector; names are for you to resolve.
    explicit ipfix_exporter_options(boost::asio::ip::address const& collector)
        : collector_{collector} {}

    /// Default 4739, IPFIX's own.
    ipfix_exporter_options& port(std::uint16_t value) noexcept { return port_ = value, *this; }
    /// Default `udp`.
    ipfix_exporter_options& transport(ipfix_transport value) noexcept { return transport_ = value, *this; }
    ipfix_exporter_options& encoding(ipfix_encoding const& value) noexcept { return encoding_ = value, *this; }
    /// How often templates are repeated over UDP, as datagrams get lost and collectors start anew. Default 60 s.
    ipfix_exporter_options& template_interval(std::chrono::seconds value) noexcept { return interval_ = value, *this; }

    boost::asio::ip::address const& collector() const noexcept { return collector_; }
    std::uint16_t port() const noexcept { return port_; }
    ipfix_transport transport() const noexcept { return transport_; }
    ipfix_encoding const& encoding() const noexcept { return encoding_; }
    std::chrono::seconds template_interval() const noexcept { return interval_; }

private:
    boost::asio::ip::address collector_;
    std::uint16_t port_ = 4739;
    ipfix_transport transport_ = ipfix_transport::udp;
    ipfix_encoding encoding_;
    std::chrono::seconds interval_{60};
};

} // namespace netring_asio::exports
