#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <lab/lab.hpp>
#include <lab/user_namespace.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lab {

namespace {

[[noreturn]] void fail(std::string const& what) { throw std::system_error{errno, std::generic_category(), what}; }

int current_network() {
    int const network = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (network < 0)
        fail("/proc/thread-self/ns/net");
    return network;
}

void go_to(int network) {
    if (::setns(network, CLONE_NEWNET) != 0)
        fail("setns");
}

std::array<std::uint8_t, 6> next_address() {
    static std::atomic<std::uint16_t> last{0};
    auto const n = ++last;
    return {2, 0, 0, 0, static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)};
}

std::string text(std::array<std::uint8_t, 6> const& a) {
    char buffer[18];
    std::snprintf(buffer, sizeof buffer, "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5]);
    return buffer;
}

// A link carries nothing before the kernel has seen its carrier, which it notes a moment after both ends are up.
void wait_until_running(side const& end) {
    end.enter([&] {
        int const socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ifreq request{};
        end.name().copy(request.ifr_name, IFNAMSIZ - 1);
        for (int i = 0; i != 5000; ++i) {
            if (::ioctl(socket, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_RUNNING) != 0)
                break;
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
        ::close(socket);
        if ((request.ifr_flags & IFF_RUNNING) == 0)
            throw std::runtime_error{"no carrier on " + end.name()};
    });
}

std::string const& obstacle() {
    static std::string const found = []() -> std::string {
        try {
            pair const probe;
            return {};
        } catch (std::exception const& error) {
            return std::string{"no private network: "} + error.what() + user_namespace_obstacle();
        }
    }();
    return found;
}

boost::unit_test::decorator::precondition unless(std::function<std::string()> reason) {
    return boost::unit_test::precondition([reason = std::move(reason)](boost::unit_test::test_unit_id) {
        auto const why = reason();
        boost::test_tools::assertion_result result{why.empty()};
        result.message() << why;
        return result;
    });
}

} // namespace

boost::unit_test::decorator::precondition available() { return unless(obstacle); }

boost::unit_test::decorator::precondition real_root() {
    return unless([]() -> std::string {
        if (::geteuid() != 0 || in_user_namespace())
            return "needs the real root";
        return obstacle();
    });
}

boost::unit_test::decorator::precondition has_program(std::string name) {
    return unless([name = std::move(name)]() -> std::string {
        std::istringstream path{std::getenv("PATH") != nullptr ? std::getenv("PATH") : ""};
        for (std::string folder; std::getline(path, folder, ':');)
            if (::access((folder + '/' + name).c_str(), X_OK) == 0)
                return {};
        return name + " is not installed";
    });
}

network::network(bool ipv6) {
    int const before = current_network();
    if (::unshare(CLONE_NEWNET) != 0) {
        int const error = errno;
        ::close(before);
        throw std::system_error{error, std::generic_category(), "unshare(CLONE_NEWNET)"};
    }
    descriptor_ = {new int const {current_network()}, [](int const* descriptor) {
                       ::close(*descriptor);
                       delete descriptor;
                   }};
    go_to(before);
    ::close(before);
    if (!ipv6)
        enter([] {
            for (auto const* scope : {"all", "default"})
                std::ofstream{std::string{"/proc/sys/net/ipv6/conf/"} + scope + "/disable_ipv6"} << '1';
        });
    run({"ip", "link", "set", "lo", "up"});
}

int network::native_handle() const noexcept { return *descriptor_; }

std::string network::path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(*descriptor_);
}

std::string network::run(std::vector<std::string> arguments, std::string const& input) const {
    auto const name = arguments.at(0);
    process program{*descriptor_, std::move(arguments), input};
    if (int const status = program.wait(); status != 0)
        throw std::runtime_error{name + " ended with status " + std::to_string(status) + ": " + program.output() +
                                 input};
    return program.output();
}

process network::start(std::vector<std::string> arguments) const { return {*descriptor_, std::move(arguments)}; }

