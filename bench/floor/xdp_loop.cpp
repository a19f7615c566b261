#include "../xdp/loops.hpp"
#include <netring_asio/afxdp/program.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

namespace bench {
namespace {

constexpr std::uint64_t chunk_size = 2048;

std::atomic<bool> interrupted{false};

void check(bool good, char const* what) {
    if (!good)
        throw std::system_error{errno, std::generic_category(), what};
}

/// Memory for the receive ring, with as many chunks more to send from.
class memory {
public:
    memory(std::size_t chunks)
        : size{chunks * chunk_size}
        , area{static_cast<std::byte*>(
              ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))} {
        check(area != MAP_FAILED, "mmap");
        xsk_umem_config config{};
        config.fill_size = 2 * xdp_ring;
        config.comp_size = 2 * xdp_send_ring;
        config.frame_size = chunk_size;
        check(xsk_umem__create(&umem, area, size, &fill, &completion, &config) == 0, "xsk_umem__create");
    }
    ~memory() {
        xsk_umem__delete(umem);
        ::munmap(area, size);
    }
    memory(memory const&) = delete;
    memory& operator=(memory const&) = delete;

    std::size_t const size;
    std::byte* const area;
    xsk_umem* umem = nullptr;
    xsk_ring_prod fill{}; // of the first socket
    xsk_ring_cons completion{};
};

/// A socket over it, with the rings that it needs.
class loop_socket {
public:
    loop_socket(memory& of, std::string const& interface, xsk_ring_prod& fill, xsk_ring_cons& completion,
                bool receives) {
        xsk_socket_config config{};
        config.rx_size = xdp_ring;
        config.tx_size = xdp_send_ring;
        config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
        config.bind_flags = XDP_USE_NEED_WAKEUP;
        auto const open = [&] {
            return xsk_socket__create_shared(&socket, interface.c_str(), 0, of.umem, &rx, &tx, &fill, &completion,
                                             &config);
        };
        int result = open();
        for (int i = 0; result == -EBUSY && i != 500; ++i) { // a queue that was just closed
            std::this_thread::sleep_for(std::chrono::milliseconds{2});
            result = open();
        }
        if (result != 0)
            throw std::system_error{-result, std::generic_category(), "xsk_socket__create_shared"};
        handle = xsk_socket__fd(socket);
        int const budget = xdp_send_ring;
        ::setsockopt(handle, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget);
        int const ample = 8192 * xdp_send_ring;
        ::setsockopt(handle, SOL_SOCKET, SO_SNDBUFFORCE, &ample, sizeof ample);
        if (!receives)
            return;
        netring_asio::error_code ec;
        std::string context;
        program.open(interface, static_cast<int>(::if_nametoindex(interface.c_str())),
                     netring_asio::xdp_options{interface}.take_everything(), ec, context);
        if (!ec)
            program.set_queue(0, handle, ec);
        if (ec)
            throw std::system_error{ec, context};
    }
    ~loop_socket() {
        program.close();
        xsk_socket__delete(socket);
    }
    loop_socket(loop_socket const&) = delete;
    loop_socket& operator=(loop_socket const&) = delete;

    void kick() const noexcept {
        while (::sendto(handle, nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 && (errno == EAGAIN || errno == EBUSY) &&
               __atomic_load_n(tx.consumer, __ATOMIC_ACQUIRE) != *tx.producer) {
        }
    }

    xsk_socket* socket = nullptr;
    int handle = -1;
    xsk_ring_cons rx{};
    xsk_ring_prod tx{};
    netring_asio::afxdp::program program;
};

/// The least that a program must do to receive from an AF_XDP socket: no ledger, no metadata, no checks.
class receive_loop final : public receiver {
public:
    receive_loop(std::string const& interface, std::chrono::microseconds nap)
        : memory_{2 * xdp_ring}
        , socket_{memory_, interface, memory_.fill, memory_.completion, true}
        , nap_{nap} {
        std::uint32_t at = 0;
        xsk_ring_prod__reserve(&memory_.fill, 2 * xdp_ring, &at);
        for (std::uint64_t i = 0; i != 2 * xdp_ring; ++i)
            *xsk_ring_prod__fill_addr(&memory_.fill, at++) = i * chunk_size;
        xsk_ring_prod__submit(&memory_.fill, 2 * xdp_ring);
    }

    void run() override {
        // The signal is let in while the poll sleeps, and only there.
        sigset_t blocked, before;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGINT);
        ::sigprocmask(SIG_BLOCK, &blocked, &before);
        ::signal(SIGINT, [](int) { interrupted = true; });
        while (!interrupted) {
            while (consume()) {
            }
            if (nap_.count() != 0)
                std::this_thread::sleep_for(nap_);
            pollfd poll{socket_.handle, POLLIN, 0};
            ::ppoll(&poll, 1, nullptr, &before);
        }
    }

    void drain(std::uint64_t packets) override {
        for (auto const end = counted.packets + packets; counted.packets < end && consume();) {
        }
    }

