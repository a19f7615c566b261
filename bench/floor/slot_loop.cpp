#include "../latency/receivers.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

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
    slot_loop(std::string const& interface, bare_wait how)
        : socket_{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)}
        , how_{how} {
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
        if (how_ == bare_wait::asio) {
            boost::asio::io_context context{1};
            descriptor waiting{context.get_executor(), ::dup(socket_)};
            wait(waiting, sample);
            context.run();
            return;
        }
        while (take(sample)) {
            pollfd waiting{socket_, POLLIN, 0};
            if (how_ == bare_wait::poll)
                check(::poll(&waiting, 1, -1) >= 0, "poll");
        }
    }

private:
    using descriptor = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;

    /// Takes what is there, and says whether to go on.
    bool take(std::function<bool(std::int64_t)> const& sample) {
        for (;; at_ = at_ + 1 == slot_count ? 0 : at_ + 1) {
            auto* const slot = ring_ + at_ * slot_size;
            auto& header = *reinterpret_cast<tpacket2_hdr*>(slot);
            std::atomic_ref status{header.tp_status};
            if ((status.load(std::memory_order_acquire) & TP_STATUS_USER) == 0)
                return true;
            auto const age = age_of(slot + header.tp_mac);
            status.store(TP_STATUS_KERNEL, std::memory_order_release);
            if (!sample(age))
                return false;
        }
    }
    void wait(descriptor& from, std::function<bool(std::int64_t)> const& sample) {
        from.async_wait(descriptor::wait_read, [&](boost::system::error_code) {
            if (take(sample))
                wait(from, sample);
        });
    }

    int socket_;
    bare_wait how_;
    std::size_t at_ = 0;
    std::byte* ring_ = nullptr;
};

} // namespace

std::unique_ptr<latency_receiver> open_bare_loop(std::string const& interface, bare_wait how) {
    return std::make_unique<slot_loop>(interface, how);
}

} // namespace bench
