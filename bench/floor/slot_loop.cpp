#include "../latency/receivers.hpp"

#include <atomic>
#include <cerrno>
#include <system_error>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {
namespace {

constexpr unsigned slot_size = 2048, block_size = 64 << 10, block_count = 128;
constexpr std::size_t slot_count = std::size_t{block_size} / slot_size * block_count;

void check(bool good, char const* what) {
    if (!good)
        throw std::system_error{errno, std::generic_category(), what};
}

/// The least that a program must do to read a TPACKET_V2 ring packet by packet, asleep or awake.
class slot_loop final : public latency_receiver {
public:
    slot_loop(std::string const& interface, bool spins)
        : socket_{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)}
        , spins_{spins} {
        check(socket_ >= 0, "socket");
        int const version = TPACKET_V2;
        check(::setsockopt(socket_, SOL_PACKET, PACKET_VERSION, &version, sizeof version) == 0, "PACKET_VERSION");
        tpacket_req const request{block_size, block_count, slot_size, static_cast<unsigned>(slot_count)};
        check(::setsockopt(socket_, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) == 0, "PACKET_RX_RING");
        auto* const mapped =
            ::mmap(nullptr, std::size_t{block_size} * block_count, PROT_READ | PROT_WRITE, MAP_SHARED, socket_, 0);
        check(mapped != MAP_FAILED, "mmap");
        ring_ = static_cast<std::byte*>(mapped);
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
        check(::bind(socket_, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0, "bind");
    }
    ~slot_loop() override {
        ::munmap(ring_, std::size_t{block_size} * block_count);
        ::close(socket_);
    }

    void run(std::function<bool(std::int64_t)> const& sample) override {
        for (std::size_t at = 0;; at = at + 1 == slot_count ? 0 : at + 1) {
            auto* const slot = ring_ + at * slot_size;
            auto& header = *reinterpret_cast<tpacket2_hdr*>(slot);
            std::atomic_ref status{header.tp_status};
            while ((status.load(std::memory_order_acquire) & TP_STATUS_USER) == 0) {
                pollfd waiting{socket_, POLLIN, 0};
                if (!spins_)
                    check(::poll(&waiting, 1, -1) >= 0, "poll");
            }
            auto const age = age_of(slot + header.tp_mac);
            status.store(TP_STATUS_KERNEL, std::memory_order_release);
            if (!sample(age))
                return;
        }
    }

private:
    int socket_;
    bool spins_;
    std::byte* ring_ = nullptr;
};

} // namespace

std::unique_ptr<latency_receiver> open_bare_loop(std::string const& interface, bool spins) {
    return std::make_unique<slot_loop>(interface, spins);
}

} // namespace bench
