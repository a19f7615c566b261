// Whether overlap_policy::as_linux is what this machine's kernel does: the same segments go to a socket and to a
// reassembler.

#include "decode/craft.hpp"
#include <netring_asio/decode/decoder.hpp>
#include <netring_asio/flow/reassembler.hpp>

#include <boost/endian/conversion.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <lab/lab.hpp>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nr = netring_asio;
namespace flow = netring_asio::flow;

namespace {

constexpr unsigned syn = 2, rst = 4, ack = 16;
constexpr char const* client = "10.77.0.9"; // nobody's, so that no kernel answers for it
constexpr char const* server = "10.77.0.2";

class descriptor {
public:
    explicit descriptor(int value)
        : value_{value} {
        if (value < 0)
            throw std::runtime_error{"socket"};
        timeval const limit{5, 0};
        ::setsockopt(value, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    ~descriptor() { ::close(value_); }
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    int get() const noexcept { return value_; }

private:
    int value_;
};

std::uint32_t sum(std::span<std::uint8_t const> bytes, std::uint32_t start) {
    for (std::size_t i = 0; i != bytes.size(); ++i)
        start += static_cast<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
    return start;
}

std::uint16_t folded(std::uint32_t value) {
    while (value >> 16 != 0)
        value = (value & 0xffff) + (value >> 16);
    return static_cast<std::uint16_t>(~value);
}

/// A connection to a listening socket, the client's side of which is made by hand.
class hand_made_connection {
public:
    hand_made_connection(lab::pair const& net, descriptor const& wire, int listener, unsigned port)
        : net_{net}
        , wire_{wire}
        , port_{port} {
        send(syn, 1000, 0, {});
        std::vector<std::uint8_t> frame(2000);
        for (;;) {
            auto const size = ::recv(wire.get(), frame.data(), frame.size(), 0);
            if (size < 0)
                throw std::runtime_error{"no answer to the SYN"};
            nr::packet_view view;
            view.data = std::as_bytes(std::span{frame}).first(static_cast<std::size_t>(size));
            nr::decode::headers h;
            if (nr::decode::decoder{}(view, h) && h.destination_port == port && (h.tcp_flags & syn) != 0) {
                server_next_ = h.sequence + 1;
                break;
            }
        }
        send(ack, 1001, server_next_, {});
        socket_ = ::accept(listener, nullptr, nullptr);
        if (socket_ < 0)
            throw std::runtime_error{"accept"};
    }
    ~hand_made_connection() {
        send(rst, sent_, 0, {});
        ::close(socket_);
    }

    void data(std::uint32_t offset, std::string_view bytes) {
        sent_ = std::max(sent_, 1001 + offset + static_cast<std::uint32_t>(bytes.size()));
        send(ack, 1001 + offset, server_next_, bytes);
    }

    std::string receive(std::size_t count) {
        std::string result(count, '\0');
        auto const size = ::recv(socket_, result.data(), count, MSG_WAITALL);
        result.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
        return result;
    }

private:
    void send(unsigned flags, std::uint32_t sequence, std::uint32_t acknowledgment, std::string_view bytes) {
        test::craft frame{bytes};
        frame.tcp(port_, 80, flags, sequence, acknowledgment).ipv4(client, server, 6);
        auto& ip = frame.bytes();
        boost::endian::store_big_u16(ip.data() + 10, folded(sum(std::span{ip}.first(20), 0)));
        auto const segment = std::span{ip}.subspan(20);
        auto const pseudo = sum(std::span{ip}.subspan(12, 8), 6 + static_cast<std::uint32_t>(segment.size()));
        boost::endian::store_big_u16(ip.data() + 36, folded(sum(segment, pseudo)));
        frame.ethernet(0x0800);
        std::copy(net_.right.address().begin(), net_.right.address().end(), frame.bytes().begin());
        if (::send(wire_.get(), frame.bytes().data(), frame.size(), 0) < 0)
            throw std::runtime_error{"send"};
    }

    lab::pair const& net_;
    descriptor const& wire_;
    unsigned port_;
    std::uint32_t server_next_ = 0;
    std::uint32_t sent_ = 1001;
    int socket_ = -1;
};

struct text final : flow::byte_consumer {
    void data(std::uint64_t, std::span<std::byte const> bytes) override {
        all.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    }
    void gap(std::uint64_t, std::uint64_t length) override { all.append(length, '.'); }
    std::string all;
};

} // namespace

BOOST_AUTO_TEST_CASE(overlaps_are_settled_as_the_kernel_settles_them, *lab::available()) {
    lab::pair const net{lab::pair_options{}.ipv4()};
    std::array<char, 18> mac;
    auto const& m = net.left.address();
    std::snprintf(mac.data(), mac.size(), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    net.right.run({"ip", "neigh", "add", client, "lladdr", mac.data(), "dev", net.right.name()});
    descriptor const wire{net.left.enter([&] {
        auto const fd = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x0800));
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(0x0800);
        address.sll_ifindex = static_cast<int>(net.left.index());
        return ::bind(fd, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0 ? fd : -1;
    })};
    descriptor const listener{net.right.enter([] {
        auto const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(80);
        auto const bound = ::bind(fd, reinterpret_cast<sockaddr const*>(&address), sizeof address);
        return bound == 0 && ::listen(fd, 16) == 0 ? fd : -1;
    })};

    std::mt19937 random{42};
    unsigned differ_from_first = 0;
    unsigned differ_from_last = 0;
    constexpr unsigned rounds = 300;
    for (unsigned round = 0; round != rounds; ++round) {
        hand_made_connection connection{net, wire, listener.get(), 20000 + round};
        std::array<text, 3> out;
        std::vector<flow::reassembler> ours;
        for (auto const policy :
             {flow::overlap_policy::as_linux, flow::overlap_policy::first, flow::overlap_policy::last})
            ours.emplace_back(flow::reassembler_options{}.overlap(policy).over_budget(flow::budget_policy::drop));
        for (std::size_t i = 0; i != 3; ++i)
            ours[i].open(1000, out[i]);
        auto const both = [&](std::uint32_t offset, std::string const& bytes) {
            connection.data(offset, bytes);
            for (std::size_t i = 0; i != 3; ++i)
                ours[i].segment(1001 + offset, std::as_bytes(std::span{bytes}), 0, {}, out[i]);
        };
        constexpr std::uint32_t length = 60;
        constexpr std::uint32_t total = 100;
        std::vector<bool> seen(total);
        // A segment that begins just where one ended is merged with it where memory allows; that is left out.
        std::vector<std::uint32_t> ends;
        for (auto n = 2 + random() % 8; n != 0; --n) {
            auto const begin = static_cast<std::uint32_t>(1 + random() % (length - 1));
            auto const size = static_cast<std::uint32_t>(1 + random() % 20);
            if (std::find(ends.begin(), ends.end(), begin) != ends.end())
                continue;
            ends.push_back(begin + size);
            std::fill_n(seen.begin() + begin, size, true);
            both(begin, std::string(size, static_cast<char>('a' + ends.size())));
        }
        // Now what is still missing, each hole by itself.
        for (std::uint32_t at = 0; at != total;) {
            auto const hole = std::find(seen.begin() + at, seen.end(), false);
            auto const end = std::find(hole, seen.end(), true);
            at = static_cast<std::uint32_t>(end - seen.begin());
            if (hole != end)
                both(static_cast<std::uint32_t>(hole - seen.begin()),
                     std::string(static_cast<std::size_t>(end - hole), 'Z'));
        }
        auto const kernel = connection.receive(total);
        BOOST_TEST_CONTEXT("round " << round) { BOOST_REQUIRE(kernel == out[0].all); }
        differ_from_first += kernel != out[1].all ? 1 : 0;
        differ_from_last += kernel != out[2].all ? 1 : 0;
    }
    // So that the other policies would not do as well.
    BOOST_TEST(differ_from_first > rounds / 4);
    BOOST_TEST(differ_from_last > rounds / 4);
    BOOST_TEST_MESSAGE("figure: " << rounds << " streams with overlaps equal the kernel's, of which "
                                  << differ_from_first << " are not those of the policy first, " << differ_from_last
                                  << " not those of last");
}
