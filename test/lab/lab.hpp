#pragma once

#include <boost/test/tree/decorator.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <lab/process.hpp>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// Private networks for tests: namespaces and veth pairs that belong to one test and vanish with it.
///
/// A namespace has no name and is held by a descriptor only, so the kernel removes it, and every link in it, when the
/// test ends in whatever way. Tests may therefore run side by side. As root it works as it is; for anybody else the
/// test program starts itself again in a user namespace of its own.
namespace lab {

/// Skips a test case, with the reason, where private networks cannot be made: `BOOST_AUTO_TEST_CASE(x,
/// *lab::available())`.
boost::unit_test::decorator::precondition available();

/// Skips a test case unless it runs as the real root, outside of a user namespace: for what the kernel refuses there.
boost::unit_test::decorator::precondition real_root();

/// Skips a test case where a program is not installed.
boost::unit_test::decorator::precondition has_program(std::string name);

/// A network namespace; a copy is another handle to the same one.
class network {
public:
    /// Makes a namespace with its loopback device up and IPv6 off unless `ipv6`.
    explicit network(bool ipv6 = false);

    int native_handle() const noexcept;
    /// What programs take for a namespace, for instance `ip link set x netns PATH`, while this process lives.
    std::string path() const;

    /// Calls `function` on this thread inside the namespace and returns what it returns.
    template <class Function>
    std::invoke_result_t<Function> enter(Function&& function) const;

    /// Runs a program inside to its end and returns what it printed; throws if it failed.
    std::string run(std::vector<std::string> arguments, std::string const& input = {}) const;
    /// Starts a program inside; it is stopped when the returned object goes.
    process start(std::vector<std::string> arguments) const;

private:
    std::shared_ptr<int const> descriptor_;
};

/// Moves the calling thread into a namespace for a scope.
class inside {
public:
    explicit inside(network const& target);
    ~inside();
    inside(inside const&) = delete;
    inside& operator=(inside const&) = delete;

private:
    int back_;
};

template <class Function>
std::invoke_result_t<Function> network::enter(Function&& function) const {
    inside const guard{*this};
    return std::invoke(std::forward<Function>(function));
}

/// What the kernel counted on an interface, the independent observer of every count of ours.
struct counters {
    std::uint64_t rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped;
};

/// One end of a pair: an interface and the namespace that it lies in.
class side : public network {
public:
    side(network const& in, std::string name, std::array<std::uint8_t, 6> address);

    std::string const& name() const noexcept { return name_; }
    unsigned index() const;
    std::array<std::uint8_t, 6> const& address() const noexcept { return address_; }
    lab::counters counters() const;

    void set_up() const;
    void set_down() const;
    void set_mtu(unsigned mtu) const;
    /// Deletes the interface, and with it the other end.
    void remove() const;

    /// Sends whole frames, link header included, through a plain packet socket.
    void send(std::span<std::uint8_t const> frame) const;
    /// The same, one after the other: opening and closing a socket takes the kernel 10 ms.
    void send_each(std::vector<std::vector<std::uint8_t>> const& frames) const;

private:
    std::string name_;
    std::array<std::uint8_t, 6> address_;
};

/// How a pair is made. The default is quiet: no addresses, no ARP, no IPv6, nothing is sent that the test does not
/// send.
class pair_options {
public:
    pair_options() {}

    /// Names of the two interfaces.
    pair_options& names(std::string left, std::string right) {
        left_ = std::move(left);
        right_ = std::move(right);
        return *this;
    }
    pair_options& mtu(unsigned value) { return mtu_ = value, *this; }
    /// Receive and transmit queues of each end.
    pair_options& queues(unsigned value) { return queues_ = value, *this; }
    /// Left is 10.N.0.1/24, right 10.N.0.2/24, with ARP.
    pair_options& ipv4(unsigned n = 77) { return ipv4_ = static_cast<int>(n), *this; }
    /// Left is fd00:N::1/64, right fd00:N::2/64, usable at once; router and neighbour discovery then send by
    /// themselves.
    pair_options& ipv6(unsigned n = 77) { return ipv6_ = static_cast<int>(n), *this; }
    /// Leaves the interfaces down.
    pair_options& down() { return up_ = false, *this; }

private:
    friend class pair;
    std::string left_ = "left", right_ = "right";
    unsigned mtu_ = 1500, queues_ = 1;
    int ipv4_ = -1, ipv6_ = -1;
    bool up_ = true;
};

/// Two namespaces joined by a veth pair: what the left interface sends, the right one receives.
class pair {
public:
    explicit pair(pair_options const& options = {});
    /// A further pair between namespaces that exist, or within one; its names must be free there.
    pair(network const& left, network const& right, pair_options const& options);

    side left, right;
};

} // namespace lab
