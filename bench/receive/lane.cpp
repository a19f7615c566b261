#include "lane.hpp"

#include "../measure.hpp"

#include <cerrno>
#include <system_error>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace bench {
namespace {

/// Gives a veth interface a receive queue of its own, which frames from a BPF program need.
void switch_on_gro(std::string const& interface) {
    int const socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ethtool_value value{ETHTOOL_SGRO, 1};
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_data = reinterpret_cast<char*>(&value);
    int const result = ::ioctl(socket, SIOCETHTOOL, &request);
    int const error = errno;
    ::close(socket);
    if (result != 0)
        throw std::system_error{error, std::generic_category(), "ETHTOOL_SGRO"};
}

} // namespace

lane::lane() {
    pair_.right.enter([&] { switch_on_gro(pair_.right.name()); });
    generator_ = pair_.left.enter([&] { return make_generator(pair_.left.name()); });
}

void lane::send(std::uint64_t count, std::uint64_t rate) {
    pin_to(generator_processor);
    pair_.left.enter([&] {
        generator_->send({.count = count,
                          .length = frame_length,
                          .rate = rate,
                          .destination = pair_.right.address(),
                          .source = pair_.left.address()});
    });
}

} // namespace bench
