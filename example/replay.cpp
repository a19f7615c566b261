// Sends the packets of a capture file on an interface: as recorded, faster or slower, at a rate, or as fast as it goes.

#include <netring_asio/injector.hpp>
#include <netring_asio/pacer.hpp>
#include <netring_asio/pcap_source.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/program_options.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iomanip>
#include <iostream>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace po = boost::program_options;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr auto tuple = net::as_tuple(net::use_awaitable);

/// What became of the packets of the file.
struct totals {
    std::uint64_t sent = 0, bytes = 0;
    std::uint64_t truncated = 0; // left out: not all of them is in the file
    std::uint64_t unfit = 0;     // left out: too long or too short for the interface
};

class player {
public:
    player(net::io_context& context, nr::pcap_source_options const& source, nr::injector_options const& injector,
           nr::pacer_options const& pacer)
        : options_{source}
        , source_{context, source}
        , injector_{context, injector}
        , pacer_{context, pacer}
        , start_{clock_type::now()} {}

    net::awaitable<void> play(std::uint64_t times) {
        while (times-- != 0 && !stopped_) {
            co_await play_once();
            source_.close();
            if (times != 0 && !stopped_)
                source_.open(options_);
        }
        // What is in the ring still goes out, unless the second signal comes first.
        auto const [error, result] = co_await injector_.async_drain(tuple);
        if (error && error != net::error::operation_aborted)
            throw nr::system_error{error, injector_.options().interface_name()};
    }

    /// Sends nothing more, and then not even what is in the ring.
    void stop() {
        if (stopped_)
            injector_.cancel();
        stopped_ = true;
        source_.cancel();
        pacer_.cancel();
    }

    void report(std::ostream& out) const {
        auto const seconds = std::chrono::duration<double>{clock_type::now() - start_}.count();
        out << std::fixed << std::setprecision(1) << seconds << " s: " << totals_.sent << " packets, " << totals_.bytes
            << " bytes, " << static_cast<double>(totals_.sent) / seconds << " packets/s, "
            << static_cast<double>(8 * totals_.bytes) / seconds / 1e6 << " Mbit/s";
        if (totals_.truncated != 0)
            out << "; " << totals_.truncated << " left out as truncated";
        if (totals_.unfit != 0)
            out << "; " << totals_.unfit << " left out as too long or too short";
        if (auto const statistics = injector_.statistics(); statistics.rejected != 0)
            out << "; " << statistics.rejected << " refused by the kernel";
        out << '\n';
    }

private:
    net::awaitable<void> play_once() {
        nr::packet_batch batch;
        while (!stopped_) {
            auto const [error, count] = co_await source_.async_receive(batch, tuple);
            if (error == net::error::eof || error == net::error::operation_aborted)
                co_return;
            if (error)
                throw nr::system_error{error, options_.reader().path().string()};
            co_await send(batch);
        }
    }

    /// Sends those together that may go together.
    net::awaitable<void> send(nr::packet_batch const& batch) {
        frames_.clear();
        for (auto const& packet : batch) {
            if (packet.link != injector_.link())
                throw std::runtime_error{"the packets do not begin with the link header of the interface"};
            if (packet.truncated()) {
                ++totals_.truncated;
                continue;
            }
            if (!pacer_.try_acquire(1, packet.data.size())) {
                co_await send_frames();
                auto const [error] = co_await pacer_.async_acquire(1, packet.data.size(), tuple);
                if (error)
                    co_return; // stopped
            }
            frames_.push_back(net::buffer(packet.data));
        }
        co_await send_frames();
    }

    net::awaitable<void> send_frames() {
        for (std::span<net::const_buffer const> left{frames_}; !left.empty() && !stopped_;) {
            auto const [error, count] = co_await injector_.async_send_frames(left, tuple);
            totals_.sent += count;
            totals_.bytes += net::buffer_size(left.first(count));
            left = left.subspan(count);
            if (error == nr::error::frame_too_long || error == nr::error::frame_too_short) {
                ++totals_.unfit;
                left = left.subspan(1);
            } else if (error == net::error::operation_aborted)
                break;
            else if (error)
                throw nr::system_error{error, injector_.options().interface_name()};
        }
        frames_.clear();
    }

    nr::pcap_source_options options_;
    nr::pcap_source source_;
    nr::injector injector_;
    nr::pacer pacer_;
    std::vector<net::const_buffer> frames_;
    totals totals_;
    clock_type::time_point start_;
    bool stopped_ = false;
};

