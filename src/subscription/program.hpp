#pragma once

#include "facts.hpp"
#include <netring_asio/subscription/expression.hpp>

#include <cstdint>
#include <vector>

namespace netring_asio::subscription::detail {

/// What is known of a statement.
enum class truth : std::uint8_t { no, unknown, yes };

constexpr truth operator!(truth what) noexcept { return static_cast<truth>(2 - static_cast<int>(what)); }
constexpr truth truth_of(bool holds) noexcept { return holds ? truth::yes : truth::no; }

/// When no more values of a field come in a connection, a bit each.
enum class phase : std::uint8_t { tuple, frame, service, tls_client, tls_server, http, dns, quic, end };
using phases = std::uint16_t;
constexpr phases bit(phase p) noexcept { return static_cast<phases>(1U << static_cast<unsigned>(p)); }
inline constexpr phases all_phases = 0x1ff;
inline constexpr phases of_messages = bit(phase::service) | bit(phase::tls_client) | bit(phase::tls_server) |
                                      bit(phase::http) | bit(phase::dns) | bit(phase::quic);

constexpr phase phase_of(field of) noexcept {
    switch (of) {
    case field::tls:
    case field::http:
    case field::dns:
    case field::quic:
    case field::conn_service:
        return phase::service;
    case field::conn_orig_addr:
    case field::conn_resp_addr:
    case field::conn_orig_port:
    case field::conn_resp_port:
        return phase::tuple;
    default:
        break;
    }
    if (of >= field::quic_version)
        return phase::quic;
    if (of >= field::dns_id)
        return phase::dns;
    if (of >= field::http_method)
        return phase::http;
    if (of >= field::tls_version)
        return phase::tls_server;
    if (of >= field::tls_sni)
        return phase::tls_client;
    if (of >= field::conn_orig_addr)
        return phase::end;
    return of >= field::frame_length || of < field::ip ? phase::frame : phase::tuple;
}

/// A counter of a connection, which only grows.
constexpr bool is_growing(field of) noexcept { return of >= field::conn_packets && of <= field::conn_duration; }

/// An expression in one piece, over predicates by their number.
class program {
public:
    /// `number` gives each predicate its number.
    template <class Number>
    program(node const& root, Number number) {
        add(root, number);
    }

    /// `look(n)` is what is known of predicate n.
    template <class Look>
    truth operator()(Look&& look) const {
        return evaluate(0, look);
    }

    template <class F>
    void for_each_predicate(F f) const {
        for (auto const& s : steps_)
            if (s.kind == node_kind::predicate)
                f(s.predicate);
    }

private:
    struct step {
        node_kind kind;
        std::uint16_t predicate;
        std::uint32_t next; // behind everything below this
    };

    template <class Number>
    void add(node const& n, Number& number) {
        auto const at = steps_.size();
        steps_.push_back({n.kind, 0, 0});
        if (n.kind == node_kind::predicate)
            steps_[at].predicate = number(n.what);
        for (auto const& child : n.children)
            add(*child, number);
        steps_[at].next = static_cast<std::uint32_t>(steps_.size());
    }

    template <class Look>
    truth evaluate(std::size_t at, Look& look) const {
        auto const& s = steps_[at];
        switch (s.kind) {
        case node_kind::everything:
            return truth::yes;
        case node_kind::predicate:
            return look(s.predicate);
        case node_kind::negation:
            return !evaluate(at + 1, look);
        default:
            break;
        }
        auto const decisive = s.kind == node_kind::conjunction ? truth::no : truth::yes;
        auto result = !decisive;
        for (auto child = at + 1; child != s.next; child = steps_[child].next) {
            auto const one = evaluate(child, look);
            if (one == decisive)
                return one;
            if (one == truth::unknown)
                result = one;
        }
        return result;
    }

    std::vector<step> steps_;
};

} // namespace netring_asio::subscription::detail
