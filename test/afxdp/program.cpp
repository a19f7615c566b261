#define PCAP_DONT_INCLUDE_PCAP_BPF_H // it does not go with <linux/bpf.h>
#include "../../src/afxdp/xdp_code.hpp"
#include "../decode/craft.hpp"
#include "../filter/expressions.hpp"
#include "../filter/frames.hpp"
#include "../pcap/files.hpp"
#include "support.hpp"
#include <netring_asio/afxdp/bypass.hpp>
#include <netring_asio/afxdp/program.hpp>
#include <netring_asio/capture.hpp>
#include <netring_asio/filter.hpp>
#include <netring_asio/pcap/reader.hpp>
#include <netring_asio/pcap/writer.hpp>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <lab/eventually.hpp>
#include <lab/lab.hpp>
#include <lab/tagging.hpp>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <pcap/dlt.h>
#include <pcap/pcap.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

using boost::test_tools::per_element;
using nr::afxdp::detail::make_xdp_program;

namespace {

/// More expressions than those of the filter's own tests.
constexpr char const* more[] = {
    "udp and len > 100",
    "len = 60",
    "greater 1000",
    "less 64",
    "tcp[13] = 2",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "ip[0] & 0xf > 5",
    "ip[6:2] & 0x1fff = 0",
    "ip[6:2] & 0x3fff != 0",
    "udp[8:4] = 0x0108",
    "udp[4:2] > 100",
    "icmp[0] = 8",
    "icmp[icmptype] = icmp-echoreply",
    "tcp port 22 or tcp port 23 or tcp port 25 or tcp port 80 or tcp port 443",
    "(tcp or udp) and (port 53 or port 443) and not host 10.0.0.1",
    "ip and not tcp and not udp",
    "ether[len - 1] = 0",
    "ether[len - 4:4] != 0",
    "ether[len:1] = 0",
    "ip[len - 20] > 7",
    "ether[0:4] >> 31 = 0",
    "ether[6] << 3 = 16",
    "ether[5] % 4 = 2",
    "1000 / (ether[5] & 3 + 1) > 300",
    "ip[8] % 3 = 1",
    "udp portrange 1000-60000",
    "tcp dst portrange 1-1023",
    "ip6[6] = 17",
    "ip6[40:2] = 53",
    "ip proto 47",
    "ip6 proto 58",
    "net 10",
    "src net 10.77.0.0/24 and dst port 53",
    "ether host 02:00:00:00:00:02 and ip",
    "mpls",
    "mpls 20",
    "pppoes",
    "pppoes 7 and ip",
    "ip[8] < 64",
};

/// A program loaded for trial: it says XDP_TX for what it would redirect.
class trial {
public:
    explicit trial(nr::filter const& wanted, bool multi_buffer = false)
        : expression{wanted.expression()} {
        auto const code = make_xdp_program({.filters = {&wanted, 1}, .multi_buffer = multi_buffer}, error);
        if (error)
            return;
        bpf_prog_load_opts options{};
        options.sz = sizeof options;
        options.prog_flags = multi_buffer ? 1U << 5 : 0; // BPF_F_XDP_HAS_FRAGS
        program_ = bpf_prog_load(BPF_PROG_TYPE_XDP, "trial", "GPL", code.data(), code.size(), &options);
        BOOST_REQUIRE_MESSAGE(program_ >= 0, expression << ": errno " << errno << ", " << code.size());
    }
    explicit trial(nr::afxdp::detail::xdp_code const& parts) {
        auto const code = make_xdp_program(parts, error);
        BOOST_REQUIRE(!error);
        bpf_prog_load_opts options{};
        options.sz = sizeof options;
        program_ = bpf_prog_load(BPF_PROG_TYPE_XDP, "trial", "GPL", code.data(), code.size(), &options);
        BOOST_REQUIRE_MESSAGE(program_ >= 0, "errno " << errno);
    }
    trial(trial&& other) noexcept
        : error{other.error}
        , expression{std::move(other.expression)}
        , program_{std::exchange(other.program_, -1)} {}
    ~trial() {
        if (program_ >= 0)
            ::close(program_);
    }

