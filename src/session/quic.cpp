#include "quic_keys.hpp"
#include <netring_asio/session/detail/byte_reader.hpp>
#include <netring_asio/session/quic.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <ostream>
#include <utility>

namespace netring_asio::session {
namespace {

constexpr std::size_t max_hello = std::size_t{64} << 10;

using detail::variable_length;

} // namespace

class quic_initial::connection {
public:
    connection(detail::quic_header const& first)
        : keys_{first.version, first.destination_id} {
        result_.version = first.version;
        result_.destination_id.assign(first.destination_id.begin(), first.destination_id.end());
        result_.source_id.assign(first.source_id.begin(), first.source_id.end());
        result_.has_token = first.has_token;
    }

    /// An Initial packet of the client's.
    error_code packet(std::span<std::byte const> bytes, detail::quic_header const& header) {
        auto plain = keys_.open(bytes, header);
        if (!plain) { // after a Retry, keys come from the new destination
            detail::quic_keys const other{header.version, header.destination_id};
            plain = other.open(bytes, header);
            if (!plain)
                return error::malformed_message;
            keys_ = other;
        }
        return frames(*plain);
    }

    std::size_t held() const noexcept { return crypto_.size() + parts_.size() * part_cost; }

    /// The hello, once it is complete.
    std::optional<quic::initial> take() {
        detail::byte_reader from{std::span{crypto_}.first(known_)};
        if (crypto_.size() < 4 || known_ < 4)
            return std::nullopt;
        auto const type = from.u8();
        auto const body = from.vector24();
        if (!from)
            return std::nullopt;
        if (type != 1 || tls::decode(body, result_.hello))
            return std::nullopt;
        return std::move(result_);
    }

private:
    error_code frames(std::span<std::byte const> plain) {
        for (detail::byte_reader from{plain}; !from.empty();) {
            switch (variable_length(from)) {
            case 0: { // PADDING, mostly the rest of the packet
                auto const rest = from.rest();
                auto const end = std::find_if(rest.begin(), rest.end(), [](auto b) { return b != std::byte{0}; });
                from.take(static_cast<std::size_t>(end - rest.begin()));
                break;
            }
            case 1: // PING
                break;
            case 2:
            case 3: { // ACK
                variable_length(from);
                variable_length(from);
                auto ranges = variable_length(from);
                variable_length(from);
                for (; ranges != 0 && from; --ranges) {
                    variable_length(from);
                    variable_length(from);
                }
                break;
            }
            case 6: { // CRYPTO
                auto const offset = variable_length(from);
                auto const size = variable_length(from);
                if (size > from.rest().size() || offset > max_hello || offset + size > max_hello)
                    return error::malformed_message;
                add(offset, from.take(size));
                break;
            }
            default: // CONNECTION_CLOSE, or nothing that belongs here
                return {};
            }
            if (!from)
                return error::malformed_message;
        }
        return {};
    }

    void add(std::size_t offset, std::span<std::byte const> bytes) {
        if (crypto_.size() < offset + bytes.size())
            crypto_.resize(offset + bytes.size());
        std::copy(bytes.begin(), bytes.end(), crypto_.begin() + static_cast<std::ptrdiff_t>(offset));
        auto& end = parts_[offset];
        end = std::max(end, offset + bytes.size());
        while (!parts_.empty() && parts_.begin()->first <= known_) {
            known_ = std::max(known_, parts_.begin()->second);
            parts_.erase(parts_.begin());
        }
    }

    static constexpr std::size_t part_cost = 64; // a node of the map, and the head of its block

    detail::quic_keys keys_;
    quic::initial result_;
    std::vector<std::byte> crypto_;
    std::size_t known_ = 0;                    // bytes from the beginning without a hole
    std::map<std::size_t, std::size_t> parts_; // begin and end of what lies behind
};

quic_initial::quic_initial() = default;
quic_initial::quic_initial(quic_initial const&) {}
quic_initial::quic_initial(quic_initial&&) noexcept = default;
quic_initial& quic_initial::operator=(quic_initial&&) noexcept = default;
quic_initial::~quic_initial() = default;

error_code quic_initial::datagram(side from, std::span<std::byte const> bytes, timestamp, output<message_type>& out) {
    if (done_ || from == side::responder)
        return {};
    while (!bytes.empty() && (bytes[0] & std::byte{0x80}) != std::byte{0}) {
        auto const packet = detail::read_long_header(bytes);
        if (!packet)
            return connection_ ? error_code{} : error_code{error::malformed_message};
        auto const& h = packet->header;
        if (packet->is_initial) {
            auto fresh = connection_ ? nullptr : std::make_unique<connection>(h);
            if (auto const error = (fresh ? fresh : connection_)->packet(bytes, h))
                return error;
            if (fresh)
                connection_ = std::move(fresh);
            if (auto hello = connection_->take()) {
                out(from, std::move(*hello));
                done_ = true;
                connection_.reset();
                return {};
            }
        }
        bytes = bytes.subspan(h.end);
    }
    return {};
}

std::size_t quic_initial::held() const noexcept { return connection_ ? connection_->held() : 0; }

match quic_initial::probe(side, std::span<std::byte const> bytes) {
    auto const packet = bytes.size() >= 1200 ? detail::read_long_header(bytes) : std::nullopt;
    return packet && packet->is_initial ? match::yes : match::no;
}

std::ostream& quic::operator<<(std::ostream& out, initial const& value) {
    return out << "quic version " << value.version << ", " << value.hello;
}

} // namespace netring_asio::session