inside::inside(network const& target)
    : back_{current_network()} {
    go_to(target.native_handle());
}

inside::~inside() {
    go_to(back_); // fails only where privileges were given up on the way, and then the test must not go on
    ::close(back_);
}

side::side(network const& in, std::string name, std::array<std::uint8_t, 6> address)
    : network{in}
    , name_{std::move(name)}
    , address_{address} {}

unsigned side::index() const {
    return enter([this] { return ::if_nametoindex(name_.c_str()); });
}

counters side::counters() const {
    return enter([this] {
        std::ifstream table{"/proc/thread-self/net/dev"};
        for (std::string line; std::getline(table, line);) {
            auto const colon = line.find(':');
            auto const start = line.find_first_not_of(' ');
            if (colon == std::string::npos || line.substr(start, colon - start) != name_)
                continue;
            std::istringstream fields{line.substr(colon + 1)};
            std::array<std::uint64_t, 16> value{};
            for (auto& field : value)
                fields >> field;
            return lab::counters{value[1], value[0], value[3], value[9], value[8], value[11]};
        }
        throw std::runtime_error{"no interface " + name_};
    });
}

void side::set_up() const { run({"ip", "link", "set", name_, "up"}); }
void side::set_down() const { run({"ip", "link", "set", name_, "down"}); }
void side::set_mtu(unsigned mtu) const { run({"ip", "link", "set", name_, "mtu", std::to_string(mtu)}); }
void side::remove() const { run({"ip", "link", "delete", name_}); }

void side::send(std::span<std::uint8_t const> frame) const { send_each({{frame.begin(), frame.end()}}); }

void side::send_each(std::vector<std::vector<std::uint8_t>> const& frames) const {
    enter([&] {
        int const socket = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = static_cast<int>(::if_nametoindex(name_.c_str()));
        bool const sent = std::ranges::all_of(frames, [&](auto const& frame) {
            return ::sendto(socket, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr const*>(&to), sizeof to) ==
                   static_cast<ssize_t>(frame.size());
        });
        int const error = errno;
        ::close(socket);
        if (!sent)
            throw std::system_error{error, std::generic_category(), "sendto " + name_};
    });
}

pair::pair(pair_options const& options)
    : pair{network{options.ipv6_ >= 0}, network{options.ipv6_ >= 0}, options} {}

pair::pair(network const& left_network, network const& right_network, pair_options const& options)
    : left{left_network, options.left_, next_address()}
    , right{right_network, options.right_, next_address()} {
    // Equal indices in the two namespaces would make the kernel take a second to notice the carrier.
    static std::atomic<unsigned> last_index{100};
    auto const shape = [&](side const& end) {
        auto const queues = std::to_string(options.queues_);
        return end.name() + " index " + std::to_string(++last_index) + " address " + text(end.address()) + " mtu " +
               std::to_string(options.mtu_) + " numtxqueues " + queues + " numrxqueues " + queues;
    };
    left.run({"ip", "-batch", "-"},
             "link add " + shape(left) + " type veth peer name " + shape(right) + " netns " + right.path() + "\n");
    auto const set_up = [&](side const& end, char const* host) {
        auto const name = end.name();
        std::string commands;
        if (options.ipv4_ < 0)
            commands += "link set " + name + " arp off multicast off\n";
        else
            commands += "addr add 10." + std::to_string(options.ipv4_) + ".0." + host + "/24 dev " + name + "\n";
        if (options.ipv6_ >= 0)
            commands += "addr add fd00:" + std::to_string(options.ipv6_) + "::" + host + "/64 dev " + name + " nodad\n";
        if (options.up_)
            commands += "link set " + name + " up\n";
        end.run({"ip", "-batch", "-"}, commands);
    };
    set_up(left, "1");
    set_up(right, "2");
    if (options.up_) {
        wait_until_running(left);
        wait_until_running(right);
    }
}

} // namespace lab