    bool accepts(std::span<std::uint8_t const> frame) const {
        bpf_test_run_opts options{};
        options.sz = sizeof options;
        options.data_in = frame.data();
        options.data_size_in = static_cast<std::uint32_t>(frame.size());
        options.repeat = 1;
        BOOST_REQUIRE_MESSAGE(bpf_prog_test_run_opts(program_, &options) == 0,
                              expression << ": errno " << errno << ", " << frame.size() << " bytes");
        BOOST_REQUIRE((options.retval == XDP_TX || options.retval == XDP_PASS));
        return options.retval == XDP_TX;
    }

    nr::error_code error;
    std::string expression;

private:
    int program_ = -1;
};

bool wanted_here(std::string_view expression) { return expression.find("bound") == std::string_view::npos; }

struct pairs {
    explicit pairs(bool multi_buffer = false) {
        auto const add = [&](char const* expression) {
            if (!wanted_here(expression))
                return;
            nr::filter const wanted{expression};
            trial made{wanted, multi_buffer};
            if (made.error) {
                BOOST_TEST(made.error == nr::make_error_code(nr::error::unsupported_filter),
                           expression << ": " << made.error.message());
                ++refused;
                return;
            }
            filters.push_back(wanted);
            trials.push_back(std::move(made));
        };
        for (auto const* const expression : expressions::ethernet)
            add(expression);
        for (auto const* const expression : more)
            add(expression);
    }
    void compare(std::span<std::uint8_t const> frame, std::size_t i) {
        nr::packet_view const packet{.data = std::as_bytes(frame),
                                     .wire_length = static_cast<std::uint32_t>(frame.size())};
        bool const expected = filters[i].matches(packet);
        ++(expected ? accepted : rejected);
        if (trials[i].accepts(frame) != expected)
            BOOST_TEST(false, trials[i].expression << ": expected " << expected << ", " << frame.size() << " bytes");
    }
    std::vector<nr::filter> filters;
    std::vector<trial> trials;
    std::size_t refused = 0, accepted = 0, rejected = 0;
};

/// Which frames there are: each tells by the end of its source address.
using identities = std::set<int>;

void add(identities& seen, nr::packet_batch const& batch) {
    for (auto const packet : batch)
        seen.insert(std::to_integer<int>(packet.data[10]) << 8 | std::to_integer<int>(packet.data[11]));
}

std::vector<frames::bytes> identified_frames() {
    std::vector<frames::bytes> result;
    for (auto& [name, frame] : frames::all()) {
        frame[10] = static_cast<std::uint8_t>(result.size() >> 8);
        frame[11] = static_cast<std::uint8_t>(result.size());
        result.push_back(std::move(frame));
    }
    return result;
}

/// Takes from a source until it accepted as many frames as are expected.
template <class Source>
identities live_verdicts(Source& source, std::size_t expected) {
    identities seen;
    nr::packet_batch batch;
    lab::eventually([&] {
        if (source.try_receive(batch))
            add(seen, batch);
        return seen.size() >= expected;
    });
    return seen;
}

/// Whether a function succeeds in a process that has its mounts, and a BPF file system, for itself.
bool succeeds_with_own_mounts(std::function<bool()> const& function) {
    auto const child = ::fork();
    if (child == 0) {
        ::alarm(30);
        bool const own = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr) == 0;
        try {
            ::_exit(own && function() ? 0 : 1);
        } catch (std::exception const&) {
            ::_exit(1);
        }
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return status == 0;
}

bool receives(lab::pair const& wire, nr::xdp_options options) {
    net::io_context context{1};
    auto socket = open_at(wire.right, context, options.ring_sizes(64, 64));
    lab::send_numbered(wire.left, wire.right, {.count = 5});
    nr::packet_batch batch;
    nr::error_code ec;
    std::size_t count = 0;
    while (count != 5 && socket.receive(batch, 5s, ec) != 0)
        count += batch.size();
    return count == 5;
}

/// A program that redirects all, as libxdp brings it along.
std::string object_of_libxdp() {
    for (auto const& machine : std::filesystem::directory_iterator{"/usr/lib"})
        if (auto const path = machine.path() / "bpf/xsk_def_xdp_prog.o"; std::filesystem::exists(path))
            return path.string();
    return {};
}

} // namespace

