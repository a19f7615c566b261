#include <netring_asio/flow/key.hpp>

#include <cstring>

namespace netring_asio::flow {

std::optional<extracted<mac_pair_key>> mac_pair::operator()(decode::headers const& packet) const noexcept {
    if (!packet.has_ethernet)
        return std::nullopt;
    mac_address source;
    mac_address destination;
    std::memcpy(destination.bytes.data(), packet.data.data() + packet.link_offset, destination.bytes.size());
    std::memcpy(source.bytes.data(), packet.data.data() + packet.link_offset + 6, source.bytes.size());
    if (source <= destination)
        return extracted<mac_pair_key>{{source, destination}, orientation::a_to_b};
    return extracted<mac_pair_key>{{destination, source}, orientation::b_to_a};
}

} // namespace netring_asio::flow
