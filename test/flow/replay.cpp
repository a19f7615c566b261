// Replays the captures of the shared traces across a veth pair: the same flows and streams must come out as from the
// files, times excepted.

#include "pcap/files.hpp"
#include <netring_asio/afpacket/rx_ring.hpp>
#include <netring_asio/flow/stream_pair.hpp>
#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/pcap/reader.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstring>
#include <lab/lab.hpp>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <unordered_map>

#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nr = netring_asio;
namespace engine = netring_asio::flow; // an observer has a `flow` of its own
namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

/// Captures whose flows end by a timeout at recorded speed; they are compared with the file read as if at one moment.
std::map<std::string, std::string> const depend_on_time{
    {"pcpp_ip6_fragments.pcap", "pauses longer than UDP's timeout"},
    {"pcpp_GrePackets.pcap", "pauses longer than the timeout of other protocols"},
    {"ndpi_icmp-tunnel.pcap", "pauses longer than the timeout of other protocols"},
    {"tcpdump_IGMP_V2.pcap", "pauses longer than the timeout of other protocols"},
    {"pcpp_ipv6_options.pcap", "pauses longer than the timeout of other protocols"},
    {"zeek_Teredo.pcap", "resets that come longer after the end than that is remembered"},
};

constexpr unsigned largest_mtu = 65535;

struct runs final : engine::byte_consumer {
    void data(std::uint64_t offset, std::span<std::byte const> bytes) override {
        if (parts.empty() || after_gap)
            parts.emplace_back(offset, std::string{});
        after_gap = false;
        parts.back().second += files::text(bytes);
    }
    void gap(std::uint64_t, std::uint64_t) override { after_gap = true; }
    std::vector<std::pair<std::uint64_t, std::string>> parts;
    bool after_gap = false;
};

struct results {
    std::multiset<std::string> flows;
    std::multiset<std::vector<std::pair<std::uint64_t, std::string>>> streams;
};

/// Everything that is to be the same: flows with counters, states and histories, and the bytes of streams.
class analysis final : engine::packet_observer<engine::five_tuple_key> {
public:
    analysis() { tracker_.observe(this); }

    void add(nr::packet_batch const& packets) { tracker_.track(packets, events_); }
    /// As if all packets had come at one moment.
    void add_at_once(nr::packet_batch const& packets) {
        for (auto packet : packets) {
            packet.time = {};
            tracker_.track(std::span{&packet, 1}, events_);
        }
    }

    results finish() {
        while (tracker_.flush(events_)) {
        }
        for (auto const& e : events_)
            if (e.kind == engine::event_kind::ended || e.kind == engine::event_kind::late)
                results_.flows.insert(line(e));
        return std::move(results_);
    }

private:
    struct connection {
        engine::stream_pair streams;
        std::array<runs, 2> bytes;
    };

    void packet(flow const& of, nr::decode::headers const& h, nr::timestamp now) override {
        if (!h.has_tcp)
            return;
        auto& c = connections_[of.id];
        c.streams.packet(h, of.orientation, now, c.bytes[0], c.bytes[1]);
    }
    void forget(std::uint64_t id) override {
        auto const at = connections_.find(id);
        if (at == connections_.end())
            return;
        auto& c = at->second;
        c.streams.finish(c.bytes[0], c.bytes[1]);
        for (auto& b : c.bytes)
            if (!b.parts.empty())
                results_.streams.insert(std::move(b.parts));
        connections_.erase(at);
    }

    static std::string line(engine::event const& e) {
        std::ostringstream out;
        print(out, e.key, e.orientation);
        out << ' ' << e.kind << ' ' << e.stats.state << ' ' << e.stats.history;
        for (auto const* d : {&e.stats.forward, &e.stats.reverse})
            out << " | " << d->packets << ' ' << d->wire_bytes << ' ' << d->ip_bytes << ' ' << d->payload_bytes << ' '
                << d->retransmitted << ' ' << d->out_of_order << ' ' << d->missed_bytes << ' '
                << static_cast<unsigned>(d->tcp_flags);
        return out.str();
    }

    engine::tracker<engine::five_tuple> tracker_{engine::five_tuple{}};
    std::vector<engine::event> events_;
    std::unordered_map<std::uint64_t, connection> connections_;
    results results_;
};

