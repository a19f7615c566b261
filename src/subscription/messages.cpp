// What the engine makes of the messages that connections carry.

#include "engine_impl.hpp"

namespace netring_asio::subscription {

namespace tls = netring_asio::session::tls;
namespace http1 = netring_asio::session::http1;
namespace dns = netring_asio::session::dns;
namespace quic = netring_asio::session::quic;
using detail::level;
using detail::phase;

namespace {

constexpr std::size_t max_requests = 256; // without a response

struct service {
    std::string_view parser;
    std::string_view name;
    field protocol;
    detail::phases phases;
};
constexpr std::array services{
    service{"tls", "tls", field::tls, detail::bit(phase::tls_client) | detail::bit(phase::tls_server)},
    service{"http1", "http", field::http, detail::bit(phase::http)},
    service{"dns", "dns", field::dns, detail::bit(phase::dns)},
    service{"quic", "quic", field::quic, detail::bit(phase::quic)},
};

} // namespace

void engine::impl::parse(subject& c, observed const& of, decode::headers const& h, timestamp now) {
    parsers_.packet(of, h, now);
    read_messages();
    if (c.parsing && !parsers_.follows(c.id)) {
        over(c, now);
        settle(c);
    }
}

void engine::impl::read_messages() {
    for (; messages_seen_ != messages_.size(); ++messages_seen_) {
        auto e = std::move(messages_[messages_seen_]);
        auto* const c = subjects_.find(e.flow_id);
        if (c == nullptr || !c->parsing)
            continue;
        if (e.is_start())
            started(*c, e.protocol);
        else if (e.what.index() == 1)
            take(*c, std::get<1>(std::move(e.what)), e.time);
        else
            continue;
        settle(*c);
    }
    messages_.clear();
    messages_seen_ = 0;
}

void engine::impl::started(subject& c, std::string_view protocol) {
    for (auto const& s : services) {
        if (s.parser != protocol) {
            c.closed |= s.phases;
            continue;
        }
        c.service = s.name;
        for (auto const n : registry_.of_phase(phase::service)) {
            auto const& p = registry_.predicate_at(n).what;
            c.note(n, p.field == field::conn_service ? detail::look_at_text(p, s.name)
                                                     : detail::finding{p.field == s.protocol, p.field == s.protocol});
        }
    }
    c.closed |= detail::bit(phase::service);
}

void engine::impl::take(subject& c, parsers::message_type&& m, timestamp time) {
    if (auto const* const hello = std::get_if<tls::client_hello>(&m)) {
        note(c, phase::tls_client, *hello);
        c.closed |= detail::bit(phase::tls_client);
    } else if (auto const* const answer = std::get_if<tls::server_hello>(&m)) {
        if (answer->is_retry_request)
            return;
        note(c, phase::tls_server, *answer);
        c.closed |= detail::bit(phase::tls_server);
    } else if (auto* const handshake = std::get_if<tls::handshake>(&m)) {
        c.closed |= services[0].phases;
        offer(c, std::move(*handshake), time);
    } else if (auto* const request = std::get_if<http1::request>(&m)) {
        note(c, phase::http, *request);
        if (!c.open.meets(registry_.of_level(level::session)))
            return;
        if (c.requests.size() == max_requests) {
            offer(c, http_exchange{std::move(c.requests.front()), std::nullopt}, time);
            c.requests.erase(c.requests.begin());
        }
        c.requests.push_back(std::move(*request));
    } else if (auto* const response = std::get_if<http1::response>(&m)) {
        note(c, phase::http, *response);
        if (response->status < 200 && response->status != 101)
            return;
        http_exchange exchange;
        if (!c.requests.empty()) {
            exchange.request = std::move(c.requests.front());
            c.requests.erase(c.requests.begin());
        }
        exchange.response = std::move(*response);
        offer(c, std::move(exchange), time);
    } else if (auto* const text = std::get_if<dns::message>(&m)) {
        note(c, phase::dns, *text);
        offer(c, std::move(*text), time);
    } else if (auto* const initial = std::get_if<quic::initial>(&m)) {
        note(c, phase::quic, *initial);
        c.closed |= detail::bit(phase::quic);
        offer(c, std::move(*initial), time);
    }
}

/// No more messages come.
void engine::impl::over(subject& c, timestamp time) {
    for (auto& request : std::exchange(c.requests, {}))
        offer(c, http_exchange{std::move(request), std::nullopt}, time);
    c.closed |= detail::of_messages;
    if (std::exchange(c.parsing, false))
        parsers_.forget(c.id);
    c.open.for_each(registry_.of_level(level::session), [&](std::size_t slot) { c.open.reset(slot); });
    c.matched.for_each(registry_.only_parsed(), [&](std::size_t slot) { c.matched.reset(slot); });
}

/// Delivers a message to who asked for it.
void engine::impl::offer(subject& c, message&& whole, timestamp time) {
    if (!c.open.meets(registry_.of_level(level::session)))
        return;
    ++stamp_;
    c.open.for_each(registry_.of_level(level::session), [&](std::size_t slot) {
        auto const& s = registry_[slot];
        ++s.to->statistics_.evaluated;
        auto const result = (*s.judge)([&](std::size_t n) {
            auto const& p = registry_.predicate_at(n);
            if ((detail::bit(p.phase) & detail::of_messages) == 0 || p.what.field == field::conn_service)
                return known(c, n);
            auto& j = judged_[n];
            if (j.stamp != stamp_)
                j = {stamp_, detail::truth_of(detail::verdict(p.what, detail::look(p.what, whole)))};
            return j.result;
        });
        if (result != truth::yes)
            return;
        s.as_sessions().push({c.key, c.id, c.orientation, time, c.interface_index, whole});
        touch(*s.to, s.to);
    });
}

} // namespace netring_asio::subscription