BOOST_AUTO_TEST_SUITE(xdp_program, *lab::real_root())

BOOST_AUTO_TEST_CASE(expressions_give_libpcaps_verdicts_on_hand_made_and_random_frames) {
    for (bool const multi_buffer : {false, true}) {
        pairs all{multi_buffer};
        auto const frames = frames::all();
        for (auto const& [name, data] : frames)
            for (std::size_t i = 0; i != all.filters.size(); ++i)
                all.compare(data, i);
        std::mt19937 random{4};
        for (int round = 0; round != 500; ++round) {
            auto data = frames[random() % frames.size()].data;
            data.resize(14 + random() % (data.size() - 13));
            for (int change = 0; change != 3; ++change)
                data[random() % data.size()] = static_cast<std::uint8_t>(random());
            for (std::size_t i = static_cast<std::size_t>(round) % 4; i < all.filters.size(); i += 4)
                all.compare(data, i);
        }
        BOOST_TEST_MESSAGE("figure: " << all.filters.size() << " expressions, " << all.refused << " refused; "
                                      << all.accepted << " frames accepted, " << all.rejected << " rejected"
                                      << (multi_buffer ? ", multi-buffer program" : ""));
        BOOST_TEST(all.filters.size() >= 200U);
        BOOST_TEST(all.accepted > 5000U);
        BOOST_TEST(all.rejected > 5000U);
    }
}

