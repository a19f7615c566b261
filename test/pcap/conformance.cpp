#include "files.hpp"
#include <netring_asio/pcap_source.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <asio/conformance.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace {

namespace net = boost::asio;
namespace nr = netring_asio;

/// A source that reads a pipe, into which each `make_ready` puts a packet.
struct piped {
    static constexpr std::chrono::milliseconds latency{5}; // from the pipe by way of a thread

    piped() = default;
    piped(piped const&) = delete;
    ~piped() { ::close(writer); }

    nr::pcap_source make(net::any_io_executor executor) {
        ::close(writer);
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            throw std::runtime_error{"pipe2"};
        writer = ends[1];
        send(file.header());
        nr::pcap_source source{executor};
        source.assign(ends[0], nr::pcap_source_options{}.read_ahead(1024)); // a wait takes nothing
        return source;
    }
    void make_ready() const {
        send(file.packet(1, 0, std::string(60, 'x')));
        // However busy the machine is, the thread has it before the latency begins.
        for (int left = 1; left != 0; std::this_thread::sleep_for(std::chrono::microseconds{50}))
            if (::ioctl(writer, FIONREAD, &left) != 0)
                throw std::runtime_error{"FIONREAD"};
    }
    void send(std::string const& bytes) const {
        if (::write(writer, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
            throw std::runtime_error{"write"};
    }

    files::classic file;
    int writer = -1;
};
struct waiting : piped {
    template <class Source, class... Token>
    auto start(Source& source, Token&&... token) {
        return source.async_wait(std::forward<Token>(token)...);
    }
};
struct receive : piped {
    nr::packet_batch batch;
    template <class Source, class... Token>
    auto start(Source& source, Token&&... token) {
        return source.async_receive(batch, std::forward<Token>(token)...);
    }
};
struct receive_owned : piped {
    std::vector<nr::owned_packet> packets;
    template <class Source, class... Token>
    auto start(Source& source, Token&&... token) {
        return source.async_receive(packets, std::forward<Token>(token)...);
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(async_wait) { conformance::verify<waiting>(); }
BOOST_AUTO_TEST_CASE(async_receive_batch) { conformance::verify<receive>(); }
BOOST_AUTO_TEST_CASE(async_receive_owned) { conformance::verify<receive_owned>(); }
BOOST_AUTO_TEST_CASE(async_pipe) { conformance::verify<conformance::pipe_of<piped, std::vector<nr::owned_packet>>>(); }
