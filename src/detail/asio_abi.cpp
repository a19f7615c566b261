#include <netring_asio/detail/asio_abi.hpp>

namespace netring_asio::detail {

char const NETRING_ASIO_ABI = 0;

} // namespace netring_asio::detail