    std::uint64_t dropped() override {
        xdp_statistics statistics{};
        socklen_t length = sizeof statistics;
        ::getsockopt(socket_.handle, SOL_XDP, XDP_STATISTICS, &statistics, &length);
        return statistics.rx_dropped + statistics.rx_ring_full;
    }

private:
    bool consume() noexcept {
        std::uint32_t at = 0, back = 0;
        auto const count = xsk_ring_cons__peek(&socket_.rx, xdp_batch, &at);
        if (count == 0)
            return false;
        xsk_ring_prod__reserve(&memory_.fill, count, &back);
        auto sums = counted;
        for (std::uint32_t i = 0; i != count; ++i) {
            auto const& descriptor = *xsk_ring_cons__rx_desc(&socket_.rx, at++);
            sums.add(memory_.area + descriptor.addr, descriptor.len);
            *xsk_ring_prod__fill_addr(&memory_.fill, back++) = descriptor.addr & ~(chunk_size - 1);
        }
        counted = sums;
        xsk_ring_cons__release(&socket_.rx, count);
        xsk_ring_prod__submit(&memory_.fill, count);
        if (xsk_ring_prod__needs_wakeup(&memory_.fill))
            ::recvfrom(socket_.handle, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
        return true;
    }

    memory memory_;
    loop_socket socket_;
    std::chrono::microseconds nap_;
};

/// The least that a program must do to send through one.
class send_loop final : public sender {
public:
    explicit send_loop(std::string const& interface)
        : memory_{2 * xdp_ring}
        , socket_{memory_, interface, memory_.fill, memory_.completion, false} {}

    void send(frame_burst& frames, std::uint64_t count) override {
        for (std::uint64_t sent = 0; sent != count;) {
            auto const some = static_cast<std::uint32_t>(std::min<std::uint64_t>(burst, count - sent));
            std::uint32_t at = 0, done = 0;
            xsk_ring_cons__release(&memory_.completion,
                                   xsk_ring_cons__peek(&memory_.completion, 2 * xdp_send_ring, &done));
            if (xsk_ring_prod__reserve(&socket_.tx, some, &at) != some) {
                socket_.kick();
                continue;
            }
            frames.number(sent);
            for (std::uint32_t i = 0; i != some; ++i, ++next_) {
                auto const address = next_ % xdp_send_ring * chunk_size;
                std::memcpy(memory_.area + address, frames[i].data(), frames[i].size());
                *xsk_ring_prod__tx_desc(&socket_.tx, at++) = {address, static_cast<std::uint32_t>(frames[i].size()), 0};
            }
            xsk_ring_prod__submit(&socket_.tx, some);
            socket_.kick();
            sent += some;
        }
    }

private:
    memory memory_;
    loop_socket socket_;
    std::uint64_t next_ = 0;
};

/// The least that a program must do to forward in place.
class forward_loop final : public forwarder {
public:
    forward_loop(std::string const& from, std::string const& to)
        : memory_{2 * xdp_ring}
        , from_{memory_, from, memory_.fill, memory_.completion, true}
        , to_{memory_, to, fill_, completion_, false} {
        std::uint32_t at = 0;
        xsk_ring_prod__reserve(&memory_.fill, 2 * xdp_ring, &at);
        for (std::uint64_t i = 0; i != 2 * xdp_ring; ++i)
            *xsk_ring_prod__fill_addr(&memory_.fill, at++) = i * chunk_size;
        xsk_ring_prod__submit(&memory_.fill, 2 * xdp_ring);
    }

    void forward(std::uint64_t count) override {
        for (std::uint64_t sent = 0; sent < count || in_flight_ != 0;) {
            collect();
            std::uint32_t at = 0, to = 0;
            auto const room = xsk_prod_nb_free(&to_.tx, xdp_batch);
            if (auto const some = xsk_ring_cons__peek(&from_.rx, std::min<std::uint32_t>(xdp_batch, room), &at)) {
                xsk_ring_prod__reserve(&to_.tx, some, &to);
                for (std::uint32_t i = 0; i != some; ++i) {
                    auto const& descriptor = *xsk_ring_cons__rx_desc(&from_.rx, at++);
                    *xsk_ring_prod__tx_desc(&to_.tx, to++) = {descriptor.addr, descriptor.len, 0};
                }
                xsk_ring_cons__release(&from_.rx, some);
                xsk_ring_prod__submit(&to_.tx, some);
                sent += some;
                in_flight_ += some;
            }
            to_.kick();
        }
    }

private:
    void collect() noexcept {
        std::uint32_t at = 0, back = 0;
        auto const done = xsk_ring_cons__peek(&completion_, 2 * xdp_send_ring, &at);
        if (done == 0)
            return;
        xsk_ring_prod__reserve(&memory_.fill, done, &back);
        for (std::uint32_t i = 0; i != done; ++i)
            *xsk_ring_prod__fill_addr(&memory_.fill, back++) =
                *xsk_ring_cons__comp_addr(&completion_, at++) & ~(chunk_size - 1);
        xsk_ring_prod__submit(&memory_.fill, done);
        xsk_ring_cons__release(&completion_, done);
        in_flight_ -= done;
    }

    memory memory_;
    xsk_ring_prod fill_{};
    xsk_ring_cons completion_{};
    loop_socket from_, to_;
    std::uint64_t in_flight_ = 0;
};

} // namespace

std::unique_ptr<receiver> make_xdp_loop(std::string const& interface, block_timeout) {
    return std::make_unique<receive_loop>(interface, std::chrono::microseconds{0});
}
std::unique_ptr<receiver> make_xdp_sleeper(std::string const& interface, block_timeout) {
    return std::make_unique<receive_loop>(interface, latency_budget);
}
std::unique_ptr<sender> make_xdp_send_loop(std::string const& interface) {
    return std::make_unique<send_loop>(interface);
}
std::unique_ptr<forwarder> make_xdp_forward_loop(std::string const& from, std::string const& to) {
    return std::make_unique<forward_loop>(from, to);
}

} // namespace bench
