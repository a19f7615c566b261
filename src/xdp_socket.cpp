#include <netring_asio/xdp_socket.hpp>

namespace netring_asio {

template class basic_xdp_socket<>;

} // namespace netring_asio
