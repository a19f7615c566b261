#include <algorithm>
#include <cerrno>
#include <cstring>
#include <lab/patterned.hpp>
#include <random>
#include <system_error>
#include <vector>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lab {

namespace {

constexpr std::size_t header_size = 14 + sizeof(std::uint64_t);
constexpr std::size_t offsets = 4093;
constexpr std::size_t longest_frame = 66'000;

std::vector<std::byte> const& noise() {
    static auto const bytes = [] {
        std::vector<std::byte> result(offsets + longest_frame);
        std::minstd_rand random{1};
        std::generate(result.begin(), result.end(), [&] { return static_cast<std::byte>(random() >> 8); });
        return result;
    }();
    return bytes;
}

} // namespace

pattern::pattern(std::array<std::uint8_t, 6> const& destination, std::size_t shortest, std::size_t longest)
    : header_{}
    , shortest_{shortest}
    , longest_{longest} {
    std::memcpy(header_.data(), destination.data(), destination.size());
    header_[6] = std::byte{2}; // any locally administered source
    header_[12] = std::byte{numbered_ethertype >> 8};
    header_[13] = std::byte{numbered_ethertype & 0xff};
}

std::size_t pattern::size(std::uint64_t number) const noexcept {
    return shortest_ + (number * 0x9e3779b97f4a7c15 >> 32) % (longest_ - shortest_ + 1);
}

std::span<std::byte const> pattern::body(std::uint64_t number) const noexcept {
    return {noise().data() + number % offsets, size(number) - header_size};
}

void pattern::write(std::uint64_t number, std::span<std::byte> to) const noexcept {
    std::memcpy(to.data(), header_.data(), header_.size());
    for (std::size_t i = 0; i != sizeof number; ++i)
        to[header_.size() + i] = static_cast<std::byte>(number >> (56 - 8 * i));
    auto const rest = body(number);
    std::memcpy(to.data() + header_size, rest.data(), rest.size());
}

bool pattern::matches(std::uint64_t number, std::span<std::byte const> frame) const noexcept {
    if (frame.size() != size(number) || std::memcmp(frame.data(), header_.data(), header_.size()) != 0)
        return false;
    auto const rest = body(number);
    return std::memcmp(frame.data() + header_size, rest.data(), rest.size()) == 0;
}

pattern_receiver::pattern_receiver(side const& at, pattern const& expected)
    : expected_{expected}
    , socket_{at.enter([&] {
        int const socket = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        int const size = 256 << 20;
        if (::setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
            ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(numbered_ethertype);
        address.sll_ifindex = static_cast<int>(::if_nametoindex(at.name().c_str()));
        if (::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            throw std::system_error{errno, std::generic_category(), "bind"};
        return socket;
    })}
    , thread_{[this] { run(); }} {
    ::sched_getaffinity(0, sizeof processors_, &processors_);
    int processor = 0;
    while (!CPU_ISSET(processor, &processors_))
        ++processor;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    ::sched_setaffinity(0, sizeof one, &one);
}

pattern_receiver::~pattern_receiver() {
    ::sched_setaffinity(0, sizeof processors_, &processors_);
    stop_ = true;
    if (thread_.joinable())
        thread_.join();
    ::close(socket_);
}

void pattern_receiver::run() {
    std::vector<std::byte> buffer(longest_frame);
    std::uint64_t next = 0;
    while (!stop_) {
        pollfd ready{socket_, POLLIN, 0};
        if (::poll(&ready, 1, 10) <= 0)
            continue;
        for (;;) {
            auto const size = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (size < 0)
                break;
            std::span<std::byte const> const frame{buffer.data(), static_cast<std::size_t>(size)};
            auto const number = frame_number(frame);
            if (!number || !expected_.matches(*number, frame)) {
                ++found_.damaged;
            } else if (*number < next) {
                ++found_.repeated;
            } else {
                found_.missing += *number - next;
                found_.last = *number;
                next = *number + 1;
            }
            ++found_.received;
            received_.store(found_.received, std::memory_order_relaxed);
        }
    }
}

pattern_receiver::findings pattern_receiver::finish(std::uint64_t count, std::chrono::milliseconds limit) {
    using clock = std::chrono::steady_clock;
    auto seen = received();
    for (auto since = clock::now(); seen < count && clock::now() - since < limit;) {
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
        if (auto const now = received(); now != seen) {
            seen = now;
            since = clock::now();
        }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{20}); // for those too many
    stop_ = true;
    thread_.join();
    tpacket_stats statistics{};
    socklen_t length = sizeof statistics;
    ::getsockopt(socket_, SOL_PACKET, PACKET_STATISTICS, &statistics, &length);
    found_.dropped = statistics.tp_drops;
    return found_;
}

} // namespace lab
