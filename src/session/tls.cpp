#include <netring_asio/session/detail/byte_reader.hpp>
#include <netring_asio/session/tls.hpp>

#include <algorithm>
#include <utility>

namespace netring_asio::session {
namespace {

namespace content {
constexpr std::uint8_t change_cipher_spec = 20, alert = 21, handshake = 22, application_data = 23, heartbeat = 24;
} // namespace content

namespace handshake_type {
constexpr std::uint8_t client_hello = 1, server_hello = 2, certificate = 11;
} // namespace handshake_type

// RFC 8446, 5.2: 2^14 + 256; older versions allow more for compression.
constexpr std::size_t max_record = (std::size_t{1} << 14) + 2048;

bool is_head(std::span<std::byte const> head) noexcept {
    auto const type = std::to_integer<std::uint8_t>(head[0]);
    return type >= content::change_cipher_spec && type <= content::heartbeat && head[1] == std::byte{3};
}

/// A ClientHello in the form of SSL 2.0, as clients sent it that also took that (RFC 5246, E.2).
bool is_old_hello(std::span<std::byte const> head) noexcept {
    return (head[0] & std::byte{0x80}) != std::byte{0} && head[2] == std::byte{1} && head[3] == std::byte{3};
}

} // namespace

match tls_handshake::probe(side, std::span<std::byte const> bytes) {
    if (!bytes.empty() && (bytes[0] & std::byte{0x80}) != std::byte{0})
        return bytes.size() < 4 ? match::maybe : is_old_hello(bytes) ? match::yes : match::no;
    // A record of a hello: type, version 3.x, length, type of the message.
    auto const differs = [&](std::size_t at, unsigned value) {
        return bytes.size() > at && std::to_integer<unsigned>(bytes[at]) != value;
    };
    if (differs(0, content::handshake) || differs(1, 3) || (bytes.size() > 2 && bytes[2] > std::byte{4}))
        return match::no;
    if (bytes.size() > 5)
        return bytes[5] == std::byte{1} || bytes[5] == std::byte{2} ? match::yes : match::no;
    return match::maybe;
}

error_code tls_handshake::feed(side from, std::span<std::byte const> bytes, timestamp time, output<message_type>& out) {
    auto& d = directions_[index(from)];
    if (options_.after_text() && !d.begun && d.head_size == 0)
        skip_text(from, bytes);
    while (!bytes.empty() && !told_) {
        if (d.head_size != d.head.size()) {
            auto const count = std::min(bytes.size(), d.head.size() - d.head_size);
            std::copy_n(bytes.begin(), count, d.head.begin() + static_cast<std::ptrdiff_t>(d.head_size));
            d.head_size += count;
            bytes = bytes.subspan(count);
            if (d.head_size != d.head.size())
                return {};
            detail::byte_reader length{std::span{d.head}.subspan(3)};
            d.record_left = length.u16();
            if (!d.begun && is_old_hello(d.head)) {
                d.record_left = (std::to_integer<std::size_t>(d.head[0] & std::byte{0x7f}) << 8 |
                                 std::to_integer<std::size_t>(d.head[1])) -
                                3;
                d.head[0] = {};
            } else if (!is_head(d.head)) {
                return error::malformed_message;
            }
            if (d.record_left > max_record)
                return error::malformed_message;
            d.begun = true;
            if (std::to_integer<std::uint8_t>(d.head[0]) == content::application_data)
                encrypted(from, time, out);
        }
        auto const part = bytes.first(std::min(bytes.size(), d.record_left));
        bytes = bytes.subspan(part.size());
        d.record_left -= part.size();
        auto const type = std::to_integer<std::uint8_t>(d.head[0]);
        if (d.record_left == 0)
            d.head_size = 0;
        if (part.empty())
            continue;
        if (auto const error = record_bytes(from, type, part, time, out))
            return error;
    }
    return {};
}

/// A record begins with a byte that no line of text begins with.
void tls_handshake::skip_text(side from, std::span<std::byte const>& bytes) {
    auto& d = directions_[index(from)];
    while (!bytes.empty() && (d.in_line || bytes.front() != std::byte{content::handshake})) {
        auto const end = std::find(bytes.begin(), bytes.end(), std::byte{'\n'});
        auto const size = static_cast<std::size_t>(end - bytes.begin()) + (end != bytes.end() ? 1U : 0U);
        d.in_line = end == bytes.end();
        d.text += size;
        bytes = bytes.subspan(size);
    }
    told_ = told_ || d.text > options_.max_message();
}

error_code tls_handshake::record_bytes(side from, std::uint8_t type, std::span<std::byte const> bytes, timestamp time,
                                       output<message_type>& out) {
    auto& d = directions_[index(from)];
    if (d.encrypted)
        return {};
    switch (type) {
    case content::change_cipher_spec:
        // Around a retry request it means nothing: a second ClientHello follows (RFC 8446, D.4).
        if (!result_.server || !result_.server->is_retry_request)
            encrypted(from, time, out);
        return {};
    case content::alert:
        for (auto const byte : bytes) {
            if (told_)
                break;
            if (!d.alert_level) {
                d.alert_level = std::to_integer<std::uint8_t>(byte);
                continue;
            }
            tls::alert const alert{*std::exchange(d.alert_level, std::nullopt), std::to_integer<std::uint8_t>(byte)};
            if (!options_.only_handshake())
                out(from, message_type{alert});
            if (!result_.alert)
                result_.alert = alert;
            if (alert.level == 2)
                tell_handshake(time, out);
        }
        return {};
    case content::handshake:
        break;
    default:
        return {};
    }
    while (!bytes.empty()) {
        auto& partial = d.handshake;
        auto const append = [&](std::size_t size) {
            auto const count = std::min(bytes.size(), size - partial.size());
            partial.insert(partial.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
            bytes = bytes.subspan(count);
            return partial.size() == size;
        };
        if (partial.size() < 4 && !append(4))
            break;
        detail::byte_reader head{partial};
        auto const message = head.u8();
        auto const length = head.u24();
        if (length > options_.max_message())
            return error::message_too_long;
        if (!append(length + 4U))
            break;
        if (auto const error = handshake_message(from, message, std::span{partial}.subspan(4), time, out))
            return error;
        partial.clear();
        if (d.encrypted || told_)
            break;
    }
    return {};
}

error_code tls_handshake::handshake_message(side from, std::uint8_t type, std::span<std::byte const> body,
                                            timestamp time, output<message_type>& out) {
    if (result_.begun == timestamp{})
        result_.begun = time;
    auto const tell = [&](auto& message) {
        if (!options_.only_handshake())
            out(from, message_type{message});
    };
    switch (type) {
    case handshake_type::client_hello: {
        tls::client_hello hello;
        if (auto const error = tls::decode(body, hello))
            return error;
        tell(hello);
        if (!result_.client) {
            result_.client = std::move(hello);
            kept_ += body.size();
        }
        break;
    }
    case handshake_type::server_hello: {
        tls::server_hello hello;
        if (auto const error = tls::decode(body, hello))
            return error;
        tell(hello);
        auto const rest_is_encrypted = hello.version >= 0x0304 && !hello.is_retry_request;
        if (!result_.server)
            kept_ += body.size();
        result_.server = std::move(hello);
        if (rest_is_encrypted)
            encrypted(from, time, out);
        break;
    }
    case handshake_type::certificate: {
        tls::certificates chain;
        if (auto const error = tls::decode(body, chain))
            return error;
        if (from == side::responder)
            result_.certificates = chain.chain.size();
        tell(chain);
        break;
    }
    default:
        break;
    }
    return {};
}

void tls_handshake::encrypted(side from, timestamp time, output<message_type>& out) {
    auto& d = directions_[index(from)];
    if (d.encrypted)
        return;
    d.encrypted = true;
    d.handshake = {};
    if (directions_[0].encrypted && directions_[1].encrypted) {
        result_.complete = true;
        tell_handshake(time, out);
    }
}

void tls_handshake::finish(side from, timestamp time, output<message_type>& out) {
    directions_[index(from)].finished = true;
    if (directions_[0].finished && directions_[1].finished)
        tell_handshake(time, out);
}

void tls_handshake::tell_handshake(timestamp time, output<message_type>& out) {
    if (std::exchange(told_, true) || (!result_.client && !result_.server))
        return;
    result_.ended = time;
    out(side::initiator, message_type{std::move(result_)});
}

} // namespace netring_asio::session
