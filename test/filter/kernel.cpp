#include <netring_asio/detail/kernel_filter.hpp>
#include <netring_asio/filter.hpp>
#include <netring_asio/packet/owned_packet.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filter/expressions.hpp>
#include <filter/frames.hpp>
#include <filter/sender.hpp>
#include <lab/lab.hpp>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nr = netring_asio;
using frames::bytes;
using frames::operator+;
using nr::detail::kernel_filter;
using nr::detail::make_kernel_filter;

namespace {

void require(int result, char const* what) {
    if (result < 0)
        throw std::system_error{errno, std::generic_category(), what};
}

bool same(nr::owned_packet const& left, nr::owned_packet const& right) {
    return left->vlan == right->vlan && left->wire_length == right->wire_length &&
           std::ranges::equal(left->data, right->data);
}

/// A plain packet socket, filtered or not, and what the kernel gave it.
class observer {
public:
    observer(lab::side const& at, nr::link_type link, std::vector<nr::filter::instruction> program = {})
        : link_{link} {
        int const type = link == nr::link_type::ethernet ? SOCK_RAW : SOCK_DGRAM;
        socket_ = at.enter([&] { return ::socket(AF_PACKET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
        require(socket_, "socket");
        set(SOL_PACKET, PACKET_AUXDATA, 1);
        set(SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20);
        if (!program.empty()) {
            sock_fprog const wrapped{static_cast<unsigned short>(program.size()),
                                     reinterpret_cast<sock_filter*>(program.data())};
            require(::setsockopt(socket_, SOL_SOCKET, SO_ATTACH_FILTER, &wrapped, sizeof wrapped), "attach");
        }
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(at.index());
        require(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
    }
    observer(observer&& other) noexcept
        : socket_{std::exchange(other.socket_, -1)}
        , link_{other.link_} {}
    ~observer() {
        if (socket_ >= 0)
            ::close(socket_);
    }

    /// The next packet, waiting for it at most so long.
    bool receive(nr::owned_packet& to, int milliseconds) {
        pollfd waiting{socket_, POLLIN, 0};
        if (::poll(&waiting, 1, milliseconds) <= 0)
            return false;
        bytes data(4096);
        sockaddr_ll from{};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> control{};
        iovec part{data.data(), data.size()};
        msghdr message{&from, sizeof from, &part, 1, control.data(), control.size(), 0};
        auto const size = ::recvmsg(socket_, &message, 0);
        require(static_cast<int>(size), "recvmsg");
        data.resize(static_cast<std::size_t>(size));
        tpacket_auxdata metadata{};
        std::memcpy(&metadata, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof metadata);

        std::size_t cooked = 0;
        if (link_ == nr::link_type::linux_sll2) {
            data = bytes{0, 0, 0, 0} + frames::be16(0) + frames::be16(static_cast<unsigned>(from.sll_ifindex)) +
                   frames::be16(from.sll_hatype) + bytes{from.sll_pkttype, from.sll_halen} + bytes(8) + data;
            std::memcpy(data.data(), &from.sll_protocol, 2);
            std::memcpy(data.data() + 12, from.sll_addr, 8);
            cooked = 20;
        }
        auto view = frames::view_of(data);
        view.wire_length = static_cast<std::uint32_t>(metadata.tp_len + cooked);
        view.link = link_;
        view.protocol = ntohs(from.sll_protocol);
        view.direction = static_cast<nr::direction>(from.sll_pkttype);
        view.interface_index = from.sll_ifindex;
        if ((metadata.tp_status & TP_STATUS_VLAN_VALID) != 0)
            view.vlan = {metadata.tp_vlan_tpid, metadata.tp_vlan_tci};
        to.assign(view);
        return true;
    }

private:
    void set(int level, int name, int value) {
        require(::setsockopt(socket_, level, name, &value, sizeof value), "setsockopt");
    }

    int socket_ = -1;
    nr::link_type link_;
};

struct candidate {
    nr::filter wanted;
    kernel_filter translated;
    observer seen;
};

struct tally {
    std::size_t expressions = 0, packets = 0, tagged = 0, accepted = 0, rejected = 0, undecided = 0;
};

/// Sends all frames from left to right and compares, for each expression, what a filtered socket saw at one side with
/// what the filter says outside of the kernel of all that an unfiltered one saw there.
tally compare(lab::pair const& pair, lab::side const& at, nr::link_type link,
              std::span<char const* const> expressions) {
    std::vector<candidate> candidates;
    for (auto const* const expression : expressions)
        for (auto const snap_length : {nr::filter::whole_packet, 50U}) {
            nr::filter const wanted{expression, link, snap_length};
            auto const translated = make_kernel_filter(wanted);
            candidates.push_back({wanted, translated, {at, link, translated.program}});
        }
    observer everything{at, link};
    frames::sender const send{pair.left};

    tally result{.expressions = expressions.size()};
    std::vector<nr::owned_packet> reference;
    for (auto const& [name, data] : frames::all()) {
        send(data);
        nr::owned_packet packet;
        BOOST_REQUIRE_MESSAGE(everything.receive(packet, 2000), name);
        result.tagged += static_cast<bool>(packet->vlan);
        reference.push_back(std::move(packet));
    }
    result.packets = reference.size();
    std::this_thread::sleep_for(std::chrono::milliseconds{100});

    for (auto& [wanted, translated, seen] : candidates) {
        std::vector<nr::owned_packet> expected, got;
        for (auto const& packet : reference)
            if (auto view = packet.view(); wanted.apply(view))
                expected.emplace_back(view);
        nr::owned_packet packet;
        while (seen.receive(packet, 0)) {
            auto view = packet.view();
            bool const decided = translated.verdict.decides(view);
            result.undecided += !decided;
            if (decided || wanted.apply(view))
                got.emplace_back(view);
        }
        result.accepted += expected.size();
        result.rejected += reference.size() - expected.size();
        BOOST_TEST(std::ranges::equal(got, expected, same), wanted.expression()
                                                                << ", snap length " << wanted.snap_length() << ": "
                                                                << got.size() << " instead of " << expected.size());
    }
    BOOST_TEST_MESSAGE(result.expressions << " expressions, " << result.packets << " packets, " << result.tagged
                                          << " tagged in metadata: " << result.accepted << " accepted, "
                                          << result.rejected << " rejected, " << result.undecided << " undecided");
    return result;
}

char const* const cooked[] = {
    "",
    "udp",
    "udp port 53",
    "not udp",
    "ip6",
    "arp",
    "tcp or arp",
    "net 10.0.0.0/8",
    "len > 90",
    "ip multicast",
    "icmp6",
    "inbound",
    "outbound",
    "portrange 50-60",
    "tcp[tcpflags] & tcp-syn != 0",
    "ifindex 1",
    "ether proto 5",
    "link[0:2] = 0x8100",
    "link[0:2] = 0x88a8",
    "link[2:2] = 0",
    "link[8:2] = 1",
    "link[10] = 4",
    "link[8:4] & 0xffffff00 = 0x00010400",
    "link[6:4] > 0x10000",
    "link[20:2] = 5",
    "link[20:4] = 0x00050800",
    "link[22:2] = 0x86dd",
    "link[23:2] = 0x0045",
    "link[24] = 0x45",
    "link[18:4] = 0x00000005",
    "link[12] = 2",
    "link[link[8]] = 0",
    "len - 4 > 60",
};

} // namespace

BOOST_AUTO_TEST_CASE(tags_in_metadata, *lab::available()) {
    lab::pair const pair{lab::pair_options{}};
    auto const seen = compare(pair, pair.right, nr::link_type::ethernet, expressions::ethernet);
    BOOST_TEST(seen.expressions >= 100U);
    BOOST_TEST(seen.tagged == seen.packets * 5 / 6);
    BOOST_TEST(seen.accepted > 10000U);
}

BOOST_AUTO_TEST_CASE(tags_in_the_data_of_outgoing_packets, *lab::available()) {
    lab::pair const pair{lab::pair_options{}};
    auto const seen = compare(pair, pair.left, nr::link_type::ethernet, expressions::ethernet);
    BOOST_TEST(seen.tagged == 0U);
    BOOST_TEST(seen.accepted > 10000U);
}

BOOST_AUTO_TEST_CASE(cooked_packets, *lab::available()) {
    lab::pair const pair{lab::pair_options{}};
    for (auto const& side : {pair.left, pair.right}) {
        auto const seen = compare(pair, side, nr::link_type::linux_sll2, cooked);
        BOOST_TEST(seen.accepted > 1000U);
    }
}
