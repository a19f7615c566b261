#include "values.hpp"

#include <charconv>
#include <cmath>
#include <memory>
#include <optional>

#include <arpa/inet.h>

namespace netring_asio::subscription::detail {
namespace {

std::optional<std::uint64_t> number(std::string_view word) {
    int base = 10;
    if (word.starts_with("0x") || word.starts_with("0X")) {
        base = 16;
        word.remove_prefix(2);
    }
    std::uint64_t result = 0;
    auto const* const end = std::to_address(word.end());
    auto const [at, failed] = std::from_chars(std::to_address(word.begin()), end, result, base);
    return failed == std::errc{} && at == end && !word.empty() ? std::optional{result} : std::nullopt;
}

std::optional<std::uint64_t> duration(std::string_view word) {
    if (word.ends_with("ns"))
        return number(word.substr(0, word.size() - 2));
    struct unit {
        std::string_view name;
        double nanoseconds;
    };
    double count = 0;
    auto const* const end = std::to_address(word.end());
    auto const [at, failed] = std::from_chars(std::to_address(word.begin()), end, count);
    if (failed != std::errc{} || count < 0)
        return std::nullopt;
    std::string_view const rest{at, static_cast<std::size_t>(end - at)};
    for (auto const& [name, scale] :
         {unit{"us", 1e3}, unit{"ms", 1e6}, unit{"s", 1e9}, unit{"min", 60e9}, unit{"h", 3600e9}})
        if (rest == name && count * scale < 9e18)
            return static_cast<std::uint64_t>(std::llround(count * scale));
    return std::nullopt;
}

std::optional<std::uint64_t> mac_address(std::string_view word) {
    if (word.size() != 17)
        return std::nullopt;
    std::uint64_t result = 0;
    for (std::size_t i = 0; i != 6; ++i) {
        auto const byte = number("0x" + std::string{word.substr(i * 3, 2)});
        if (!byte || (i != 5 && word[i * 3 + 2] != ':'))
            return std::nullopt;
        result = result << 8 | *byte;
    }
    return result;
}

std::optional<std::uint64_t> scalar(field_type type, std::string_view word) {
    if (type == field_type::flag && (word == "true" || word == "false"))
        return word == "true";
    return type == field_type::duration      ? duration(word)
           : type == field_type::mac_address ? mac_address(word)
                                             : number(word);
}

std::string address(field_type type, std::string_view word, value& out) {
    auto const slash = word.find('/');
    std::string const text{word.substr(0, slash)};
    std::array<unsigned char, 16> bytes;
    address_prefix result;
    unsigned bits = 0;
    if (type != field_type::ipv6_address && ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
        result.address = decode::ip_address::from_v4(bytes.data());
        bits = 32;
    } else if (type != field_type::ipv4_address && ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) {
        result.address = decode::ip_address::from_v6(bytes.data());
        bits = 128;
    } else {
        return "not an " + std::string{type == field_type::ipv4_address   ? "IPv4 address"
                                       : type == field_type::ipv6_address ? "IPv6 address"
                                                                          : "IP address"};
    }
    auto length = bits;
    if (slash != word.npos) {
        auto const given = number(word.substr(slash + 1));
        if (!given || *given > bits)
            return "the length of a prefix is at most " + std::to_string(bits);
        length = static_cast<unsigned>(*given);
    }
    result.bits = static_cast<std::uint8_t>(128 - bits + length);
    for (std::size_t bit = result.bits; bit != 128; ++bit)
        result.address.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80 >> bit % 8));
    out = result;
    return {};
}

} // namespace

std::string read_value(field_type type, std::string_view word, value& out) {
    switch (type) {
    case field_type::protocol:
        return "a protocol has no value";
    case field_type::text:
    case field_type::bytes:
        return "expected a text in quotes or bytes between bars";
    case field_type::ipv4_address:
    case field_type::ipv6_address:
    case field_type::ip_address:
        return address(type, word, out);
    default:
        break;
    }
    auto const dots = word.find("..");
    auto const low = scalar(type, word.substr(0, dots));
    auto const high = dots == word.npos ? low : scalar(type, word.substr(dots + 2));
    if (!low || !high)
        return type == field_type::duration      ? "expected a duration, as 1.5s or 20ms"
               : type == field_type::mac_address ? "expected an address, as 00:11:22:aa:bb:cc"
               : type == field_type::flag        ? "expected true, false, 1 or 0"
                                                 : "expected a number";
    if (*low > *high)
        return "the range is empty";
    out = number_range{*low, *high};
    return {};
}

std::string print_value(field_type type, value const& what) {
    if (auto const* range = std::get_if<number_range>(&what)) {
        auto const one = [type](std::uint64_t n) {
            if (type == field_type::duration)
                return std::to_string(n) + "ns";
            if (type != field_type::mac_address)
                return std::to_string(n);
            std::string result;
            for (int shift = 44; shift >= 0; shift -= 4) {
                result += "0123456789abcdef"[n >> shift & 15];
                if (shift % 8 == 0 && shift != 0)
                    result += ':';
            }
            return result;
        };
        return range->low == range->high ? one(range->low) : one(range->low) + ".." + one(range->high);
    }
    if (auto const* prefix = std::get_if<address_prefix>(&what)) {
        auto const v4 = prefix->bits >= 96 && prefix->address.is_v4_mapped() && type != field_type::ipv6_address;
        return prefix->address.to_string(v4 ? 4 : 6) + "/" + std::to_string(prefix->bits - (v4 ? 96 : 0));
    }
    std::string result = "|";
    bool plain = true;
    auto const& text = std::get<std::string>(what);
    for (char const c : text)
        plain = plain && c >= ' ' && c <= '~' && c != '\'';
    if (plain)
        return "'" + text + "'";
    for (char const c : text) {
        auto const byte = static_cast<unsigned char>(c);
        result += "0123456789abcdef"[byte >> 4];
        result += "0123456789abcdef"[byte & 15];
    }
    return result + "|";
}

} // namespace netring_asio::subscription::detail
