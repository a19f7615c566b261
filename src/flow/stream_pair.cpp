#include <netring_asio/decode/tcp_options.hpp>
#include <netring_asio/flow/stream_pair.hpp>

namespace netring_asio::flow {

void stream_pair::packet(decode::headers const& headers, orientation way, timestamp now, byte_consumer& a_to_b,
                         byte_consumer& b_to_a) {
    namespace flag = decode::tcp_flag;
    if (!headers.has_tcp || (headers.tcp_flags & (flag::ack | flag::syn | flag::rst)) == 0)
        return;
    bool const forward = way == orientation::a_to_b;
    auto& own = directions_[forward ? 0 : 1];
    auto& own_bytes = forward ? a_to_b : b_to_a;
    auto sequence = headers.sequence;
    if ((headers.tcp_flags & flag::syn) != 0)
        own.open(sequence++, own_bytes);
    note_window(headers, forward ? 0 : 1, now);
    // What it acknowledges was there before what it carries: a request before its response.
    if ((headers.tcp_flags & flag::ack) != 0)
        directions_[forward ? 1 : 0].acknowledge(headers.acknowledgment, now, forward ? b_to_a : a_to_b);
    auto const payload = headers.payload();
    own.segment(sequence, payload, headers.payload_length - payload.size(), now, own_bytes);
    if ((headers.tcp_flags & flag::fin) != 0)
        own.close(sequence + headers.payload_length);
}

// RFC 7323, 2.2: windows are scaled where both SYNs say so, and never on a SYN.
void stream_pair::note_window(decode::headers const& headers, std::size_t way, timestamp now) noexcept {
    auto& own = receivers_[way];
    auto const& other = receivers_[1 - way];
    bool const begins = (headers.tcp_flags & decode::tcp_flag::syn) != 0;
    if (begins && !own.has_begun) {
        own.shift = decode::parse_tcp_options(headers).window_scale;
        own.has_begun = true;
    }
    if (!own.has_begun || !other.has_begun || (headers.tcp_flags & decode::tcp_flag::ack) == 0 ||
        (headers.tcp_flags & decode::tcp_flag::rst) != 0)
        return;
    unsigned const shift = !begins && own.shift && other.shift ? *own.shift : 0U;
    directions_[1 - way].window(headers.acknowledgment + (std::uint32_t{headers.window} << shift), now);
}

void stream_pair::advance(timestamp now, byte_consumer& a_to_b, byte_consumer& b_to_a) {
    directions_[0].advance(now, a_to_b);
    directions_[1].advance(now, b_to_a);
}

void stream_pair::finish(byte_consumer& a_to_b, byte_consumer& b_to_a) {
    directions_[0].finish(a_to_b);
    directions_[1].finish(b_to_a);
}

} // namespace netring_asio::flow