BOOST_AUTO_TEST_CASE(a_bypass_passes_both_directions_of_its_connections_and_nothing_else) {
    using test::craft;
    constexpr unsigned tcp = 6, udp = 17, ack = 16;
    nr::error_code error;
    nr::afxdp::bypass passed;
    passed.open(2, error);
    BOOST_TEST_REQUIRE(!error, error.message());
    trial const program{nr::afxdp::detail::xdp_code{.bypass = passed.native_handle()}};
    auto const redirected = [&](craft frame) { return program.accepts(frame.bytes()); };
    auto const v4 = [](craft inside, unsigned protocol, bool turned = false) {
        return inside.ipv4(turned ? "10.0.0.2" : "10.0.0.1", turned ? "10.0.0.1" : "10.0.0.2", protocol)
            .ethernet(0x0800);
    };
    auto const v6 = [](craft inside, unsigned next) {
        return inside.ipv6("fd00::1", "fd00::2", next).ethernet(0x86dd);
    };
    nr::afxdp::bypass_key const web{.source = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1},
                                    .destination = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2},
                                    .source_port = 40000,
                                    .destination_port = 443,
                                    .protocol = tcp};
    nr::afxdp::bypass_key const names{.source = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2},
                                      .destination = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                                      .source_port = 53,
                                      .destination_port = 5000,
                                      .protocol = udp};
    auto const segment = [](unsigned flags) { return craft{"x"}.tcp(40000, 443, flags); };
    BOOST_TEST(redirected(v4(segment(ack), tcp)));
    BOOST_TEST(passed.add(web, 1h));
    BOOST_TEST(passed.add(names, 1h));
    BOOST_TEST(passed.size() == 2U);
    BOOST_TEST(!redirected(v4(segment(ack), tcp)));
    BOOST_TEST(!redirected(v4(craft{}.tcp(443, 40000, ack), tcp, true)));
    BOOST_TEST(!redirected(v6(craft{"x"}.udp(5000, 53), udp)));
    BOOST_TEST(passed.find(names)->ago < 1h);
    BOOST_TEST(!passed.find(names)->stopped);
    // What begins and ends them, and what is none of theirs, or cannot be told.
    for (unsigned const flags : {1U, 2U, 4U, 18U, 17U})
        for (bool const turned : {false, true}) {
            auto const frame = turned ? craft{"x"}.tcp(443, 40000, flags) : segment(flags);
            BOOST_TEST(redirected(v4(frame, tcp, turned)), "flags " << flags);
            BOOST_TEST(passed.find(web)->stopped);
            BOOST_TEST(redirected(v4(segment(ack), tcp)));
            BOOST_TEST(redirected(v4(craft{}.tcp(443, 40000, ack), tcp, true)));
            BOOST_TEST(passed.add(web, 1h));
            BOOST_TEST(!redirected(v4(segment(ack), tcp)));
        }
    BOOST_TEST(redirected(v4(craft{"x"}.tcp(40001, 443, ack), tcp)));
    BOOST_TEST(redirected(v4(craft{"x"}.tcp(40000, 443, ack), tcp, true)));
    BOOST_TEST(redirected(v4(craft{"x"}.udp(40000, 443), udp)));
    BOOST_TEST(redirected(v6(craft{"x"}.tcp(5000, 53, ack), tcp)));
    for (unsigned const fragment : {0x2000U, 1U, 0x2001U})
        BOOST_TEST(
            redirected(craft{"x"}.tcp(40000, 443, ack).ipv4("10.0.0.1", "10.0.0.2", tcp, fragment).ethernet(0x0800)));
    BOOST_TEST(redirected(segment(ack).ipv4("10.0.0.1", "10.0.0.2", tcp).vlan(5, 0x0800).ethernet(0x8100)));
    BOOST_TEST(redirected(v4(craft{"quoted"}.put({3, 1, 0, 0}), 1))); // an ICMP error
    for (std::size_t length = 14; length != 54; ++length) {
        auto const whole = v4(craft{}.tcp(40000, 443, ack), tcp);
        auto frame = whole;
        auto const bytes = std::span{frame.bytes()}.first(length);
        BOOST_TEST((program.accepts(bytes) == (length < 48)), "cut to " << length);
    }
    // Its time over, stopped, removed.
    BOOST_TEST(passed.add(web, 0ns));
    BOOST_TEST(redirected(v4(segment(ack), tcp)));
    BOOST_TEST(passed.add(web, 1h));
    passed.stop();
    BOOST_TEST(passed.find(web)->stopped);
    BOOST_TEST(redirected(v4(segment(ack), tcp)));
    BOOST_TEST(passed.add(web, 1h));
    BOOST_TEST(!redirected(v4(segment(ack), tcp)));
    auto third = web;
    third.source_port = 40001;
    BOOST_TEST(!passed.add(third, 1h)); // no room,
    passed.forget_after(0ns);
    BOOST_TEST(passed.add(third, 1h)); // unless another is silent
    passed.clear();
    BOOST_TEST(passed.size() == 0U);
    BOOST_TEST(!passed.find(web));
    BOOST_TEST(redirected(v4(segment(ack), tcp)));
}

BOOST_AUTO_TEST_CASE(expressions_give_libpcaps_verdicts_on_real_packets, *files::has_traces()) {
    // Some of the expressions for each packet in turn; all of them where asked for, which takes minutes.
    std::size_t const stride = std::getenv("NETRING_ASIO_ALL_VERDICTS") != nullptr ? 1 : 32;
    constexpr std::size_t longest_single = 3000;
    pairs single, multiple{true};
    std::size_t packets = 0, too_short = 0, cut = 0, longer = 0, too_long = 0, captures = 0;
    for (auto const& trace : files::traces()) {
        std::array<char, PCAP_ERRBUF_SIZE> message{};
        std::unique_ptr<pcap_t, decltype(&::pcap_close)> const file{
            ::pcap_open_offline(trace.path.c_str(), message.data()), &::pcap_close};
        if (!file || ::pcap_datalink(file.get()) != DLT_EN10MB)
            continue;
        ++captures;
        pcap_pkthdr* header = nullptr;
        u_char const* data = nullptr;
        while (::pcap_next_ex(file.get(), &header, &data) == 1) {
            if (header->caplen != header->len)
                ++cut;
            else if (header->len < 14)
                ++too_short;
            else if (header->len > 65535)
                ++too_long;
            else {
                longer += header->len > longest_single;
                auto& use = header->len > longest_single ? multiple : single;
                for (auto i = packets++ % stride; i < use.filters.size(); i += stride)
                    use.compare({data, header->caplen}, i);
            }
        }
    }
    BOOST_TEST_MESSAGE("figure: " << single.filters.size() << " expressions, " << packets << " packets of " << captures
                                  << " Ethernet captures (" << longer << " by the multi-buffer program), "
                                  << single.accepted + multiple.accepted << " times accepted, "
                                  << single.rejected + multiple.rejected << " rejected; left out: " << cut << " cut, "
                                  << too_short << " shorter than 14 bytes, " << too_long << " too long");
    BOOST_TEST(packets > 10000U);
}

