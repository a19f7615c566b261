#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/session/dns_message.hpp>
#include <netring_asio/session/parser.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace netring_asio::session {

/// How queries and responses are matched.
class dns_options {
public:
    dns_options() = default;

    /// After which a query counts as not answered. Default 10 s.
    dns_options& timeout(std::chrono::nanoseconds value) noexcept { return timeout_ = value, *this; }
    /// Queries of one flow that wait for a response; one more tells the oldest as unanswered. With 0
    /// nothing is matched. One of more than four questions waits for nothing; there should be one (RFC 9619). Default
    /// 256.
    dns_options& max_pending(std::size_t value) noexcept { return max_pending_ = value, *this; }

    std::chrono::nanoseconds timeout() const noexcept { return timeout_; }
    std::size_t max_pending() const noexcept { return max_pending_; }

private:
    std::chrono::nanoseconds timeout_ = std::chrono::seconds{10};
    std::size_t max_pending_ = 256;
};

namespace detail {

/// Finds the query of each response.
class NETRING_ASIO_API dns_matcher {
public:
    using message_type = std::variant<dns::message, dns::unanswered>;

    explicit dns_matcher(dns_options const& options)
        : options_{options} {}

    error_code message(side from, std::span<std::byte const> input, timestamp time, output<message_type>& out,
                       bool cut = false);
    void expire(timestamp now, output<message_type>& out);
    /// No more responses will come.
    void finish(output<message_type>& out);
    std::size_t held() const noexcept { return held_; }
    bool waits() const noexcept { return !pending_.empty(); }

private:
    struct query {
        side from;
        dns::unanswered what;
    };
    static std::size_t cost(query const& q) noexcept;
    void drop_first(output<message_type>& out);

    dns_options options_;
    std::vector<query> pending_;
    std::size_t held_ = 0; // by these
};

} // namespace detail

/// DNS in datagrams.
class NETRING_ASIO_API dns_over_udp {
public:
    using message_type = detail::dns_matcher::message_type;
    static constexpr std::string_view name = "dns";

    explicit dns_over_udp(dns_options const& options = dns_options{})
        : matcher_{options} {}

    error_code datagram(side from, std::span<std::byte const> bytes, timestamp time, output<message_type>& out) {
        return matcher_.message(from, bytes, time, out);
    }
    error_code cut_datagram(side from, std::span<std::byte const> bytes, timestamp time, output<message_type>& out) {
        return matcher_.message(from, bytes, time, out, true);
    }
    void tick(timestamp now, output<message_type>& out) { matcher_.expire(now, out); }
    void finish(side from, timestamp, output<message_type>& out) {
        if (from == side::responder)
            matcher_.finish(out);
    }
    std::size_t held() const noexcept { return matcher_.held(); }
    bool waits() const noexcept { return matcher_.waits(); }
    static match probe(side from, std::span<std::byte const> bytes);

private:
    detail::dns_matcher matcher_;
};

/// DNS to a group of hosts: mDNS and LLMNR. Responses need not come from where the query went, so none is matched.
class multicast_dns : public dns_over_udp {
public:
    static constexpr std::string_view name = "mdns";

    multicast_dns()
        : dns_over_udp{dns_options{}.max_pending(0)} {}
};

/// DNS over TCP (RFC 7766): messages behind their length.
class NETRING_ASIO_API dns_over_tcp {
public:
    using message_type = detail::dns_matcher::message_type;
    static constexpr std::string_view name = "dns";

    explicit dns_over_tcp(dns_options const& options = dns_options{})
        : matcher_{options} {}

    error_code feed(side from, std::span<std::byte const> bytes, timestamp time, output<message_type>& out);
    void tick(timestamp now, output<message_type>& out) { matcher_.expire(now, out); }
    void finish(side from, timestamp, output<message_type>& out) {
        if (from == side::responder)
            matcher_.finish(out);
    }
    std::size_t held() const noexcept { return matcher_.held() + partial_[0].size() + partial_[1].size(); }
    bool waits() const noexcept { return matcher_.waits(); }
    static match probe(side from, std::span<std::byte const> bytes);

private:
    detail::dns_matcher matcher_;
    std::array<std::vector<std::byte>, 2> partial_;
};

} // namespace netring_asio::session
