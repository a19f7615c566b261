// JA3 and JA4 of the client, JA3S of the server.

#include <netring_asio/session/tls_message.hpp>

#include <algorithm>
#include <openssl/evp.h>
#include <string_view>

namespace netring_asio::session::tls {
namespace {

std::string hex_digest(EVP_MD const* algorithm, std::string_view text, std::size_t digits) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, algorithm, nullptr);
    std::string result;
    for (std::size_t i = 0; i != digits / 2; ++i) {
        result += "0123456789abcdef"[digest[i] >> 4];
        result += "0123456789abcdef"[digest[i] & 15];
    }
    return result;
}

template <class Numbers>
void append_decimal(std::string& to, Numbers const& numbers) {
    auto const begin = to.size();
    for (auto const number : numbers)
        if (sizeof number == 1 || !is_grease(number)) {
            if (to.size() != begin)
                to += '-';
            to += std::to_string(number);
        }
}

void append_hex(std::string& to, std::uint16_t value) {
    for (int shift = 12; shift >= 0; shift -= 4)
        to += "0123456789abcdef"[value >> shift & 15];
}

std::string hex_list(std::vector<std::uint16_t> const& values) {
    std::string result;
    for (auto const value : values) {
        if (!result.empty())
            result += ',';
        append_hex(result, value);
    }
    return result;
}

std::vector<std::uint16_t> without_grease(std::vector<std::uint16_t> values) {
    std::erase_if(values, is_grease);
    return values;
}

std::string_view version_name(std::uint16_t version) noexcept {
    switch (version) {
    case 0x0002:
        return "s2";
    case 0x0300:
        return "s3";
    case 0x0301:
        return "10";
    case 0x0302:
        return "11";
    case 0x0303:
        return "12";
    case 0x0304:
        return "13";
    case 0xfeff:
        return "d1";
    case 0xfefd:
        return "d2";
    case 0xfefc:
        return "d3";
    default:
        return "00";
    }
}

void append_count(std::string& to, std::size_t count) {
    count = std::min<std::size_t>(count, 99);
    to += static_cast<char>('0' + count / 10);
    to += static_cast<char>('0' + count % 10);
}

bool is_alphanumeric(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// First and last character, or hexadecimal digit where one of them is none that is printed.
void append_protocol(std::string& to, std::vector<std::string> const& protocols) {
    if (protocols.empty() || protocols.front().empty()) {
        to += "00";
        return;
    }
    auto const& p = protocols.front();
    if (is_alphanumeric(p.front()) && is_alphanumeric(p.back())) {
        to += p.front();
        to += p.back();
    } else {
        to += "0123456789abcdef"[static_cast<unsigned char>(p.front()) >> 4];
        to += "0123456789abcdef"[static_cast<unsigned char>(p.back()) & 15];
    }
}

std::string ja4_hash(std::string const& text) {
    return text.empty() ? std::string(12, '0') : hex_digest(EVP_sha256(), text, 12);
}

} // namespace

std::string client_hello::ja3_text() const {
    auto text = std::to_string(version) + ',';
    append_decimal(text, cipher_suites);
    text += ',';
    append_decimal(text, extensions);
    text += ',';
    append_decimal(text, groups);
    text += ',';
    append_decimal(text, point_formats);
    return text;
}

std::string client_hello::ja3() const { return hex_digest(EVP_md5(), ja3_text(), 32); }

std::string client_hello::ja4(bool over_quic) const {
    auto const versions = without_grease(supported_versions);
    auto ciphers = without_grease(cipher_suites);
    auto others = without_grease(extensions);
    std::string result{over_quic ? 'q' : 't'};
    result += version_name(versions.empty() ? version : *std::max_element(versions.begin(), versions.end()));
    result += std::find(extensions.begin(), extensions.end(), 0) != extensions.end() ? 'd' : 'i';
    append_count(result, ciphers.size());
    append_count(result, others.size());
    append_protocol(result, application_protocols);

    std::sort(ciphers.begin(), ciphers.end());
    result += '_' + ja4_hash(hex_list(ciphers));
    std::erase_if(others, [](std::uint16_t type) { return type == 0 || type == 16; });
    std::sort(others.begin(), others.end());
    auto text = hex_list(others);
    if (auto const algorithms = without_grease(signature_algorithms); !algorithms.empty() && !text.empty())
        text += '_' + hex_list(algorithms);
    return result + '_' + ja4_hash(text);
}

std::string server_hello::ja3s_text() const {
    auto text = std::to_string(legacy_version) + ',' + std::to_string(cipher_suite) + ',';
    append_decimal(text, extensions);
    return text;
}

std::string server_hello::ja3s() const { return hex_digest(EVP_md5(), ja3s_text(), 32); }

} // namespace netring_asio::session::tls
