#include "parser.hpp"
#include <netring_asio/session/quic.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::datagrams<netring_asio::session::quic_initial>(std::as_bytes(std::span{data, size}));
    return 0;
}
