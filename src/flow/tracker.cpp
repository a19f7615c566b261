#include <netring_asio/flow/tracker.hpp>

namespace netring_asio::flow {

template class tracker<five_tuple>;

} // namespace netring_asio::flow
