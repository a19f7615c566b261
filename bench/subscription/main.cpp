// What subscriptions cost over tracking alone, where none of them matches.

#include "../flow/workload.hpp"
#include "../measure.hpp"
#include "pushed_down.hpp"
#include <netring_asio/flow/tracker.hpp>
#include <netring_asio/subscription/engine.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace nr = netring_asio;
namespace sub = netring_asio::subscription;

constexpr std::size_t connections = 100'000;
constexpr std::size_t packets = 1'000'000;
constexpr std::size_t batch_size = 256;
constexpr double aim = 25; // ns a packet over tracking, of ten subscriptions

struct memory final : nr::packet_owner {
    void recycle() noexcept override {}
};

/// What a candidate does with a batch.
using candidate = std::function<void(nr::packet_batch const&)>;

candidate tracking() {
    auto tracker = std::make_shared<nr::flow::tracker<nr::flow::five_tuple>>(nr::flow::five_tuple{});
    auto events = std::make_shared<std::vector<nr::flow::event>>();
    return [=](nr::packet_batch const& batch) {
        tracker->track(batch, *events);
        events->clear();
    };
}

/// Ports, prefixes, names and flags, in turn; `of_frames` has those that each frame has to be looked at for.
std::string expression(std::size_t number, bool of_frames) {
    auto const n = std::to_string(number + 1);
    if (of_frames)
        return "tcp.window = " + n;
    switch (number % 5) {
    case 0:
        return "tcp.port = " + n;
    case 1:
        return "ipv4.addr = 203.0." + std::to_string(number % 256) + ".0/24";
    case 2:
        return "tls.sni ~ '(^|\\.)name" + n + "\\.example$'";
    case 3:
        return "udp.port in {" + n + ", 53} or icmp";
    default:
        return "http.host = 'name" + n + "' and tcp.port != 80";
    }
}

candidate subscribed(std::size_t count, bool of_frames) {
    auto engine = std::make_shared<sub::engine>();
    auto filled = std::make_shared<sub::engine::event_list>();
    for (std::size_t i = 0; i != count; ++i)
        engine->subscribe(sub::packets{sub::expression{expression(i, of_frames)}});
    return [=](nr::packet_batch const& batch) {
        engine->track(batch, *filled);
        filled->clear();
    };
}

} // namespace

/// bench.subscription [ROUNDS [--check | COLUMN...]], or bench.subscription ROUNDS pushed-down
int main(int count, char** arguments) {
    int const rounds = count > 1 ? std::stoi(arguments[1]) : 20;
    bool const check = count > 2 && arguments[2] == std::string_view{"--check"};
    std::vector<std::string> const only{arguments + std::min(count, check ? 3 : 2), arguments + count};
    if (!only.empty() && only.front() == "pushed-down")
        return bench::show_push_down(rounds), 0;
    struct column {
        std::string name;
        candidate run;
        std::vector<double> costs;
    };
    std::vector<column> columns;
    auto const add = [&](std::string const& name, auto make) {
        if (only.empty() || columns.empty() || std::ranges::find(only, name) != only.end())
            columns.push_back({name, make(), {}});
    };
    add("tracking alone", tracking);
    add("tracking alone, again", tracking);
    for (auto const n : {0U, 1U, 10U, 100U})
        add(std::to_string(n) + " subscriptions", [n] { return subscribed(n, false); });
    for (auto const n : {1U, 10U, 100U})
        add(std::to_string(n) + ", looking at each frame", [n] { return subscribed(n, true); });
    bench::workload work{connections};
    memory owner;
    std::vector<nr::packet_view> views;
    for (int round = -1; round != rounds; ++round) {
        work.generate(packets);
        views.clear();
        for (std::size_t i = 0; i != work.size(); ++i)
            views.push_back(work.view(i));
        for (auto& c : columns) {
            auto const before = bench::thread_cpu_time();
            for (std::size_t i = 0; i < views.size(); i += batch_size) {
                std::span const some{views.data() + i, std::min(batch_size, views.size() - i)};
                c.run(nr::packet_batch{some, nr::packet_owner_ptr{&owner}});
            }
            auto const spent = bench::thread_cpu_time() - before;
            if (round >= 0) // the first fills the tables
                c.costs.push_back(static_cast<double>(spent.count()) / static_cast<double>(views.size()));
        }
    }
    auto const median = [](std::vector<double> values) {
        std::ranges::sort(values);
        return values[values.size() / 2];
    };
    std::cout << std::fixed << std::setprecision(1);
    bool held = true;
    for (auto const& c : columns) {
        std::vector<double> over;
        for (std::size_t i = 0; i != c.costs.size(); ++i)
            over.push_back(c.costs[i] - columns.front().costs[i]);
        std::cout << "figure: " << c.name << ": " << median(c.costs) << " ns a packet, " << median(over)
                  << " over tracking\n";
        held = held && (c.name != "10 subscriptions" || median(over) < aim);
    }
    return check && !held ? 1 : 0;
}
