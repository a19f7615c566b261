#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <lab/numbered.hpp>
#include <system_error>
#include <thread>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lab {

namespace {

constexpr std::size_t number_offset = 14;
constexpr std::size_t shortest = number_offset + sizeof(std::uint64_t);
constexpr std::size_t burst = 64;

[[noreturn]] void fail(char const* what) { throw std::system_error{errno, std::generic_category(), what}; }

int packet_socket(std::string const& interface, std::uint16_t protocol) {
    int const socket = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (socket < 0)
        fail("socket");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    if (address.sll_ifindex == 0 || ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        ::close(socket);
        fail("bind");
    }
    return socket;
}

struct descriptor {
    int value;
    ~descriptor() { ::close(value); }
};

} // namespace

std::optional<std::uint64_t> frame_number(std::span<std::byte const> frame) noexcept {
    if (frame.size() < shortest || std::to_integer<unsigned>(frame[12]) << 8 != (numbered_ethertype & 0xff00U) ||
        std::to_integer<unsigned>(frame[13]) != (numbered_ethertype & 0xffU))
        return std::nullopt;
    std::uint64_t number = 0;
    for (auto const byte : frame.subspan(number_offset, sizeof number))
        number = number << 8 | std::to_integer<std::uint64_t>(byte);
    return number;
}

void send_numbered(std::string const& interface, std::span<std::uint8_t const, 6> destination, numbered const& frames) {
    descriptor const socket{packet_socket(interface, 0)};
    std::size_t const size = std::max(frames.size, shortest);
    std::vector<std::uint8_t> bytes(burst * size);
    std::array<iovec, burst> vectors{};
    std::array<mmsghdr, burst> messages{};
    for (std::size_t i = 0; i != burst; ++i) {
        auto const frame = bytes.data() + i * size;
        std::copy(destination.begin(), destination.end(), frame);
        frame[6] = 2; // any locally administered source
        frame[12] = numbered_ethertype >> 8;
        frame[13] = numbered_ethertype & 0xff;
        vectors[i] = {frame, size};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }

    using clock = std::chrono::steady_clock;
    auto const start = clock::now();
    for (std::uint64_t sent = 0; sent != frames.count;) {
        std::uint64_t due = frames.count;
        if (frames.rate != 0) {
            auto const elapsed = std::chrono::duration<double>(clock::now() - start).count();
            due = std::min(due, static_cast<std::uint64_t>(elapsed * static_cast<double>(frames.rate)) + 1);
            if (due <= sent) {
                std::this_thread::sleep_for(std::chrono::microseconds{200});
                continue;
            }
        }
        auto const wanted = static_cast<unsigned>(std::min<std::uint64_t>(due - sent, burst));
        for (unsigned i = 0; i != wanted; ++i) {
            auto const number = frames.first + sent + i;
            for (unsigned byte = 0; byte != sizeof number; ++byte)
                bytes[i * size + number_offset + byte] = static_cast<std::uint8_t>(number >> (56 - 8 * byte));
        }
        int const taken = ::sendmmsg(socket.value, messages.data(), wanted, 0);
        if (taken > 0)
            sent += static_cast<unsigned>(taken);
        else if (errno == ENOBUFS || errno == EAGAIN)
            std::this_thread::sleep_for(std::chrono::microseconds{50});
        else if (errno != EINTR)
            fail("sendmmsg");
    }
}

void send_numbered(side const& from, side const& to, numbered const& frames) {
    from.enter([&] { send_numbered(from.name(), to.address(), frames); });
}

process start_sender(side const& from, side const& to, numbered const& frames) {
    char address[18];
    auto const& a = to.address();
    std::snprintf(address, sizeof address, "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5]);
    return from.start({LAB_SENDER, from.name(), address, std::to_string(frames.count), std::to_string(frames.size),
                       std::to_string(frames.rate), std::to_string(frames.first)});
}

numbered_receiver::numbered_receiver(side const& at)
    : socket_{at.enter([&] { return packet_socket(at.name(), numbered_ethertype); })} {
    int const size = 64 << 20;
    if (::setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

numbered_receiver::~numbered_receiver() { ::close(socket_); }

std::vector<std::uint64_t> numbered_receiver::receive(std::size_t count, std::chrono::milliseconds limit) {
    std::vector<std::uint64_t> numbers;
    std::array<std::byte, 2048> buffer;
    while (numbers.size() < count) {
        pollfd ready{socket_, POLLIN, 0};
        if (::poll(&ready, 1, static_cast<int>(limit.count())) <= 0)
            break;
        ssize_t const size = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size <= 0)
            break;
        if (auto const number = frame_number({buffer.data(), static_cast<std::size_t>(size)}))
            numbers.push_back(*number);
    }
    return numbers;
}

} // namespace lab
