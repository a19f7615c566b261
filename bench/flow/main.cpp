// What the flow engine costs, beside the least that it could cost. Prints a table, and writes one JSON object a line
// to the file of --json.

#include "../floor/five_tuple_loop.hpp"
#include "../measure.hpp"
#include "workload.hpp"
#include <netring_asio/flow/dedup.hpp>
#include <netring_asio/flow/reassembler.hpp>
#include <netring_asio/flow/tracker.hpp>

#include <boost/program_options.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <unistd.h>

namespace {

namespace nr = netring_asio;
namespace flow = netring_asio::flow;
using namespace std::chrono_literals;

constexpr std::size_t batch_size = 256;
constexpr std::size_t frames_in_memory = (std::size_t{1} << 30) / bench::workload::stride;
constexpr std::size_t segments = 16; // of these, each measured by itself

std::uint64_t volatile sink;

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

std::uint64_t resident_bytes() {
    std::ifstream file{"/proc/self/statm"};
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

bench::nanoseconds time_of(std::function<void()> const& run) {
    auto const before = bench::thread_cpu_time();
    run();
    return bench::thread_cpu_time() - before;
}

class report {
public:
    explicit report(std::string const& file) {
        if (file.empty())
            return;
        json_.exceptions(std::ios::badbit | std::ios::failbit);
        json_.open(file);
    }

    void operator()(std::string const& what, std::size_t flows, double value, char const* unit) {
        figures_[{what, flows}] = value;
        if (json_.is_open())
            json_ << R"({"measure":")" << what << R"(","flows":)" << flows << R"(,"value":)" << value << R"(,"unit":")"
                  << unit << "\"}" << std::endl;
        std::cout << std::left << std::setw(34) << what << std::right << std::setw(10) << flows << std::setw(12)
                  << std::fixed << std::setprecision(value < 10 ? 2 : 1) << value << ' ' << unit << std::endl;
    }

    /// Whether a measure is within its bound; a missing one is.
    bool at_most(std::string const& what, std::size_t flows, double bound) {
        auto const found = figures_.find({what, flows});
        if (found == figures_.end() || found->second <= bound)
            return true;
        std::cerr << "missed: " << what << " at " << flows << " is " << found->second << ", the aim is at most "
                  << bound << '\n';
        return false;
    }
    double value(std::string const& what, std::size_t flows) const {
        auto const found = figures_.find({what, flows});
        return found == figures_.end() ? 0 : found->second;
    }

private:
    std::ofstream json_;
    std::map<std::pair<std::string, std::size_t>, double> figures_;
};

/// Consumes events as a program would that looks at each of them.
struct consumer {
    std::vector<flow::event> events;
    std::uint64_t ended = 0;
    std::uint64_t sum = 0;
    void take() {
        for (auto const& e : events)
            if (e.kind == flow::event_kind::ended) {
                ++ended;
                sum += e.stats.packets();
            }
        events.clear();
    }
};

template <class Run>
void in_batches(bench::workload const& load, std::size_t first, std::size_t last, Run run) {
    std::array<nr::packet_view, batch_size> views;
    for (auto i = first; i < last;) {
        auto const count = std::min(batch_size, last - i);
        for (std::size_t j = 0; j != count; ++j)
            views[j] = load.view(i + j);
        run(std::span{views}.first(count));
        i += count;
    }
}

void extraction(bench::workload const& load, std::size_t first, std::size_t last) {
    nr::decode::decoder const decoder;
    flow::five_tuple const extract;
    std::uint64_t sum = 0;
    nr::decode::headers headers;
    in_batches(load, first, last, [&](std::span<nr::packet_view const> views) {
        for (auto const& view : views)
            if (decoder(view, headers))
                if (auto const found = extract(headers))
                    sum += flow::detail::hash_key(found->key, 1);
    });
    sink = sink + sum;
}

/// Opens all connections of a workload; returns the longest that a batch took.
bench::nanoseconds open_all(bench::workload& load, flow::tracker<flow::five_tuple>& tracker, consumer& consume,
                            std::uint64_t& resident_before) {
    constexpr std::size_t at_once = 1 << 16;
    bench::nanoseconds worst{};
    for (std::size_t first = 0; first < load.connections(); first += at_once) {
        load.open(first, std::min(load.connections(), first + at_once));
        if (first == 0) // the frames are there, the flows not yet
            resident_before = resident_bytes();
        in_batches(load, 0, load.size(), [&](std::span<nr::packet_view const> views) {
            auto const start = bench::thread_cpu_time();
            tracker.track(views, consume.events);
            worst = std::max<bench::nanoseconds>(worst, bench::thread_cpu_time() - start);
            consume.take();
        });
    }
    if (tracker.statistics().flows != load.connections())
        throw std::runtime_error{"not every connection is in the table"};
    return worst;
}

flow::tracker_options room_for(std::size_t flows) { return flow::tracker_options{}.max_flows(flows * 2 + 1'000'000); }

/// A table that nobody said the size of beforehand.
void growth(report& told, std::size_t flows) {
    bench::workload load{flows};
    flow::tracker tracker{flow::five_tuple{}, room_for(flows)};
    consumer consume;
    std::uint64_t before = 0;
    auto const worst = open_all(load, tracker, consume, before);
    told("bytes a flow", flows, static_cast<double>(resident_bytes() - before) / static_cast<double>(flows), "B");
    told("slowest batch while growing", flows, worst.count() / 1e6, "ms");
}

void tracking(report& told, std::size_t flows) {
    if (flows >= 100'000)
        growth(told, flows);
    bench::workload load{flows};
    flow::tracker tracker{flow::five_tuple{}, room_for(flows).expected_flows(flows)};
    consumer consume;
    std::uint64_t before = 0;
    open_all(load, tracker, consume, before);
    auto const feed = [&](std::size_t first, std::size_t last) {
        in_batches(load, first, last, [&](std::span<nr::packet_view const> views) {
            tracker.track(views, consume.events);
            consume.take();
        });
    };

    load.generate(frames_in_memory);
    std::vector<double> floor;
    std::vector<double> extract;
    std::vector<double> track;
    std::vector<double> ratio;
    constexpr auto per_segment = frames_in_memory / segments;
    for (std::size_t s = 0; s != segments; ++s) {
        auto const first = s * per_segment;
        auto const last = first + per_segment;
        auto const per_packet = [](bench::nanoseconds time) { return time.count() / static_cast<double>(per_segment); };
        // Of the 1 GiB nothing is in any cache when its turn comes again.
        floor.push_back(per_packet(time_of([&] {
            std::uint64_t sum = 0;
            in_batches(load, first, last,
                       [&sum](std::span<nr::packet_view const> views) { sum += bench::five_tuple_loop(views); });
            sink = sink + sum;
        })));
        auto const other = (s + segments / 2) % segments * per_segment;
        extract.push_back(per_packet(time_of([&] { extraction(load, other, other + per_segment); })));
        track.push_back(per_packet(time_of([&] { feed(first, last); })));
        ratio.push_back(track.back() / floor.back());
    }
    told("floor: five-tuple and hash", flows, median(floor), "ns");
    told("extraction", flows, median(extract), "ns");
    told("tracking", flows, median(track), "ns");
    told("tracking to floor", flows, median(ratio), "");
    if (tracker.statistics().packets != flows * 3 + frames_in_memory || tracker.statistics().unmatched != 0)
        throw std::runtime_error{"packets were lost"};

    auto const left = tracker.statistics().flows;
    auto const time = time_of([&] {
        for (int step = 0; step != 400; ++step) {
            tracker.advance(*tracker.now() + 1s, consume.events);
            consume.take();
        }
    });
    if (tracker.statistics().flows != 0)
        throw std::runtime_error{"flows did not expire"};
    if (flows >= 100'000) // of fewer the 400 calls cost more
        told("expiry of a flow", flows, time.count() / static_cast<double>(left), "ns");
}

/// Writes a capture file of frames that are whole, for other programs, and tracks the very same frames: those that open
/// the connections, and as many again that are measured.
void same_frames(report& told, std::size_t flows, std::string const& name) {
    constexpr std::size_t count = std::size_t{1} << 22;
    bench::workload load{flows, bench::workload::whole_payload};
    flow::tracker tracker{flow::five_tuple{}, room_for(flows).expected_flows(flows)};
    consumer consume;
    std::ofstream file{name, std::ios::binary};
    auto const put = [&file](auto... words) {
        std::array<std::uint32_t, sizeof...(words)> const all{static_cast<std::uint32_t>(words)...};
        file.write(reinterpret_cast<char const*>(all.data()), sizeof all);
    };
    put(0xa1b23c4d, 0x00040002, 0, 0, bench::workload::stride, 1); // nanoseconds, version 2.4, Ethernet
    auto const write = [&](std::size_t packets) {
        for (std::size_t i = 0; i != packets; ++i) {
            auto const view = load.view(i);
            auto const time = view.time.time_since_epoch().count();
            put(time / 1'000'000'000, time % 1'000'000'000, view.data.size(), view.wire_length);
            file.write(reinterpret_cast<char const*>(view.data.data()), static_cast<std::streamsize>(view.data.size()));
        }
    };
    auto const feed = [&] {
        in_batches(load, 0, load.size(), [&](std::span<nr::packet_view const> views) {
            tracker.track(views, consume.events);
            consume.take();
        });
    };
    load.open(0, flows);
    write(load.size());
    feed();
    load.generate(count);
    write(count);
    if (!file.flush())
        throw std::runtime_error{"cannot write " + name};
    told("tracking whole frames", flows, time_of(feed).count() / static_cast<double>(count), "ns");
}

struct adder final : flow::byte_consumer {
    void data(std::uint64_t, std::span<std::byte const> bytes) override { sum += bytes.size(); }
    void gap(std::uint64_t, std::uint64_t length) override { missing += length; }
    std::uint64_t sum = 0;
    std::uint64_t missing = 0;
};

/// Segments of a stream: in order, or of each eight the first as the last.
void reassembly(report& told) {
    constexpr std::uint32_t length = 1448;
    constexpr std::uint32_t count = 1 << 20;
    std::vector<std::byte> const bytes(length);
    for (bool const in_order : {true, false}) {
        flow::reassembler stream;
        adder sum;
        stream.open(0, sum);
        nr::timestamp const now{};
        auto const time = time_of([&] {
            for (std::uint32_t i = 0; i != count; ++i) {
                auto const n = in_order ? i : (i & ~7U) | ((i + 1) & 7U);
                stream.segment(1 + n * length, bytes, 0, now, sum);
            }
        });
        if (sum.sum != std::uint64_t{count} * length || sum.missing != 0)
            throw std::runtime_error{"bytes were lost"};
        told(in_order ? "reassembly in order, segment" : "reassembly out of order, segment", 1, time.count() / count,
             "ns");
    }
}

/// Each packet at two points, at the second some packets later.
void deduplication(report& told) {
    constexpr std::size_t count = 1 << 19;
    constexpr std::size_t behind = 20;
    bench::workload load{10'000};
    load.generate(count);
    flow::dedup is_first;
    std::size_t kept = 0;
    auto const time = time_of([&] {
        for (std::size_t i = 0; i != count + behind; ++i)
            for (auto const point : {1, 2}) {
                auto const at = point == 1 ? i : i - behind;
                if (at >= count)
                    continue;
                auto view = load.view(at);
                view.interface_index = point;
                kept += is_first(view) ? 1 : 0;
            }
    });
    if (kept != count)
        throw std::runtime_error{"copies were not told from packets"};
    told("dedup, packet", 10'000, time.count() / (2.0 * count), "ns");
}

/// What each batch of a run took at best, over runs of the same batches: what made one slow in one run only, an
/// interrupt or a pause of the virtual machine, was not the engine.
class batch_times {
public:
    explicit batch_times(std::size_t most)
        : best_(most, bench::nanoseconds::max()) {}

    void next(bench::nanoseconds spent) {
        best_.at(at_) = std::min(best_[at_], spent);
        ++at_;
    }
    void again() { at_ = 0; }
    [[nodiscard]] bench::nanoseconds slowest() const {
        return *std::max_element(best_.begin(), best_.begin() + static_cast<std::ptrdiff_t>(at_));
    }

private:
    std::vector<bench::nanoseconds> best_;
    std::size_t at_ = 0;
};

struct flood_outcome {
    bench::nanoseconds spent{};
    double growth = 0;
    std::uint64_t lost = 0;
    std::uint64_t evicted = 0;
    std::uint64_t told = 0;
};

/// Attempts to connect, each from and to somebody else, while a few connections go on slowly.
flood_outcome flood_once(std::uint64_t attempts, std::size_t established, batch_times& times) {
    constexpr std::size_t table = 1'000'000;
    constexpr auto interval = 1us;
    flow::tracker tracker{flow::five_tuple{}, flow::tracker_options{}.max_flows(table)};
    bench::workload load{established};
    consumer consume;
    load.open(0, established);
    auto time = load.view(load.size() - 1).time;
    in_batches(load, 0, load.size(), [&](std::span<nr::packet_view const> views) {
        tracker.track(views, consume.events);
        consume.take();
    });
    std::vector<std::array<std::byte, 64>> frames(batch_size);
    std::vector<nr::packet_view> views(batch_size);
    flood_outcome outcome;
    std::uint64_t full_resident = 0;
    auto const spacing = static_cast<std::uint64_t>(10s / interval) / established; // each one packet per 10 s
    std::uint64_t kept = 0;
    std::uint64_t sent = 0;
    auto const before = bench::thread_cpu_time();
    for (auto& n = sent; n < attempts;) {
        for (std::size_t i = 0; i != batch_size; ++i) {
            views[i] = {};
            views[i].time = time += interval;
            if (n % spacing == 0 && kept != n / spacing + 1) {
                views[i] = load.view((kept++ % established) * 3 + 2); // the handshake's last packet again
                views[i].time = time;
                continue;
            }
            bench::write_attempt(n++, frames[i].data());
            views[i].data = std::span{frames[i]}.first(bench::attempt_length);
            views[i].wire_length = bench::attempt_length;
        }
        auto const start = bench::thread_cpu_time();
        tracker.track(views, consume.events);
        times.next(bench::thread_cpu_time() - start);
        for (auto const& e : consume.events)
            if (e.kind == flow::event_kind::ended) {
                outcome.lost += e.stats.reverse.packets != 0 ? 1 : 0;
                outcome.told += e.reason == flow::end_reason::evicted ? 1 : 0;
            }
        consume.events.clear();
        if (full_resident == 0 && n > 2 * table)
            full_resident = resident_bytes();
    }
    outcome.spent = bench::thread_cpu_time() - before;
    auto const statistics = tracker.statistics();
    outcome.growth = static_cast<double>(resident_bytes()) - static_cast<double>(full_resident);
    outcome.evicted = statistics.evicted;
    if (statistics.started != sent + established || statistics.started - statistics.ended != statistics.flows)
        throw std::runtime_error{"flows and events do not agree"};
    return outcome;
}

void flood(report& told, std::uint64_t attempts, std::size_t established) {
    batch_times times{attempts * 2 / batch_size + 1};
    auto const outcome = flood_once(attempts, established, times);
    times.again();
    flood_once(attempts, established, times);
    told("flood: packet, with making it", attempts, outcome.spent.count() / static_cast<double>(attempts), "ns");
    told("flood: slowest batch", attempts, times.slowest().count() / 1e6, "ms");
    told("flood: growth once full", attempts, outcome.growth / 1024 / 1024, "MiB");
    told("flood: established flows lost", attempts, static_cast<double>(outcome.lost), "");
    told("flood: evictions not told", attempts, static_cast<double>(outcome.evicted - outcome.told), "");
    told("flood: evictions", attempts, static_cast<double>(outcome.evicted), "");
}

bool aims_are_met(report& told, std::uint64_t attempts) {
    bool met = true;
    met &= told.at_most("tracking to floor", 100'000, 2.5);
    met &= told.at_most("tracking to floor", 1'000'000, 4);
    if (auto const base = told.value("tracking", 1'000'000); base != 0)
        met &= told.at_most("tracking", 10'000'000, base * 1.5);
    for (std::size_t flows = 100'000; flows <= 10'000'000; flows *= 10) {
        met &= told.at_most("bytes a flow", flows, 256);
        met &= told.at_most("slowest batch while growing", flows, 1);
    }
    met &= told.at_most("flood: established flows lost", attempts, 0);
    met &= told.at_most("flood: evictions not told", attempts, 0);
    met &= told.at_most("flood: growth once full", attempts, 16);
    met &= told.at_most("flood: slowest batch", attempts, 1);
    return met;
}

} // namespace

int main(int argc, char** argv) {
    namespace po = boost::program_options;
    try {
        po::options_description options{"bench.flow: what the flow engine costs"};
        std::vector<std::size_t> flows{64, 10'000, 100'000, 1'000'000, 10'000'000};
        std::uint64_t attempts = 50'000'000;
        // clang-format off
        options.add_options()
            ("help", "print this and exit")
            ("json", po::value<std::string>()->default_value(""), "write one JSON object a line to this file")
            ("check", "fail where an aim is missed")
            ("frames", po::value<std::string>(), "write a capture file, and measure tracking of it instead")
            ("flows", po::value(&flows)->multitoken(), "table sizes to measure, 0 for none")
            ("attempts", po::value(&attempts)->default_value(attempts), "packets of the flood, 0 for none");
        // clang-format on
        po::variables_map values;
        po::store(po::parse_command_line(argc, argv, options), values);
        po::notify(values);
        if (values.count("help") != 0) {
            std::cout << options;
            return EXIT_SUCCESS;
        }
        bench::pin_to(bench::receiver_processor);
        report told{values["json"].as<std::string>()};
        if (values.count("frames") != 0) {
            same_frames(told, flows.front(), values["frames"].as<std::string>());
            return EXIT_SUCCESS;
        }
        for (auto const count : flows)
            if (count != 0)
                tracking(told, count);
        reassembly(told);
        deduplication(told);
        if (attempts != 0)
            flood(told, attempts, 10'000);
        if (values.count("check") != 0 && !aims_are_met(told, attempts))
            return EXIT_FAILURE;
        return EXIT_SUCCESS;
    } catch (std::exception const& e) {
        std::cerr << "bench.flow: " << e.what() << '\n';
        return EXIT_FAILURE;
    }
}
