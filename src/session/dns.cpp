#include <netring_asio/session/detail/byte_reader.hpp>
#include <netring_asio/session/dns.hpp>

#include <algorithm>
#include <utility>

namespace netring_asio::session {
namespace detail {
namespace {

constexpr std::size_t max_questions = 4; // of a query that waits: each is compared with those of others

} // namespace

std::size_t dns_matcher::cost(query const& q) noexcept {
    std::size_t result = sizeof q;
    for (auto const& question : q.what.questions)
        result += sizeof question + question.name.size();
    return result;
}

error_code dns_matcher::message(side from, bytes input, timestamp time, output<message_type>& out, bool cut) {
    dns::message m;
    if (auto const error = dns::decode(input, m)) {
        if (!cut || input.size() < 12)
            return error;
        m.cut = true;
    }
    expire(time, out);
    if (options_.max_pending() == 0) {
    } else if (!m.is_response) {
        auto const repeated = std::any_of(pending_.begin(), pending_.end(), [&](query const& q) {
            return q.from == from && q.what.id == m.id && q.what.questions == m.questions;
        });
        if (!repeated && m.questions.size() <= max_questions) {
            if (pending_.size() == options_.max_pending())
                drop_first(out);
            pending_.push_back({from, {m.id, m.questions, time}});
            held_ += cost(pending_.back());
        }
    } else {
        // A response may leave the questions out.
        auto const at = std::find_if(pending_.begin(), pending_.end(), [&](query const& q) {
            return q.from != from && q.what.id == m.id && (m.questions.empty() || q.what.questions == m.questions);
        });
        if (at != pending_.end()) {
            m.latency = time - at->what.asked;
            held_ -= cost(*at);
            pending_.erase(at);
        }
    }
    out(from, message_type{std::move(m)});
    return {};
}

void dns_matcher::drop_first(output<message_type>& out) {
    if (pending_.empty())
        return;
    held_ -= cost(pending_.front());
    auto oldest = std::move(pending_.front());
    pending_.erase(pending_.begin());
    out(oldest.from, message_type{std::move(oldest.what)});
}

void dns_matcher::expire(timestamp now, output<message_type>& out) {
    while (!pending_.empty() && now - pending_.front().what.asked >= options_.timeout())
        drop_first(out);
}

void dns_matcher::finish(output<message_type>& out) {
    while (!pending_.empty())
        drop_first(out);
}

namespace {

/// Whether the head is one that is sent, and the first question or record follows it.
match probe_message(bytes input, std::size_t length) {
    if (length < 12)
        return match::no;
    if (input.size() < 12)
        return match::maybe;
    byte_reader head{input};
    head.u16();
    auto const flags = head.u16();
    auto const opcode = flags >> 11 & 15;
    std::size_t const questions = head.u16();
    std::size_t const answers = head.u16();
    std::size_t const authorities = head.u16();
    std::size_t const additionals = head.u16();
    if ((opcode > 2 && opcode != 4 && opcode != 5) || (flags & 0x0040) != 0 || questions > 1 || additionals > 255)
        return match::no;
    if ((flags & 0x8000) == 0 ? questions != 1 || answers > 255 : questions + answers + authorities == 0)
        return match::no;
    if (12 + questions * 5 + (answers + authorities + additionals) * 11 > length)
        return match::no;
    return match::yes;
}

} // namespace
} // namespace detail

match dns_over_udp::probe(side, std::span<std::byte const> bytes) {
    auto const likely = detail::probe_message(bytes, bytes.size());
    dns::message ignored;
    return likely == match::yes && !dns::decode(bytes, ignored) ? match::yes : match::no;
}

match dns_over_tcp::probe(side, std::span<std::byte const> bytes) {
    if (bytes.size() < 2)
        return match::maybe;
    detail::byte_reader length{bytes.first(2)};
    return detail::probe_message(bytes.subspan(2), length.u16());
}

error_code dns_over_tcp::feed(side from, std::span<std::byte const> bytes, timestamp time, output<message_type>& out) {
    auto& partial = partial_[index(from)];
    auto const append = [&](std::size_t size) {
        auto const count = std::min(bytes.size(), size - partial.size());
        partial.insert(partial.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
        bytes = bytes.subspan(count);
        return partial.size() == size;
    };
    while (!bytes.empty()) {
        if (partial.size() < 2 && !append(2))
            break;
        std::size_t const length = detail::byte_reader{partial}.u16() + 2U;
        if (!append(length))
            break;
        if (auto const error = matcher_.message(from, std::span{partial}.subspan(2), time, out))
            return error;
        partial.clear();
    }
    return {};
}

} // namespace netring_asio::session
