#include "quic_keys.hpp"

#include <netring_asio/session/detail/byte_reader.hpp>

#include <algorithm>
#include <memory>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string_view>

namespace netring_asio::session::detail {
namespace {

constexpr std::uint32_t version_1 = 1;
constexpr std::uint32_t version_2 = 0x6b3343cf;

constexpr std::array<unsigned char, 20> salt_1 = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                                  0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
constexpr std::array<unsigned char, 20> salt_2 = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
                                                  0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9};

using digest = std::array<unsigned char, 32>;

template <auto Free>
struct freed_by {
    void operator()(auto* what) const noexcept { Free(what); }
};
using cipher_context = std::unique_ptr<EVP_CIPHER_CTX, freed_by<EVP_CIPHER_CTX_free>>;

/// What OpenSSL computes with. To look algorithms up and to make contexts would cost more than to use them.
struct algorithms {
    algorithms() {
        std::unique_ptr<EVP_MAC, freed_by<EVP_MAC_free>> const hmac{
            EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr)};
        if (hmac)
            mac.reset(EVP_MAC_CTX_new(hmac.get()));
        char name[] = "SHA256";
        OSSL_PARAM const parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                         OSSL_PARAM_construct_end()};
        if (mac)
            EVP_MAC_CTX_set_params(mac.get(), parameters);
        set(ecb, "AES-128-ECB");
        set(gcm, "AES-128-GCM");
    }
    static void set(cipher_context& of, char const* name) {
        std::unique_ptr<EVP_CIPHER, freed_by<EVP_CIPHER_free>> const cipher{EVP_CIPHER_fetch(nullptr, name, nullptr)};
        EVP_CipherInit_ex(of.get(), cipher.get(), nullptr, nullptr, nullptr, 1);
    }
    static algorithms& of_thread() {
        static thread_local algorithms instance;
        return instance;
    }

    std::unique_ptr<EVP_MAC_CTX, freed_by<EVP_MAC_CTX_free>> mac;
    cipher_context ecb{EVP_CIPHER_CTX_new()};
    cipher_context gcm{EVP_CIPHER_CTX_new()};
};

digest hmac(std::span<unsigned char const> key, std::span<unsigned char const> text) {
    digest result{};
    std::size_t size = 0;
    auto* const mac = algorithms::of_thread().mac.get();
    if (mac != nullptr && EVP_MAC_init(mac, key.data(), key.size(), nullptr) == 1 &&
        EVP_MAC_update(mac, text.data(), text.size()) == 1)
        EVP_MAC_final(mac, result.data(), &size, result.size());
    return result;
}

/// HKDF-Expand-Label (RFC 8446, 7.1) of no more than one digest, without context.
template <std::size_t Size>
std::array<unsigned char, Size> expand(digest const& secret, std::string_view label) {
    static_assert(Size <= 32);
    static constexpr std::string_view prefix = "tls13 ";
    std::array<unsigned char, 40> info{0, Size, static_cast<unsigned char>(prefix.size() + label.size())};
    auto end = std::copy(prefix.begin(), prefix.end(), info.begin() + 3);
    end = std::copy(label.begin(), label.end(), end);
    *end++ = 0;
    *end++ = 1;
    auto const block = hmac(secret, {info.begin(), end});
    std::array<unsigned char, Size> result{};
    std::copy_n(block.begin(), Size, result.begin());
    return result;
}

} // namespace

std::uint64_t variable_length(byte_reader& from) noexcept {
    auto const first = from.u8();
    std::uint64_t value = first & 0x3f;
    for (int more = (1 << (first >> 6)) - 1; more != 0; --more)
        value = value << 8 | from.u8();
    return value;
}