BOOST_AUTO_TEST_CASE(expressions_over_tags_give_one_verdict_by_af_packet_af_xdp_and_on_a_file) {
    std::vector<std::string> const wanted{
        "vlan",          "vlan 5",           "vlan 5 and udp",        "not vlan",
        "vlan and vlan", "vlan and vlan 6",  "udp or (vlan and udp)", "vlan 5 and port 53",
        "vlan and ip6",  "vlan and len > 64"};
    auto const sent = identified_frames();
    lab::pair const wire;
    net::io_context context{1};
    auto const file = std::filesystem::temp_directory_path() / ("netring_asio-tags." + std::to_string(::getpid()));
    for (bool const beside : {false, true}) {
        // In the bytes alone, or with one more that the sender leaves to the device.
        std::optional<lab::tagging> tags;
        if (beside)
            tags.emplace(wire.left, std::vector<lab::tag>{{0x8100, 5}});
        {
            // Nobody reads while the frames are sent, and each may get a block of its own.
            auto const options = nr::capture_options{"right"}.block_size(8 << 10).block_count(256);
            auto const open = [&](nr::capture_options const& with) {
                nr::capture capture{context};
                wire.right.enter([&] { capture.open(with); });
                return capture;
            };
            std::vector<nr::capture> captures;
            for (auto const& expression : wanted)
                captures.push_back(open(nr::capture_options{options}.filter(expression)));
            auto all = open(options);
            wire.left.send_each(sent);
            nr::pcap::writer writer{nr::pcap::writer_options{file}};
            nr::packet_batch batch;
            for (std::size_t written = 0; written != sent.size() && all.receive(batch, 5s) != 0;
                 written += batch.size())
                writer.write(batch);
            writer.close();
            for (std::size_t i = 0; i != wanted.size(); ++i) {
                nr::pcap::reader reader{nr::pcap::reader_options{file}.filter(wanted[i])};
                identities on_file;
                while (reader.read(batch) != 0)
                    add(on_file, batch);
                BOOST_TEST_CONTEXT(wanted[i])
                BOOST_TEST(live_verdicts(captures[i], on_file.size()) == on_file, per_element());
            }
        }
        auto socket = open_at(wire.right, context, nr::xdp_options{"right"}.filter(wanted.front()));
        for (auto const& expression : wanted) {
            nr::packet_batch batch;
            nr::pcap::reader reader{nr::pcap::reader_options{file}.filter(expression)};
            identities on_file;
            while (reader.read(batch) != 0)
                add(on_file, batch);
            socket.set_filter(expression);
            auto const before = socket.statistics().passed;
            wire.left.send_each(sent);
            auto const redirected = live_verdicts(socket, on_file.size());
            BOOST_TEST_CONTEXT(expression) {
                BOOST_TEST(redirected == on_file, per_element());
                BOOST_TEST(lab::eventually(
                    [&] { return socket.statistics().passed - before + redirected.size() == sent.size(); }));
                BOOST_TEST((beside || (!on_file.empty() && on_file.size() != sent.size())));
            }
            BOOST_TEST_MESSAGE("figure: '" << expression << "' accepts " << on_file.size() << " of " << sent.size()
                                           << " frames" << (beside ? " with one more tag beside the bytes" : "")
                                           << " on the file, by AF_PACKET and by AF_XDP");
        }
    }
    std::filesystem::remove(file);
    auto generic =
        open_at(wire.right, context, nr::xdp_options{"right"}.filter("udp").attach_mode(nr::xdp_attach_mode::generic));
    nr::error_code ec;
    for (auto const& expression : wanted) {
        generic.set_filter(expression, ec);
        BOOST_TEST(ec == nr::make_error_code(nr::error::unsupported_filter), expression);
    }
}