net::awaitable<void> report_each_second(player const& player) {
    net::steady_timer timer{co_await net::this_coro::executor, clock_type::now()};
    for (;;) {
        timer.expires_at(timer.expiry() + std::chrono::seconds{1});
        co_await timer.async_wait(net::use_awaitable);
        player.report(std::cerr);
    }
}

net::awaitable<void> stop_on_signals(player& player) {
    net::signal_set signals{co_await net::this_coro::executor, SIGINT, SIGTERM};
    for (;;) {
        co_await signals.async_wait(net::use_awaitable);
        player.stop();
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        po::options_description options{"replay: sends the packets of a capture file on an interface"};
        // clang-format off
        options.add_options()
            ("help", "print this and exit")
            ("read", po::value<std::string>(), "pcap or pcapng file, - is standard input")
            ("interface", po::value<std::string>(), "network interface to send on")
            ("filter", po::value<std::string>()->default_value(""), "send only what matches, see pcap-filter(7)")
            ("speed", po::value<double>(), "times as fast as recorded, 0.001 to 1000000; 1 is the default")
            ("max-gap", po::value<double>()->default_value(60), "the longest recorded pause to keep, in seconds")
            ("pps", po::value<std::uint64_t>(), "packets a second, in place of the speed recorded")
            ("bps", po::value<std::uint64_t>(), "bits a second, in place of the speed recorded")
            ("full-speed", "as fast as it goes")
            ("loop", po::value<std::uint64_t>()->default_value(1), "times to send the file, 0 for ever")
            ("duration", po::value<unsigned>()->default_value(0, "no limit"), "seconds after which to stop")
            ("qdisc-bypass", "pass the queueing discipline by")
            ("quiet", "no progress each second");
        // clang-format on
        po::variables_map values;
        po::store(po::parse_command_line(argc, argv, options), values);
        if (values.count("help") != 0) {
            std::cout << options;
            return 0;
        }
        if (values.count("read") == 0 || values.count("interface") == 0)
            throw std::invalid_argument{"give --read FILE and --interface NAME"};
        bool const paced = values.count("pps") + values.count("bps") != 0;
        if (values.count("speed") + values.count("full-speed") + (paced ? 1 : 0) > 1)
            throw std::invalid_argument{"give one of --speed, --full-speed, and rates"};
        auto const loops = values["loop"].as<std::uint64_t>();
        auto const path = values["read"].as<std::string>();
        if (path == "-" && loops != 1)
            throw std::invalid_argument{"standard input comes only once: no --loop"};

        auto source = nr::pcap_source_options{path}.filter(values["filter"].as<std::string>());
        if (!paced && values.count("full-speed") == 0)
            source.speed(values.count("speed") != 0 ? values["speed"].as<double>() : 1)
                .max_gap(std::chrono::duration_cast<std::chrono::nanoseconds>(
                    std::chrono::duration<double>{values["max-gap"].as<double>()}));
        nr::pacer_options pacer;
        if (values.count("pps") != 0)
            pacer.packets_per_second(values["pps"].as<std::uint64_t>());
        if (values.count("bps") != 0)
            pacer.bits_per_second(values["bps"].as<std::uint64_t>());
        auto const injector =
            nr::injector_options{values["interface"].as<std::string>()}.qdisc_bypass(values.count("qdisc-bypass") != 0);

        net::io_context context{1};
        player player{context, source, injector, pacer};
        net::steady_timer end{context};
        if (auto const seconds = values["duration"].as<unsigned>(); seconds != 0) {
            end.expires_after(std::chrono::seconds{seconds});
            end.async_wait([&](nr::error_code error) { error ? void() : player.stop(); });
        }
        std::exception_ptr failure;
        net::co_spawn(context, stop_on_signals(player), [](std::exception_ptr) {});
        if (values.count("quiet") == 0)
            net::co_spawn(context, report_each_second(player), [](std::exception_ptr) {});
        net::co_spawn(context, player.play(loops != 0 ? loops : std::numeric_limits<std::uint64_t>::max()),
                      [&](std::exception_ptr error) {
                          failure = error;
                          context.stop();
                      });
        context.run();
        player.report(std::cout);
        if (failure)
            std::rethrow_exception(failure);
    } catch (std::exception const& e) {
        std::cout.flush();
        std::cerr << "replay: " << e.what() << '\n';
        return 1;
    }
}
