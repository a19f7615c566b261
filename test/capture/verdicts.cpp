#include "../afpacket/support.hpp"
#include "../filter/frames.hpp"
#include <netring_asio/pcap/reader.hpp>
#include <netring_asio/pcap/writer.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using boost::test_tools::per_element;

namespace {

using identities = std::set<int>;

/// Each frame tells which one it is by the end of its source address.
void add_identity(identities& seen, nr::packet_view const& packet) {
    seen.insert(std::to_integer<int>(packet.data[10]) << 8 | std::to_integer<int>(packet.data[11]));
}

template <class Receive>
identities collect(Receive receive, nr::pcap::writer* writer = nullptr) {
    identities seen;
    for (nr::packet_batch batch; receive(batch) != 0;) {
        for (auto const packet : batch)
            add_identity(seen, packet);
        if (writer != nullptr)
            writer->write(batch);
    }
    return seen;
}

identities as_tcpdump_sees_it(lab::network const& where, std::string const& file, std::string const& expression) {
    identities seen;
    std::istringstream lines{where.run({"tcpdump", "-Z", "root", "-n", "-e", "-t", "-q", "-r", file, expression})};
    for (std::string address; lines >> address;) {
        if (address.starts_with("02:00:00:00:") && address.size() >= 17)
            seen.insert(std::stoi(address.substr(12, 2), nullptr, 16) << 8 |
                        std::stoi(address.substr(15, 2), nullptr, 16));
        std::string rest;
        std::getline(lines, rest);
    }
    return seen;
}

} // namespace

BOOST_AUTO_TEST_CASE(an_expression_gives_the_same_verdicts_live_and_on_the_file_written,
                     *lab::available() * lab::has_program("tcpdump")) {
    lab::pair const wire;
    std::vector<std::string> const expressions{
        "udp", "vlan 5",      "vlan 5 and udp",    "not vlan", "vlan", "vlan and vlan", "udp or (vlan and udp)",
        "ip6", "greater 200", "vlan 5 and port 53"};
    // One ring each, and one for everything; all see the same frames.
    auto const file = std::filesystem::temp_directory_path() / ("netring_asio-verdicts." + std::to_string(::getpid()));
    nr::pcap::writer writer{nr::pcap::writer_options{file}};
    // Nobody reads while the frames are sent, and each may get a block of its own.
    auto const options = small().block_size(8 << 10).block_count(1024);
    auto everything = open_ring(wire.right, options);
    std::vector<nr::afpacket::rx_ring> rings;
    for (auto const& expression : expressions)
        rings.push_back(open_ring(wire.right, nr::capture_options{options}.filter(expression)));

    int next = 0;
    auto send = [&](lab::side const& from, frames::bytes frame) {
        frame[10] = static_cast<std::uint8_t>(next >> 8);
        frame[11] = static_cast<std::uint8_t>(next);
        ++next;
        from.send(frame);
    };
    for (auto const& [name, frame] : frames::all()) {
        send(wire.left, frame);  // the receiving side's kernel takes the outer tag out
        send(wire.right, frame); // an outgoing frame keeps it in the data
    }

    auto from = [](auto& source) {
        return [&](nr::packet_batch& batch) {
            nr::error_code ec;
            return source.receive(batch, 200ms, ec);
        };
    };
    BOOST_TEST(collect(from(everything), &writer).size() == static_cast<std::size_t>(next));
    writer.close();
    for (std::size_t i = 0; i != expressions.size(); ++i) {
        auto const live = collect(from(rings[i]));
        nr::pcap::reader reader{nr::pcap::reader_options{file}.filter(expressions[i])};
        auto const on_file = collect([&](nr::packet_batch& batch) { return reader.read(batch); });
        BOOST_TEST_CONTEXT(expressions[i]) {
            BOOST_TEST(!live.empty());
            BOOST_TEST(live == on_file, per_element());
            BOOST_TEST(live == as_tcpdump_sees_it(wire.right, file, expressions[i]), per_element());
        }
        BOOST_TEST_MESSAGE("figure: '" << expressions[i] << "' accepts " << live.size() << " of " << next
                                       << " frames live, on the file, and by tcpdump");
    }
    std::filesystem::remove(file);
}
