#include "frame.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {
namespace {

class packet_socket final : public generator {
public:
    explicit packet_socket(std::string const& interface)
        : socket_{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)} {
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
        if (socket_ < 0 || ::bind(socket_, reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0)
            throw std::system_error{errno, std::generic_category(), interface};
    }
    ~packet_socket() override { ::close(socket_); }

    char const* name() const noexcept override { return "sendmmsg"; }

    void send(traffic const& what) override {
        constexpr std::size_t burst = 32;
        std::array<std::vector<std::uint8_t>, burst> frames;
        std::array<iovec, burst> buffers{};
        std::array<mmsghdr, burst> messages{};
        for (std::size_t i = 0; i != burst; ++i) {
            frames[i] = make_frame(what);
            buffers[i] = {frames[i].data(), frames[i].size()};
            messages[i].msg_hdr.msg_iov = &buffers[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        using clock = std::chrono::steady_clock;
        auto const start = clock::now();
        for (std::uint64_t sent = 0; sent < what.count;) {
            auto const count = static_cast<unsigned>(std::min<std::uint64_t>(burst, what.count - sent));
            for (unsigned i = 0; i != count; ++i) {
                auto const number = sent + i;
                std::memcpy(frames[i].data() + number_offset, &number, sizeof number);
            }
            auto const taken = ::sendmmsg(socket_, messages.data(), count, 0);
            if (taken < 0 && errno != ENOBUFS && errno != EINTR)
                throw std::system_error{errno, std::generic_category(), "sendmmsg"};
            sent += static_cast<std::uint64_t>(std::max(taken, 0));
            if (what.rate != 0)
                while (clock::now() < start + std::chrono::nanoseconds{sent * 1'000'000'000 / what.rate}) {
                }
        }
    }

private:
    int socket_;
};

} // namespace

std::unique_ptr<generator> make_packet_socket(std::string const& interface) {
    return std::make_unique<packet_socket>(interface);
}

std::unique_ptr<generator> make_generator(std::string const& interface) {
    try {
        return make_live_frames(interface);
    } catch (std::system_error const&) {
        return make_packet_socket(interface);
    }
}

} // namespace bench
