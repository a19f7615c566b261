#include <netring_asio/export/conn_log.hpp>
#include <netring_asio/export/ipfix_exporter.hpp>

#include <boost/asio/io_context.hpp>

#include <iostream>

namespace nr = netring_asio;

int main() {
    nr::flow::event e;
    e.kind = nr::flow::event_kind::ended;
    nr::exports::conn_log log{std::cout};
    log.write(e);
    boost::asio::io_context context;
    nr::exports::ipfix_exporter exporter{context,
                                         nr::exports::ipfix_exporter_options{boost::asio::ip::address_v4::loopback()}};
    return log.lines() == 1 && exporter.statistics().records == 0 ? 0 : 1;
}