BOOST_AUTO_TEST_CASE(a_program_may_be_from_elsewhere) {
    lab::pair const wire;
    auto const options = [] { return nr::xdp_options{"right"}; };
    auto const object = object_of_libxdp();
    if (object.empty()) {
        BOOST_TEST_MESSAGE("skipped: an object file, for libxdp's own is not there");
    } else {
        BOOST_TEST(receives(wire, options().object_file(object)));
        BOOST_TEST(receives(wire, options().object_file(object).attach_mode(nr::xdp_attach_mode::generic)));
        BOOST_TEST(!has_program(wire.right));
        auto const shared = options().object_file(object).dispatcher(true);
        bool const dispatched = succeeds_with_own_mounts([&] { return receives(wire, shared); });
        // As kernels without program extensions do.
        bool const refused = succeeds_with_own_mounts(
            [&] { return error_of(wire.right, shared) == nr::make_error_code(nr::error::unsupported_option); });
        BOOST_TEST(dispatched != refused);
        BOOST_TEST_MESSAGE("figure: libxdp's dispatcher "
                           << (dispatched ? "attached the program" : "is refused by this kernel, and that is told"));
        BOOST_TEST(!has_program(wire.right));
    }
    BOOST_TEST(bool{error_of(wire.right, options().object_file("/nowhere.o"))});
    nr::afxdp::program program;
    nr::error_code ec;
    std::string about;
    wire.right.enter([&] { program.open("right", static_cast<int>(wire.right.index()), everything(), ec, about); });
    BOOST_TEST_REQUIRE(!ec, ec.message());
    BOOST_TEST(receives(wire, options().map(program.map())));
    BOOST_TEST(succeeds_with_own_mounts([&] {
        auto const* const path = "/sys/fs/bpf/xsks";
        return bpf_obj_pin(program.map(), path) == 0 && receives(wire, options().pinned_map(path));
    }));
    BOOST_TEST(program.is_attached());
    BOOST_TEST(receives(wire, options().map(program.map())));
    nr::afxdp::bypass other;
    other.open(2, ec);
    BOOST_TEST(error_of(wire.right, options().map(other.native_handle())) ==
               nr::make_error_code(nr::error::invalid_option));
    BOOST_TEST(
        (error_of(wire.right, options().pinned_map("/nowhere")) == boost::system::errc::no_such_file_or_directory));
}

BOOST_AUTO_TEST_CASE(programs_that_are_started_inherit_no_descriptor) {
    lab::pair const wire;
    net::io_context context{1};
    auto const socket = open_at(wire.right, context, everything());
    for (auto const& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
        auto const descriptor = std::stoi(entry.path().filename());
        std::error_code gone;
        auto const target = std::filesystem::read_symlink(entry.path(), gone).string();
        bool const of_sockets = target.starts_with("socket:") || target.find("bpf") != target.npos;
        if (of_sockets && descriptor > STDERR_FILENO)
            BOOST_TEST((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0, target);
    }
}

BOOST_AUTO_TEST_CASE(what_a_program_cannot_follow_is_refused) {
    for (auto const* const expression : {"ip6 protochain 6", "inbound"}) {
        trial const refused{nr::filter{expression}};
        BOOST_TEST(refused.error == nr::make_error_code(nr::error::unsupported_filter));
        BOOST_TEST((refused.error == boost::system::errc::not_supported));
    }
    BOOST_TEST(nr::afxdp::detail::looks_at_tags(nr::filter{"vlan 5 and udp"}));
    BOOST_TEST(!nr::afxdp::detail::looks_at_tags(nr::filter{"udp port 53"}));
}

BOOST_AUTO_TEST_SUITE_END()
