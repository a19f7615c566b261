#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/event.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace netring_asio::exports {

/// What goes into IPFIX messages.
class ipfix_encoding {
public:
    ipfix_encoding() = default;

    /// Tells the exporters of one host apart. Default 0.
    ipfix_encoding& observation_domain(std::uint32_t value) noexcept { return domain_ = value, *this; }
    /// One record a flow with both directions (RFC 5103), in place of a record a direction. Default off: not every
    /// collector reads it.
    ipfix_encoding& biflow(bool value) noexcept { return biflow_ = value, *this; }
    /// Adds what IANA has no elements for, as elements of this private enterprise number; see doc/flows.md. Default 0:
    /// none.
    ipfix_encoding& enterprise(std::uint32_t number) noexcept { return enterprise_ = number, *this; }
    /// Largest message, from 1024 to 65535 bytes. Default 1400, which fits a datagram.
    ipfix_encoding& max_message(std::size_t bytes) noexcept { return max_message_ = bytes, *this; }

    std::uint32_t observation_domain() const noexcept { return domain_; }
    bool biflow() const noexcept { return biflow_; }
    std::uint32_t enterprise() const noexcept { return enterprise_; }
    std::size_t max_message() const noexcept { return max_message_; }

private:
    std::uint32_t domain_ = 0;
    bool biflow_ = false;
    std::uint32_t enterprise_ = 0;
    std::size_t max_message_ = 1400;
};

/// Makes IPFIX messages (RFC 7011) of flows, without sending them.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe.
class NETRING_ASIO_API ipfix_encoder {
public:
    explicit ipfix_encoder(ipfix_encoding const& encoding = ipfix_encoding{});

    /// Makes one message of as many flows as it holds. Only events that end a flow, or a part of one, give records, and
    /// those of stragglers.
    ///
    /// @param message replaced; empty if none of the events gives a record
    /// @returns how many events were dealt with
    std::size_t encode(std::span<flow::event const> events, timestamp now, std::vector<std::byte>& message);

    /// The next message begins with the templates again: for a new connection, or because a datagram may have been
    /// lost. The first one does anyway.
    void repeat_templates() noexcept { templates_due_ = true; }

    /// Takes the last message back: its records do not count as sent.
    void take_back() noexcept;

    ipfix_encoding const& encoding() const noexcept { return encoding_; }
    /// Data records in all messages, modulo 2^32.
    std::uint32_t records() const noexcept { return records_; }

private:
    ipfix_encoding encoding_;
    std::vector<std::byte> templates_;
    std::size_t record_size_[2] = {}; // of IPv4, of IPv6
    std::uint32_t records_ = 0;
    std::uint32_t last_records_ = 0;
    bool templates_due_ = true;
    bool last_had_templates_ = false;
};

} // namespace netring_asio::exports
