#include <netring_asio/subscription/fields.hpp>

#include <iostream>

namespace subscription = netring_asio::subscription;
namespace fields = netring_asio::subscription::fields;

int main() {
    auto const wanted = fields::tcp_port.in({80, 443}) && fields::tls_sni.matches("example");
    subscription::expression const same{to_string(wanted)};
    std::cout << same << '\n';
    return to_string(same) == to_string(wanted) ? 0 : 1;
}
