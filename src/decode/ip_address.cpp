#include <netring_asio/decode/ip_address.hpp>

#include <ostream>

#include <arpa/inet.h>

namespace netring_asio::decode {

std::string ip_address::to_string(int version) const {
    char text[INET6_ADDRSTRLEN];
    auto const* result = version == 4 ? inet_ntop(AF_INET, bytes.data() + 12, text, sizeof text)
                                      : inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
    return result;
}

std::ostream& operator<<(std::ostream& out, ip_address const& address) { return out << address.to_string(); }

} // namespace netring_asio::decode
