#include "receivers.hpp"

#include <netring_asio/capture.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <stdexcept>

#include <pcap/pcap.h>

namespace bench {
namespace {

namespace net = boost::asio;
namespace nr = netring_asio;

/// Captures with the low-latency profile.
class capture_receiver : public latency_receiver {
public:
    capture_receiver(std::string const& interface, bool spins)
        : capture_{context_, nr::capture_options{interface}.profile(nr::capture_profile::low_latency)}
        , spins_{spins} {}

    void run(std::function<bool(std::int64_t)> const& sample) override {
        if (!spins_) {
            receive(sample);
            context_.run();
            return;
        }
        for (bool more = true; more; context_.poll())
            for (int budget = 1000; more && budget != 0; --budget)
                if (capture_.try_receive(batch_))
                    more = take(sample);
    }

protected:
    bool take(std::function<bool(std::int64_t)> const& sample) {
        bool more = true;
        for (auto const packet : batch_)
            more = more && sample(age_of(packet.data.data()));
        return more;
    }
    void receive(std::function<bool(std::int64_t)> const& sample) {
        capture_.async_receive(batch_, [&](nr::error_code ec, std::size_t) {
            if (!ec && take(sample))
                receive(sample);
        });
    }

    net::io_context context_{1};
    nr::basic_capture<net::io_context::executor_type> capture_;
    nr::packet_batch batch_;
    bool spins_;
};

class coroutine_receiver final : public capture_receiver {
public:
    explicit coroutine_receiver(std::string const& interface)
        : capture_receiver{interface, false} {}

    void run(std::function<bool(std::int64_t)> const& sample) override {
        net::co_spawn(
            context_,
            [&]() -> net::awaitable<void> {
                do
                    co_await capture_.async_receive(batch_, net::use_awaitable);
                while (take(sample));
            },
            net::detached);
        context_.run();
    }
};

/// libpcap, which gives each packet at once if asked.
class pcap_receiver final : public latency_receiver {
public:
    explicit pcap_receiver(std::string const& interface) {
        char error[PCAP_ERRBUF_SIZE];
        handle_ = ::pcap_create(interface.c_str(), error);
        if (handle_ == nullptr || ::pcap_set_immediate_mode(handle_, 1) != 0 ||
            ::pcap_set_buffer_size(handle_, 8 << 20) != 0 || ::pcap_set_snaplen(handle_, 2000) != 0 ||
            ::pcap_activate(handle_) < 0)
            throw std::runtime_error{"pcap"};
    }
    ~pcap_receiver() override { ::pcap_close(handle_); }

    void run(std::function<bool(std::int64_t)> const& sample) override {
        struct state {
            std::function<bool(std::int64_t)> const* sample;
            pcap_t* handle;
        } with{&sample, handle_};
        ::pcap_loop(
            handle_, -1,
            [](u_char* user, pcap_pkthdr const*, u_char const* bytes) {
                auto const& s = *reinterpret_cast<state*>(user);
                if (!(*s.sample)(age_of(reinterpret_cast<std::byte const*>(bytes))))
                    ::pcap_breakloop(s.handle);
            },
            reinterpret_cast<u_char*>(&with));
    }

private:
    pcap_t* handle_ = nullptr;
};

} // namespace

std::unique_ptr<latency_receiver> open_pcap(std::string const& interface) {
    return std::make_unique<pcap_receiver>(interface);
}
std::unique_ptr<latency_receiver> open_capture(std::string const& interface, bool spins) {
    return std::make_unique<capture_receiver>(interface, spins);
}
std::unique_ptr<latency_receiver> open_coroutine(std::string const& interface) {
    return std::make_unique<coroutine_receiver>(interface);
}

} // namespace bench