/// A packet socket on the left side, and a ring on the right one.
class wire {
public:
    wire()
        : net_{lab::pair_options{}.mtu(largest_mtu)} {
        net_.left.enter([&] {
            out_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
            sockaddr_ll address{};
            address.sll_family = AF_PACKET;
            address.sll_ifindex = static_cast<int>(net_.left.index());
            if (::bind(out_, reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0)
                throw std::runtime_error{"bind"};
        });
        for (auto const* side : {&net_.left, &net_.right})
            side->enter([&] { no_gro(side->name()); });
        net_.right.enter([&] {
            ring_.open(nr::capture_options{net_.right.name()}
                           .ignore_outgoing(true)
                           .block_size(4 << 20)
                           .block_count(8)
                           .block_timeout(1ms));
        });
    }
    ~wire() { ::close(out_); }
    wire(wire const&) = delete;
    wire& operator=(wire const&) = delete;

    void send(std::span<std::byte const> frame) {
        if (::send(out_, frame.data(), frame.size(), 0) != static_cast<ssize_t>(frame.size()))
            throw std::runtime_error{std::string{"send: "} + std::strerror(errno)};
        ++sent_;
    }

    /// Waits until everything sent was received, and gives it to the analysis.
    void receive_all(analysis& to) {
        nr::packet_batch batch;
        nr::error_code error;
        while (received_ < sent_) {
            if (ring_.receive(batch, 2s, error) == 0)
                throw std::runtime_error{"not all that was sent was received"};
            received_ += batch.size();
            to.add(batch);
        }
    }

    std::uint64_t sent() const noexcept { return sent_; }
    std::uint64_t received() const noexcept { return received_; }
    std::uint64_t dropped() const noexcept { return ring_.statistics().dropped; }
    /// By the kernel's own count at the receiving end.
    std::uint64_t arrived() const { return net_.right.counters().rx_packets; }

private:
    static void no_gro(std::string const& name) {
        ethtool_value off{ETHTOOL_SGRO, 0};
        ifreq request{};
        name.copy(request.ifr_name, IFNAMSIZ - 1);
        request.ifr_data = reinterpret_cast<char*>(&off);
        auto const fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        auto const done = ::ioctl(fd, SIOCETHTOOL, &request);
        ::close(fd);
        if (done != 0)
            throw std::runtime_error{"ETHTOOL_SGRO"};
    }

    lab::pair net_;
    int out_ = -1;
    nr::afpacket::rx_ring ring_;
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
};

/// Why a capture cannot be sent as it is; nothing if it can.
std::string obstacle(fs::path const& file) {
    nr::error_code error;
    nr::pcap::reader reader;
    reader.open(nr::pcap::reader_options{file}, error);
    nr::packet_batch batch;
    std::string found;
    while (!error && found.empty() && reader.read(batch, error) != 0)
        for (auto const& packet : batch) {
            if (packet.link != nr::link_type::ethernet)
                found = "not Ethernet";
            else if (packet.truncated())
                found = "truncated";
            else if (packet.data.size() < 14)
                found = "a frame shorter than its header";
            else if (packet.data.size() > largest_mtu + 14)
                found = "a frame beyond the MTU";
            if (!found.empty())
                break;
        }
    if (found.empty() && error && error != nr::error::truncated_capture_file)
        return error.message();
    return found;
}

} // namespace

BOOST_AUTO_TEST_CASE(captures_replayed_across_a_veth_pair_give_the_same, *files::has_traces() * lab::available()) {
    wire net;
    std::map<std::string, unsigned> left_out;
    unsigned equal = 0;
    unsigned total = 0;
    std::uint64_t flows = 0;
    std::uint64_t streams = 0;
    for (auto const& [file, count] : files::traces()) {
        ++total;
        if (auto const why = obstacle(file); !why.empty()) {
            ++left_out[why];
            BOOST_TEST_MESSAGE("left out: " << file.filename().string() << ": " << why);
            continue;
        }
        bool const timed = depend_on_time.contains(file.filename());
        analysis from_file;
        analysis live;
        nr::pcap::reader reader{nr::pcap::reader_options{file}};
        nr::packet_batch batch;
        nr::error_code error;
        while (reader.read(batch, error) != 0) {
            timed ? from_file.add_at_once(batch) : from_file.add(batch);
            unsigned in_flight = 0;
            for (auto const& packet : batch) {
                net.send(packet.data);
                if (++in_flight % 128 == 0) // a receiver's backlog holds 1000
                    net.receive_all(live);
            }
            net.receive_all(live);
        }
        auto const expected = from_file.finish();
        auto const got = live.finish();
        bool const same = expected.flows == got.flows && expected.streams == got.streams;
        BOOST_TEST_CONTEXT(file.string()) { BOOST_TEST(same); }
        if (!same)
            for (auto const* side : {&expected, &got})
                for (auto const& line : side->flows)
                    if (!(side == &expected ? got : expected).flows.contains(line))
                        BOOST_TEST_MESSAGE((side == &expected ? "file: " : "live: ") << line);
        equal += same ? 1 : 0;
        flows += expected.flows.size();
        streams += expected.streams.size();
    }
    BOOST_TEST(net.sent() == net.received());
    BOOST_TEST(net.sent() == net.arrived());
    BOOST_TEST(net.dropped() == 0u);
    std::string others;
    for (auto const& [why, count] : left_out)
        others += ", " + std::to_string(count) + " left out (" + why + ")";
    BOOST_TEST_MESSAGE("figure: " << equal << " of " << total << " captures replayed give the same " << flows
                                  << " flows and " << streams << " streams, " << depend_on_time.size()
                                  << " of them as read without their pauses" << others << "; " << net.sent()
                                  << " frames sent, received and counted by the kernel");
}
