#include "receivers.hpp"

#include <netring_asio/capture.hpp>
#include <netring_asio/xdp_socket.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {
namespace {

namespace net = boost::asio;
namespace nr = netring_asio;

enum class consumer { callback, coroutine, trying };

template <class Socket, class Options>
class object_receiver final : public latency_receiver {
public:
    object_receiver(Options const& options, consumer how)
        : source_{context_, options}
        , how_{how} {}

    void run(std::function<bool(std::int64_t)> const& sample) override {
        if (how_ == consumer::callback)
            receive(sample);
        else if (how_ == consumer::coroutine)
            net::co_spawn(
                context_,
                [&]() -> net::awaitable<void> {
                    do
                        co_await source_.async_receive(batch_, net::use_awaitable);
                    while (take(sample));
                },
                net::detached);
        else
            for (bool more = true; more; context_.poll())
                for (int budget = 1000; more && budget != 0; --budget)
                    if (source_.try_receive(batch_))
                        more = take(sample);
        context_.run();
    }

private:
    bool take(std::function<bool(std::int64_t)> const& sample) {
        bool more = true;
        for (auto const packet : batch_)
            more = more && sample(age_of(packet.data.data()));
        return more;
    }
    void receive(std::function<bool(std::int64_t)> const& sample) {
        source_.async_receive(batch_, [&](nr::error_code ec, std::size_t) {
            if (!ec && take(sample))
                receive(sample);
        });
    }

    net::io_context context_{1};
    Socket source_;
    nr::packet_batch batch_;
    consumer how_;
};

using capture = nr::basic_capture<net::io_context::executor_type>;
using capture_receiver = object_receiver<capture, nr::capture_options>;

/// A program that writes the age of each frame to its standard output, eight bytes each.
class process_receiver final : public latency_receiver {
public:
    process_receiver(std::string const& interface, std::string const& program) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            throw std::system_error{errno, std::generic_category(), "pipe2"};
        posix_spawn_file_actions_t actions{};
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        std::string name = program, argument = interface;
        std::array<char*, 3> arguments{name.data(), argument.data(), nullptr};
        int const code = ::posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments.data(), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(ends[1]);
        output_ = ends[0];
        if (code != 0)
            throw std::system_error{code, std::generic_category(), program};
        read(); // it is open
    }
    ~process_receiver() override {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        ::close(output_);
    }

    void run(std::function<bool(std::int64_t)> const& sample) override {
        while (sample(read())) {
        }
    }

private:
    std::int64_t read() const {
        std::int64_t age = 0;
        if (auto const got = ::read(output_, &age, sizeof age); got != sizeof age)
            throw std::runtime_error{"the other program gave " + std::to_string(got) + " bytes"};
        return age;
    }
    pid_t process_ = 0;
    int output_ = -1;
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
std::unique_ptr<latency_receiver> open_netring(std::string const& interface, std::string const& program) {
    return std::make_unique<process_receiver>(interface, program);
}
std::unique_ptr<latency_receiver> open_capture(nr::capture_options const& options) {
    return std::make_unique<capture_receiver>(options, consumer::callback);
}
std::unique_ptr<latency_receiver> open_coroutine(nr::capture_options const& options) {
    return std::make_unique<capture_receiver>(options, consumer::coroutine);
}
std::unique_ptr<latency_receiver> open_trying(nr::capture_options const& options) {
    return std::make_unique<capture_receiver>(options, consumer::trying);
}
std::unique_ptr<latency_receiver> open_xdp(nr::xdp_options const& options) {
    using socket = nr::basic_xdp_socket<net::io_context::executor_type>;
    return std::make_unique<object_receiver<socket, nr::xdp_options>>(options, consumer::callback);
}

} // namespace bench
