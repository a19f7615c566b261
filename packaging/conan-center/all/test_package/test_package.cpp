#include <netring_asio/flow_stream.hpp>
#include <netring_asio/pcap_source.hpp>

#include <boost/asio/io_context.hpp>

#include <iostream>

int main() {
    boost::asio::io_context context;
    netring_asio::flow_stream flows{netring_asio::pcap_source{context}};
    std::cout << "flows: " << flows.statistics().flows << '\n';
}
