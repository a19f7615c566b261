#include "parser.hpp"
#include <netring_asio/session/dns.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::datagrams<netring_asio::session::dns_over_udp>(std::as_bytes(std::span{data, size}));
    return 0;
}