std::optional<quic_long_packet> read_long_header(std::span<std::byte const> datagram) {
    byte_reader from{datagram};
    auto const first = from.u8();
    if ((first & 0xc0) != 0xc0)
        return std::nullopt;
    quic_long_packet result{};
    auto& h = result.header;
    h.version = from.u32();
    if (h.version != version_1 && h.version != version_2)
        return std::nullopt;
    h.destination_id = from.vector8();
    h.source_id = from.vector8();
    auto const type = first >> 4 & 3;
    auto const initial = h.version == version_1 ? 0 : 1;
    auto const retry = h.version == version_1 ? 3 : 0;
    if (!from || h.destination_id.size() > 20 || h.source_id.size() > 20)
        return std::nullopt;
    result.is_initial = type == initial;
    if (type == retry) {
        h.end = datagram.size();
        return result;
    }
    if (result.is_initial) {
        auto const token = variable_length(from);
        h.has_token = token != 0;
        if (token > from.rest().size())
            return std::nullopt;
        from.take(token);
    }
    auto const length = variable_length(from);
    h.packet_number_offset = datagram.size() - from.rest().size();
    if (!from || length > from.rest().size())
        return std::nullopt;
    h.end = h.packet_number_offset + length;
    return result;
}

quic_keys::quic_keys(std::uint32_t version, std::span<std::byte const> destination_id) {
    bool const second = version == version_2;
    std::span const id{reinterpret_cast<unsigned char const*>(destination_id.data()), destination_id.size()};
    auto const secret = expand<32>(hmac(second ? salt_2 : salt_1, id), "client in");
    key_ = expand<16>(secret, second ? "quicv2 key" : "quic key");
    iv_ = expand<12>(secret, second ? "quicv2 iv" : "quic iv");
    header_key_ = expand<16>(secret, second ? "quicv2 hp" : "quic hp");
}

std::optional<std::vector<std::byte>> quic_keys::open(std::span<std::byte const> packet, quic_header const& h) const {
    auto const number_at = h.packet_number_offset;
    if (h.end < number_at + 4 + 16) // what the mask is made of lies behind four bytes of packet number
        return std::nullopt;
    auto const* const raw = reinterpret_cast<unsigned char const*>(packet.data());

    std::array<unsigned char, 32> mask{};
    int size = 0;
    auto const& [mac, ecb, gcm] = algorithms::of_thread();
    if (EVP_EncryptInit_ex(ecb.get(), nullptr, nullptr, header_key_.data(), nullptr) != 1 ||
        EVP_EncryptUpdate(ecb.get(), mask.data(), &size, raw + number_at + 4, 16) != 1)
        return std::nullopt;

    std::vector<unsigned char> header{raw, raw + number_at + 4};
    header[0] = static_cast<unsigned char>(header[0] ^ (mask[0] & 0x0f));
    std::size_t const number_size = (header[0] & 3) + 1U;
    header.resize(number_at + number_size);
    auto nonce = iv_;
    for (std::size_t i = 0; i != number_size; ++i) {
        header[number_at + i] = static_cast<unsigned char>(header[number_at + i] ^ mask[1 + i]);
        auto& n = nonce[nonce.size() - number_size + i];
        n = static_cast<unsigned char>(n ^ header[number_at + i]);
    }

    auto const* const sealed = raw + header.size();
    auto const sealed_size = h.end - header.size() - 16;
    std::vector<std::byte> plain(sealed_size);
    auto* const to = reinterpret_cast<unsigned char*>(plain.data());
    std::array<unsigned char, 16> tag{};
    std::copy_n(sealed + sealed_size, tag.size(), tag.begin());
    if (EVP_DecryptInit_ex(gcm.get(), nullptr, nullptr, key_.data(), nonce.data()) != 1 ||
        EVP_DecryptUpdate(gcm.get(), nullptr, &size, header.data(), static_cast<int>(header.size())) != 1 ||
        EVP_DecryptUpdate(gcm.get(), to, &size, sealed, static_cast<int>(sealed_size)) != 1 ||
        EVP_CIPHER_CTX_ctrl(gcm.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag.size()), tag.data()) != 1 ||
        EVP_DecryptFinal_ex(gcm.get(), to + size, &size) != 1)
        return std::nullopt;
    return plain;
}

} // namespace netring_asio::session::detail
