#include "parser.hpp"
#include <netring_asio/session/tls.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::streams<netring_asio::session::tls_handshake>(std::as_bytes(std::span{data, size}));
    return 0;
}
