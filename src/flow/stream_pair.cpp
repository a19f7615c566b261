#include <netring_asio/flow/stream_pair.hpp>

namespace netring_asio::flow {

void stream_pair::packet(decode::headers const& headers, orientation way, timestamp now, byte_consumer& a_to_b,
                         byte_consumer& b_to_a) {
    if (!headers.has_tcp)
        return;
    bool const forward = way == orientation::a_to_b;
    auto& own = directions_[forward ? 0 : 1];
    auto& own_bytes = forward ? a_to_b : b_to_a;
    auto sequence = headers.sequence;
    if ((headers.tcp_flags & decode::tcp_flag::syn) != 0)
        own.open(sequence++, own_bytes);
    // What it acknowledges was there before what it carries: a request before its response.
    if ((headers.tcp_flags & decode::tcp_flag::ack) != 0)
        directions_[forward ? 1 : 0].acknowledge(headers.acknowledgment, now, forward ? b_to_a : a_to_b);
    auto const payload = headers.payload();
    own.segment(sequence, payload, headers.payload_length - payload.size(), now, own_bytes);
    if ((headers.tcp_flags & decode::tcp_flag::fin) != 0)
        own.close(sequence + headers.payload_length);
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
