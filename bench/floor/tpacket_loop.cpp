#include "../receive/receiver.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
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

std::atomic<bool> interrupted{false};

void check(bool good, char const* what) {
    if (!good)
        throw std::system_error{errno, std::generic_category(), what};
}

/// The least that a program must do to read a TPACKET_V3 ring: no metadata, no checks, no statistics.
class tpacket_loop final : public receiver {
public:
    explicit tpacket_loop(std::string const& interface, block_timeout timeout)
        : socket_{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)} {
        check(socket_ >= 0, "socket");
        int const version = TPACKET_V3;
        check(::setsockopt(socket_, SOL_PACKET, PACKET_VERSION, &version, sizeof version) == 0, "PACKET_VERSION");
        tpacket_req3 request{};
        request.tp_block_size = block_size;
        request.tp_block_nr = block_count;
        request.tp_frame_size = 2048;
        request.tp_frame_nr = block_size / 2048 * block_count;
        request.tp_retire_blk_tov = static_cast<unsigned>(timeout.count());
        check(::setsockopt(socket_, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) == 0, "PACKET_RX_RING");
        auto* const mapped = ::mmap(nullptr, ring_size, PROT_READ | PROT_WRITE, MAP_SHARED, socket_, 0);
        check(mapped != MAP_FAILED, "mmap");
        ring_ = static_cast<std::byte*>(mapped);
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
        check(::bind(socket_, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0, "bind");
    }
    ~tpacket_loop() override {
        ::munmap(ring_, ring_size);
        ::close(socket_);
    }

    void run() override {
        // The signal is let in while the poll sleeps, and only there.
        sigset_t blocked, before;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGINT);
        ::sigprocmask(SIG_BLOCK, &blocked, &before);
        ::signal(SIGINT, [](int) { interrupted = true; });
        while (!interrupted) {
            while (consume_block()) {
            }
            pollfd poll{socket_, POLLIN | POLLERR, 0};
            ::ppoll(&poll, 1, nullptr, &before);
        }
    }

    void drain(std::uint64_t packets) override {
        for (auto const end = counted.packets + packets; counted.packets < end && consume_block();) {
        }
    }

    std::uint64_t dropped() override {
        tpacket_stats_v3 statistics{};
        socklen_t length = sizeof statistics;
        ::getsockopt(socket_, SOL_PACKET, PACKET_STATISTICS, &statistics, &length);
        return dropped_ += statistics.tp_drops;
    }

private:
    static constexpr std::size_t block_count = ring_size / block_size;

    bool consume_block() noexcept {
        auto* const block = ring_ + next_ * block_size;
        auto& header = reinterpret_cast<tpacket_block_desc*>(block)->hdr.bh1;
        std::atomic_ref const status{header.block_status};
        if ((status.load(std::memory_order_acquire) & TP_STATUS_USER) == 0)
            return false;
        auto sums = counted;
        auto const* at = block + header.offset_to_first_pkt;
        for (auto left = header.num_pkts; left != 0; --left) {
            auto const& record = *reinterpret_cast<tpacket3_hdr const*>(at);
            sums.add(at + record.tp_mac, record.tp_snaplen);
            at += record.tp_next_offset;
        }
        counted = sums;
        status.store(TP_STATUS_KERNEL, std::memory_order_release);
        next_ = next_ + 1 == block_count ? 0 : next_ + 1;
        return true;
    }

    int socket_;
    std::byte* ring_ = nullptr;
    std::size_t next_ = 0;
    std::uint64_t dropped_ = 0;
};

} // namespace

std::unique_ptr<receiver> make_tpacket_loop(std::string const& interface, block_timeout timeout) {
    return std::make_unique<tpacket_loop>(interface, timeout);
}

} // namespace bench
