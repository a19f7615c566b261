#include <netring_asio/session/detail/byte_reader.hpp>
#include <netring_asio/session/tls_message.hpp>

#include <algorithm>
#include <ostream>

namespace netring_asio::session::tls {
namespace {

using detail::byte_reader;
using detail::bytes;

namespace extension {
constexpr std::uint16_t server_name = 0, supported_groups = 10, point_formats = 11, signature_algorithms = 13,
                        application_protocols = 16, supported_versions = 43, key_share = 51,
                        encrypted_client_hello = 0xfe0d;
} // namespace extension

std::vector<std::uint16_t> take_u16_list(bytes from) {
    std::vector<std::uint16_t> result;
    result.reserve(from.size() / 2);
    for (byte_reader reader{from}; reader.rest().size() >= 2;)
        result.push_back(reader.u16());
    return result;
}

std::vector<std::uint8_t> take_u8_list(bytes from) {
    std::vector<std::uint8_t> result;
    result.reserve(from.size());
    for (auto const byte : from)
        result.push_back(std::to_integer<std::uint8_t>(byte));
    return result;
}

std::vector<std::string> take_strings(bytes from) {
    std::vector<std::string> result;
    for (byte_reader reader{from}; !reader.empty();)
        if (auto const s = reader.vector8(); reader)
            result.emplace_back(detail::as_text(s));
    return result;
}

/// Calls `f(type, content)` for each extension.
template <class F>
bool for_each_extension(byte_reader& from, F f) {
    if (from.empty()) // SSL 3.0 to TLS 1.2 may do without
        return true;
    byte_reader list{from.vector16()};
    while (!list.empty()) {
        auto const type = list.u16();
        auto const content = list.vector16();
        if (!list)
            return false;
        f(type, byte_reader{content});
    }
    return !from.failed();
}

void take_extension(std::uint16_t type, byte_reader content, client_hello& to) {
    switch (type) {
    case extension::server_name:
        for (byte_reader names{content.vector16()}; !names.empty();) {
            auto const kind = names.u8();
            auto const name = names.vector16();
            if (names && kind == 0 && to.server_name.empty())
                to.server_name = detail::as_text(name);
        }
        break;
    case extension::supported_groups:
        to.groups = take_u16_list(content.vector16());
        break;
    case extension::point_formats:
        to.point_formats = take_u8_list(content.vector8());
        break;
    case extension::signature_algorithms:
        to.signature_algorithms = take_u16_list(content.vector16());
        break;
    case extension::application_protocols:
        to.application_protocols = take_strings(content.vector16());
        break;
    case extension::supported_versions:
        to.supported_versions = take_u16_list(content.vector8());
        break;
    case extension::encrypted_client_hello:
        to.has_encrypted_client_hello = true;
        break;
    default:
        break;
    }
}

void take_extension(std::uint16_t type, byte_reader content, server_hello& to) {
    switch (type) {
    case extension::application_protocols:
        if (auto selected = take_strings(content.vector16()); !selected.empty())
            to.application_protocol = std::move(selected.front());
        break;
    case extension::supported_versions:
        if (auto const version = content.u16(); content)
            to.version = version;
        break;
    case extension::key_share:
        if (auto const group = content.u16(); content)
            to.group = group;
        break;
    default:
        break;
    }
}

constexpr std::array<unsigned char, 32> retry_random = {
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

void copy_to(std::array<std::byte, 32>& to, bytes from) {
    if (from.size() == to.size())
        std::copy(from.begin(), from.end(), to.begin());
}

} // namespace

error_code decode(std::span<std::byte const> body, client_hello& result) {
    result = {};
    byte_reader from{body};
    result.version = from.u16();
    copy_to(result.random, from.take(32));
    auto const session_id = from.vector8();
    result.session_id.assign(session_id.begin(), session_id.end());
    result.cipher_suites = take_u16_list(from.vector16());
    result.compression_methods = take_u8_list(from.vector8());
    if (!from || !for_each_extension(from, [&](std::uint16_t type, byte_reader content) {
            result.extensions.push_back(type);
            take_extension(type, content, result);
        }))
        return error::malformed_message;
    return {};
}

error_code decode(std::span<std::byte const> body, server_hello& result) {
    result = {};
    byte_reader from{body};
    result.version = result.legacy_version = from.u16();
    copy_to(result.random, from.take(32));
    auto const old_draft = result.version > 0x7f00 && result.version < 0x7f16; // TLS 1.3 before draft 22
    if (!old_draft) {
        auto const session_id = from.vector8();
        result.session_id.assign(session_id.begin(), session_id.end());
    }
    result.cipher_suite = from.u16();
    if (!old_draft)
        from.u8();
    if (!from || !for_each_extension(from, [&](std::uint16_t type, byte_reader content) {
            result.extensions.push_back(type);
            take_extension(type, content, result);
        }))
        return error::malformed_message;
    result.is_retry_request = std::equal(result.random.begin(), result.random.end(), retry_random.begin(),
                                         [](std::byte a, unsigned char b) { return std::to_integer<int>(a) == b; });
    return {};
}

error_code decode(std::span<std::byte const> body, certificates& result) {
    result = {};
    byte_reader from{body};
    byte_reader list{from.vector24()};
    while (!list.empty()) {
        auto const der = list.vector24();
        if (list)
            result.chain.emplace_back(der.begin(), der.end());
    }
    return from.failed() || list.failed() ? error_code{error::malformed_message} : error_code{};
}

namespace {

void print_version(std::ostream& out, std::uint16_t version) {
    switch (version) {
    case 0x0300:
        out << "SSL 3.0";
        break;
    case 0x0301:
        out << "TLS 1.0";
        break;
    case 0x0302:
        out << "TLS 1.1";
        break;
    case 0x0303:
        out << "TLS 1.2";
        break;
    case 0x0304:
        out << "TLS 1.3";
        break;
    default:
        out << "version " << version;
    }
}

void print_text(std::ostream& out, std::string_view text) {
    for (char const c : text)
        out << (c > 0x20 && c < 0x7f ? c : '?');
}

} // namespace

std::ostream& operator<<(std::ostream& out, client_hello const& value) {
    out << "tls client hello, ";
    if (value.server_name.empty())
        out << "no name";
    else
        print_text(out, value.server_name);
    for (auto const& protocol : value.application_protocols) {
        out << ' ';
        print_text(out, protocol);
    }
    return out << ", " << value.ja4();
}

std::ostream& operator<<(std::ostream& out, server_hello const& value) {
    out << (value.is_retry_request ? "tls retry request, " : "tls server hello, ");
    print_version(out, value.version);
    auto const flags = out.flags();
    out << ", cipher " << std::hex << value.cipher_suite;
    out.flags(flags);
    return out;
}

std::ostream& operator<<(std::ostream& out, certificates const& value) {
    return out << "tls " << value.chain.size() << " certificates";
}

std::ostream& operator<<(std::ostream& out, alert const& value) {
    return out << "tls alert " << static_cast<unsigned>(value.description)
               << (value.level == 2 ? ", fatal" : ", warning");
}

std::ostream& operator<<(std::ostream& out, handshake const& value) {
    out << "tls handshake";
    if (value.client) {
        out << ' ';
        print_text(out, value.client->server_name);
    }
    if (value.server) {
        out << ", ";
        print_version(out, value.server->version);
    }
    return out << (value.complete ? ", complete" : ", incomplete");
}

} // namespace netring_asio::session::tls
