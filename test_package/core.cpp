#include <netring_asio/error.hpp>
#include <netring_asio/filter.hpp>
#include <netring_asio/pcap_source.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/system/errc.hpp>

#include <iostream>

namespace nr = netring_asio;

int main() {
    boost::asio::io_context context;
    nr::filter const filter{"udp port 53"};
    nr::pcap_source source{context};
    nr::error_code error;
    source.open(nr::pcap_source_options{"/nowhere.pcap"}, error);
    std::cout << filter.instructions().size() << " instructions; /nowhere.pcap: " << error.message() << '\n';
    return error == boost::system::errc::no_such_file_or_directory ? 0 : 1;
}
