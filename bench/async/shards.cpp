#include "../flow/workload.hpp"
#include "../measure.hpp"
#include "ready_source.hpp"
#include "subjects.hpp"
#include <netring_asio/flow_stream.hpp>
#include <netring_asio/pcap/reader.hpp>
#include <netring_asio/pcap/writer.hpp>
#include <netring_asio/shards.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <new>
#include <string_view>
#include <system_error>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {
namespace {

namespace net = boost::asio;
using executor = net::io_context::executor_type;
using source = ready_source<executor>;

constexpr std::size_t packet_count = 1'500'000, flows = 20'000, batch_size = 256;
constexpr int rounds = 9;

/// A file's packets in memory, as a ring that it was played into would have them.
struct memory_ring {
    std::vector<std::byte> bytes;
    std::vector<nr::packet_view> packets;
};

/// Both directions of a flow go to the same share.
std::size_t share_of(nr::packet_view const& packet, std::size_t shares) {
    bool const four = packet.data[12] == std::byte{0x08};
    std::uint64_t sum = 0;
    for (std::size_t i = four ? 26 : 22, end = four ? 34 : 54; i != end; i += 2)
        sum += std::to_integer<std::uint64_t>(packet.data[i]) << 8 | std::to_integer<std::uint64_t>(packet.data[i + 1]);
    return static_cast<std::size_t>(sum * 0x9e3779b97f4a7c15U >> 33) % shares;
}

std::vector<memory_ring> play(std::filesystem::path const& file, std::size_t shares) {
    std::vector<memory_ring> result(shares);
    for (auto& ring : result)
        ring.bytes.reserve(packet_count * workload::stride);
    nr::pcap::reader from{nr::pcap::reader_options{file}};
    nr::packet_batch batch;
    while (from.read(batch))
        for (auto packet : batch) {
            auto& ring = result[share_of(packet, shares)];
            auto const at = ring.bytes.size();
            ring.bytes.insert(ring.bytes.end(), packet.data.begin(), packet.data.end());
            packet.data = {ring.bytes.data() + at, packet.data.size()};
            ring.packets.push_back(packet);
        }
    return result;
}

struct result {
    std::uint64_t packets = 0, ended = 0, keys = 0;
    void operator+=(result const& other) {
        packets += other.packets;
        ended += other.ended;
        keys += other.keys;
    }
    friend bool operator==(result const&, result const&) = default;
};

/// Tracks each share on a shard of its own. `start` is called when all are there, and the time is taken from then on.
template <class Start>
result track(std::span<memory_ring const* const> shares, int first_processor, Start start) {
    std::vector<int> processors;
    for (std::size_t i = 0; i != shares.size(); ++i)
        processors.push_back(first_processor + static_cast<int>(i));
    nr::shards group{nr::shards_options{}.count(shares.size()).processors(processors),
                     [&](net::io_context& context, std::size_t i) {
                         return source{context.get_executor(), shares[i]->packets, batch_size};
                     }};
    std::vector<result> found(shares.size());
    start();
    group.start([&](nr::shard<source> self) -> net::awaitable<void> {
        nr::flow_stream events_of{self.source()};
        flow::event_batch events;
        result mine;
        for (;;) {
            auto const [ec, n] = co_await events_of.async_receive(events, net::as_tuple(net::use_awaitable));
            for (auto const& e : events)
                if (e.kind == flow::event_kind::ended) {
                    ++mine.ended;
                    mine.packets += e.stats.packets();
                    mine.keys += std::hash<std::string_view>{}(
                        {reinterpret_cast<char const*>(&e.key), sizeof e.key}); // it has no padding
                }
            if (ec)
                break;
        }
        found[self.index()] = mine;
    });
    group.wait();
    result all;
    for (auto const& f : found)
        all += f;
    return all;
}

double now() { return seconds{read_clock(CLOCK_MONOTONIC)}.count(); }

/// Two processes that begin at the same time, each with a shard of its own.
double two_processes(std::span<memory_ring const* const> shares, result& all) {
    struct meeting {
        std::atomic<int> there{0};
        std::array<double, 2> began{}, ended{};
        std::array<result, 2> found{};
    };
    auto* const memory = ::mmap(nullptr, sizeof(meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::system_error{errno, std::generic_category(), "mmap"};
    auto& shared = *::new (memory) meeting;
    for (std::size_t i = 0; i != 2; ++i)
        if (auto const child = ::fork(); child == 0) {
            auto wait = [&] {
                ++shared.there;
                while (shared.there != 2) {
                }
                shared.began[i] = now();
            };
            shared.found[i] = track(shares.subspan(i, 1), static_cast<int>(i), wait);
            shared.ended[i] = now();
            ::_exit(0);
        } else if (child < 0)
            throw std::system_error{errno, std::generic_category(), "fork"};
    for (int i = 0; i != 2; ++i)
        ::wait(nullptr);
    all = shared.found[0];
    all += shared.found[1];
    return std::max(shared.ended[0], shared.ended[1]) - std::min(shared.began[0], shared.began[1]);
}

double median_of(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

} // namespace

outcome measure_shards() {
    auto const file = std::filesystem::temp_directory_path() / ("bench.shards." + std::to_string(::getpid()) + ".pcap");
    {
        workload load{flows, workload::whole_payload};
        load.generate(packet_count);
        nr::pcap::writer to{nr::pcap::writer_options{file}};
        for (std::size_t i = 0; i != load.size(); ++i)
            to.write(load.view(i));
    }
    auto const whole = play(file, 1), halves = play(file, 2);
    std::filesystem::remove(file);
    std::array const one{&whole[0]};
    std::array const two{&halves[0], &halves[1]};

    outcome all;
    std::vector<double> speed_up, of_independent, alone_rate, two_rate, processes_rate;
    for (int i = 0; i != rounds; ++i) {
        double began = 0;
        auto const start = [&] { began = now(); };
        auto const expected = track(one, 0, start);
        auto const alone = now() - began;
        auto const found = track(two, 0, start);
        auto const together = now() - began;
        result apart_result;
        auto const apart = two_processes(two, apart_result);
        all.right = all.right && expected == found && expected == apart_result;
        speed_up.push_back(alone / together);
        of_independent.push_back(apart / together);
        alone_rate.push_back(packet_count / alone / 1e6);
        two_rate.push_back(packet_count / together / 1e6);
        processes_rate.push_back(packet_count / apart / 1e6);
    }
    all.met = median_of(speed_up) >= 1.7 || median_of(of_independent) >= 0.95;
    std::cout << "flow tracking of " << packet_count << " packets of " << flows
              << " connections, from a file played into memory\n"
              << std::fixed << std::setprecision(2) << "  one shard                     " << median_of(alone_rate)
              << " M packets/s\n  two shards                    " << median_of(two_rate) << " M packets/s, "
              << median_of(speed_up) << " of one\n  two independent processes     " << median_of(processes_rate)
              << " M packets/s; the shards reach " << 100 * median_of(of_independent)
              << " % of it\n  flows, packets and keys of all three are " << (all.right ? "the same" : "DIFFERENT")
              << "\n  aim: 1.7 of one, or 95 % of two processes, " << (all.met ? "met\n" : "MISSED\n");
    return all;
}

} // namespace bench
