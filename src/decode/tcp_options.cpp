#include <netring_asio/decode/tcp_options.hpp>

#include <boost/endian/conversion.hpp>

#include <algorithm>

namespace netring_asio::decode {
namespace {

// IANA: TCP Option Kind Numbers
enum kind : unsigned {
    end_of_list = 0,
    no_operation = 1,
    segment_size = 2,
    scale = 3,
    sack_permitted = 4,
    sack = 5,
    timestamps = 8,
    fast_open = 34
};

void take(tcp_options& out, unsigned kind, unsigned char const* value, std::size_t length) noexcept {
    using boost::endian::load_big_u16;
    using boost::endian::load_big_u32;
    switch (kind) {
    case segment_size:
        if (length == 2)
            out.maximum_segment_size = load_big_u16(value);
        break;
    case scale:
        if (length == 1)
            out.window_scale = std::min<std::uint8_t>(*value, 14);
        break;
    case sack_permitted:
        out.sack_permitted = length == 0;
        break;
    case sack:
        for (std::size_t at = 0; at + 8 <= length && out.sack_count < out.sack.size(); at += 8)
            out.sack[out.sack_count++] = {load_big_u32(value + at), load_big_u32(value + at + 4)};
        break;
    case timestamps:
        if (length == 8)
            out.timestamps = {load_big_u32(value), load_big_u32(value + 4)};
        break;
    case fast_open:
        out.fast_open = true;
        break;
    default:
        break;
    }
}

} // namespace

tcp_options parse_tcp_options(std::span<std::byte const> bytes) noexcept {
    tcp_options out;
    auto const* const data = reinterpret_cast<unsigned char const*>(bytes.data());
    for (std::size_t at = 0; at < bytes.size() && data[at] != end_of_list;) {
        if (data[at] == no_operation) {
            ++at;
            continue;
        }
        std::size_t const length = at + 1 < bytes.size() ? data[at + 1] : 0;
        if (length < 2 || length > bytes.size() - at) {
            out.malformed = true;
            break;
        }
        take(out, data[at], data + at + 2, length - 2);
        at += length;
    }
    return out;
}

} // namespace netring_asio::decode
