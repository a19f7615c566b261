#pragma once

#include <netring_asio/xdp_socket.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstdlib>
#include <lab/lab.hpp>
#include <lab/numbered.hpp>
#include <string>
#include <utility>
#include <vector>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

inline nr::xdp_options everything(std::string name = "right") {
    return nr::xdp_options{std::move(name)}.take_everything();
}

inline nr::xdp_socket open_at(lab::side const& side, net::io_context& context, nr::xdp_options const& options) {
    nr::xdp_socket socket{context};
    side.enter([&] { socket.open(options); });
    return socket;
}

inline nr::error_code error_of(lab::side const& side, nr::xdp_options const& options) {
    net::io_context context{1};
    nr::xdp_socket socket{context};
    nr::error_code ec;
    side.enter([&] { socket.open(options, ec); });
    return ec;
}

/// Frames of a test that is also run with a million, which takes a while.
inline std::uint64_t many_frames() { return std::getenv("NETRING_ASIO_MILLION") != nullptr ? 1'000'000 : 8'000; }

/// How many of the numbered frames came, each once; the numbers that came twice are counted in `repeated`.
struct seen_numbers {
    explicit seen_numbers(std::size_t count)
        : seen(count) {}
    void add(nr::packet_batch const& batch) {
        for (auto const packet : batch) {
            auto const number = lab::frame_number(packet.data);
            if (!number || *number >= seen.size()) {
                ++foreign;
                continue;
            }
            (seen[*number] ? repeated : received)++;
            seen[*number] = true;
        }
    }
    std::vector<bool> seen;
    std::uint64_t received = 0, repeated = 0, foreign = 0;
};

inline void check_balance(nr::xdp_socket& socket) {
    auto const memory = socket.memory();
    socket.close();
    auto const ledger = memory.ledger();
    BOOST_TEST(ledger.free == ledger.total());
    BOOST_TEST(socket.statistics().bad_addresses == 0U);
}

inline bool has_program(lab::side const& side) {
    return side.run({"ip", "link", "show", "dev", side.name()}).find("xdp") != std::string::npos;
}
