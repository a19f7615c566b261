#include <netring_asio/export/ipfix_exporter.hpp>

namespace netring_asio::exports {

template class basic_ipfix_exporter<>;

} // namespace netring_asio::exports
