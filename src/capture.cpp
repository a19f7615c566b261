#include <netring_asio/capture.hpp>

namespace netring_asio {

template class basic_capture<>;

} // namespace netring_asio
