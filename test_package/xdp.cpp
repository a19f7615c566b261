#include <netring_asio/error.hpp>
#include <netring_asio/xdp_socket.hpp>

#include <boost/asio/io_context.hpp>

#include <iostream>

namespace nr = netring_asio;

int main() {
    boost::asio::io_context context;
    nr::xdp_socket socket{context};
    nr::error_code error;
    socket.open(nr::xdp_options{"nowhere0"}.take_everything(), error);
    std::cout << "nowhere0: " << error.message() << '\n';
    return error == nr::error::no_such_interface ? 0 : 1;
}
