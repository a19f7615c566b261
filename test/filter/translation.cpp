#include <netring_asio/detail/kernel_filter.hpp>
#include <netring_asio/filter.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <filter/expressions.hpp>
#include <filter/frames.hpp>
#include <filter/kernel_model.hpp>
#include <filter/random_program.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pcap/files.hpp>
#include <pcap/pcap.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nr = netring_asio;
using frames::bytes;
using frames::operator+;
using frames::view_of;
using nr::detail::kernel_filter;
using nr::detail::make_kernel_filter;
using instruction = nr::filter::instruction;

namespace {

/// A packet as the kernel has it, the frame that it stands for, and what the ring delivers.
struct sample {
    kernel_model::packet kernel;
    bytes whole;
    bytes delivered;
    nr::packet_view view;
    std::uint32_t tag_begin; // where the bytes lie in `whole` that are not in the kernel's data
    std::uint32_t tag_end;

    sample(sample const&) = delete;
    sample& operator=(sample const&) = delete;

    /// An Ethernet frame, its tag in place; the outer one is taken out if `strip`.
    sample(bytes const& frame, bool strip)
        : whole{frame}
        , delivered{frame} {
        tag_begin = tag_end = 0;
        nr::vlan_tag tag;
        if (auto const type = static_cast<std::uint16_t>(frame[12] << 8 | frame[13]);
            strip && (type == 0x8100 || type == 0x88a8)) {
            tag = {type, static_cast<std::uint16_t>(frame[14] << 8 | frame[15])};
            delivered.erase(delivered.begin() + 12, delivered.begin() + 16);
            tag_begin = 12;
            tag_end = 16;
        }
        kernel.data = delivered;
        kernel.vlan = tag;
        kernel.protocol = static_cast<std::uint16_t>(delivered[12] << 8 | delivered[13]);
        finish(nr::link_type::ethernet);
    }

    /// The payload of such a frame on a cooked socket.
    sample(sample const& ethernet, nr::link_type link)
        : kernel{ethernet.kernel} {
        kernel.data.erase(kernel.data.begin(), kernel.data.begin() + 14);
        kernel.interface_index = 7;
        kernel.type = 2;
        auto const protocol = frames::be16(kernel.protocol);
        auto const tpid = frames::be16(kernel.vlan ? kernel.vlan.tpid : kernel.protocol);
        bytes const address{0, 6, 2, 0, 0, 0, 0, 1, 0, 0};
        auto const header = [&](bytes const& type) {
            return link == nr::link_type::linux_sll2
                       ? type + bytes{0, 0, 0, 0, 0, 7, 0, 1, 2, 6, 2, 0, 0, 0, 0, 1, 0, 0}
                       : bytes{0, 2, 0, 1} + address + type;
        };
        delivered = header(protocol) + kernel.data;
        whole = header(tpid) + (kernel.vlan ? frames::be16(kernel.vlan.tci) + protocol : bytes{}) + kernel.data;
        tag_begin = 0;
        tag_end = static_cast<std::uint32_t>(whole.size() - kernel.data.size());
        finish(link);
    }

    std::uint32_t judge(std::span<instruction const> program) const {
        return ::bpf_filter(reinterpret_cast<bpf_insn const*>(program.data()), whole.data(),
                            static_cast<u_int>(whole.size()), static_cast<u_int>(whole.size()));
    }

    /// How many bytes of the kernel's data are among the first of the whole frame.
    std::size_t kept(std::uint32_t length) const {
        auto const end = std::min<std::size_t>(length, whole.size());
        auto const before = std::min<std::size_t>(end, tag_begin);
        return before + (end > tag_end ? end - tag_end : 0);
    }

private:
    void finish(nr::link_type link) {
        view = view_of(delivered);
        view.link = link;
        view.vlan = kernel.vlan;
        view.protocol = kernel.protocol;
        view.interface_index = static_cast<std::int32_t>(kernel.interface_index);
        view.direction = static_cast<nr::direction>(kernel.type);
    }
};

struct tally {
    std::size_t accepted = 0, rejected = 0, undecided = 0;
};

/// The promise of `kernel_filter` on one packet.
bool keeps_promise(nr::filter const& wanted, kernel_filter const& translated, sample const& packet, tally& seen) {
    auto const expected = packet.judge(wanted.instructions());
    if (wanted.accepted_length(packet.view) != expected)
        return false;
    auto const got = kernel_model::run(translated.program, packet.kernel);
    auto const size = packet.kernel.data.size();
    (expected != 0 ? seen.accepted : seen.rejected)++;
    if (!translated.verdict.decides(packet.view)) {
        ++seen.undecided;
        return got >= size || (got == 0 && expected == 0);
    }
    if ((got != 0) != (expected != 0))
        return false;
    // At least what is asked for; and not more, but for what a returned accumulator costs to compute exactly.
    auto const kept = std::min<std::size_t>(got, size);
    auto const asked = packet.kept(expected);
    bool const computed = std::ranges::any_of(wanted.instructions(), [](instruction const& step) {
        return BPF_CLASS(step.code) == BPF_RET && BPF_RVAL(step.code) == BPF_A;
    });
    return kept >= asked && kept <= (expected == 0 ? 0 : std::max<std::size_t>(asked, 1)) + (computed ? 24 : 0);
}

/// Whether the kernel takes a program; any socket will do, and no privilege is needed.
bool attaches(std::vector<instruction> program) {
    int const socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sock_fprog const wrapped{static_cast<unsigned short>(program.size()),
                             reinterpret_cast<sock_filter*>(program.data())};
    bool const taken = ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &wrapped, sizeof wrapped) == 0 ||
                       errno == ENOMEM; // beyond net.core.optmem_max: valid, but too large for this machine
    ::close(socket);
    return taken;
}

std::vector<std::unique_ptr<sample>> ethernet_samples() {
    std::vector<std::unique_ptr<sample>> samples;
    for (auto const& [name, data] : frames::all())
        for (bool const strip : {false, true})
            samples.push_back(std::make_unique<sample>(data, strip));
    return samples;
}

std::vector<std::unique_ptr<sample>> cooked_samples(nr::link_type link) {
    std::vector<std::unique_ptr<sample>> samples;
    for (auto const& [name, data] : frames::all())
        samples.push_back(std::make_unique<sample>(sample{data, true}, link));
    return samples;
}

std::string printed(kernel_filter const& translated) {
    std::string text;
    for (int n = 0; auto const& step : translated.program)
        text += ::bpf_image(reinterpret_cast<bpf_insn const*>(&step), n++) + std::string{"\n"};
    return text;
}

} // namespace

BOOST_AUTO_TEST_CASE(expressions_keep_their_meaning_in_the_kernel) {
    tally seen;
    auto const samples = ethernet_samples();
    for (auto const* const expression : expressions::ethernet)
        for (auto const snap_length : {nr::filter::whole_packet, 14U, 50U}) {
            nr::filter const wanted{expression, nr::link_type::ethernet, snap_length};
            auto const translated = make_kernel_filter(wanted);
            std::string_view const text{expression};
            BOOST_TEST(translated.verdict.exact == (text.find("protochain") == std::string_view::npos), text);
            BOOST_TEST(attaches(translated.program), text);
            if (text.find("bound") == std::string_view::npos)
                for (auto const& packet : samples)
                    BOOST_TEST(keeps_promise(wanted, translated, *packet, seen), text);
        }
    BOOST_TEST_MESSAGE(seen.accepted << " accepted, " << seen.rejected << " rejected, " << seen.undecided
                                     << " undecided");
}

BOOST_AUTO_TEST_CASE(expressions_keep_their_meaning_on_a_cooked_socket) {
    char const* const cooked[] = {"udp",
                                  "udp port 53",
                                  "not udp",
                                  "ip6",
                                  "tcp or arp",
                                  "net 10.0.0.0/8",
                                  "len > 90",
                                  "link[24] = 0x45",
                                  "link[20:4] = 0x00050800",
                                  "link[18:4] = 0x00000005",
                                  "link[23:2] = 0x0045",
                                  "link[link[20]] = 0",
                                  "multicast",
                                  "portrange 50-60"};
    for (auto const link : {nr::link_type::linux_sll, nr::link_type::linux_sll2}) {
        tally seen;
        auto const samples = cooked_samples(link);
        for (auto const* const expression : cooked) {
            nr::error_code error;
            auto const wanted = nr::filter::compile(expression, link, nr::filter::whole_packet, error);
            if (error)
                continue; // some are for one version of the header only
            auto const translated = make_kernel_filter(wanted);
            BOOST_TEST(attaches(translated.program), expression);
            for (auto const& packet : samples)
                BOOST_TEST(keeps_promise(wanted, translated, *packet, seen), expression << "\n"
                                                                                        << to_string(wanted)
                                                                                        << printed(translated));
        }
        BOOST_TEST_MESSAGE(seen.accepted << " accepted, " << seen.rejected << " rejected, " << seen.undecided
                                         << " undecided");
        BOOST_TEST(seen.undecided < seen.accepted + seen.rejected);
    }
}

BOOST_AUTO_TEST_CASE(random_programs_keep_their_meaning) {
    std::vector<std::pair<nr::link_type, std::vector<std::unique_ptr<sample>>>> kinds;
    kinds.emplace_back(nr::link_type::ethernet, ethernet_samples());
    for (auto const link : {nr::link_type::linux_sll, nr::link_type::linux_sll2})
        kinds.emplace_back(link, cooked_samples(link));
    random_program generate{20};
    tally seen;
    std::size_t exact = 0, programs = 0;
    for (int round = 0; round != 6000; ++round) {
        auto const program = generate();
        auto const& [link, samples] = kinds[generate.below(4) == 0 ? 1 + generate.below(2) : 0];
        nr::error_code error;
        std::string message;
        auto const wanted = nr::filter::from_instructions(program, link, error, &message);
        BOOST_REQUIRE_MESSAGE(!error, message);
        auto const translated = make_kernel_filter(wanted);
        BOOST_TEST_REQUIRE(translated.program.size() <= nr::filter::max_instructions);
        ++programs;
        exact += translated.verdict.exact;
        if (round % 8 == 0)
            BOOST_TEST_REQUIRE(attaches(translated.program));
        for (int i = 0; i != 12; ++i) {
            auto const& packet = *samples[generate.below(static_cast<std::uint32_t>(samples.size()))];
            BOOST_REQUIRE_MESSAGE(keeps_promise(wanted, translated, packet, seen), "round " << round << '\n'
                                                                                            << to_string(wanted)
                                                                                            << printed(translated));
        }
    }
    BOOST_TEST_MESSAGE(programs << " programs, " << exact << " exact; " << seen.accepted << " accepted, "
                                << seen.rejected << " rejected, " << seen.undecided << " undecided");
    BOOST_TEST(exact > programs / 2);
    BOOST_TEST(seen.accepted > 10000U);
    BOOST_TEST(seen.rejected > 10000U);
    BOOST_TEST(seen.undecided > 100U);
}

BOOST_AUTO_TEST_CASE(real_packets_get_the_same_verdicts, *files::has_traces()) {
    std::vector<std::pair<nr::filter, kernel_filter>> filters;
    for (auto const* const expression : expressions::ethernet)
        if (std::string_view{expression}.find("bound") == std::string_view::npos) {
            nr::filter const wanted{expression};
            filters.emplace_back(wanted, make_kernel_filter(wanted));
        }
    tally seen;
    std::size_t packets = 0;
    for (auto const& trace : files::traces()) {
        std::array<char, PCAP_ERRBUF_SIZE> message{};
        std::unique_ptr<pcap_t, decltype(&::pcap_close)> const file{
            ::pcap_open_offline(trace.path.c_str(), message.data()), &::pcap_close};
        if (!file || ::pcap_datalink(file.get()) != DLT_EN10MB)
            continue;
        pcap_pkthdr* header = nullptr;
        u_char const* data = nullptr;
        for (int left = 200; left != 0 && ::pcap_next_ex(file.get(), &header, &data) == 1; --left) {
            if (header->caplen != header->len || header->len < 18)
                continue; // the kernel has no such packets
            sample const packet{bytes(data, data + header->caplen), left % 2 == 0};
            // Some of the expressions for each packet, in turn.
            for (std::size_t i = packets++ % 8; i < filters.size(); i += 8)
                BOOST_TEST(keeps_promise(filters[i].first, filters[i].second, packet, seen),
                           trace.path << ": " << filters[i].first.expression());
        }
    }
    BOOST_TEST_MESSAGE(packets << " packets: " << seen.accepted << " accepted, " << seen.rejected << " rejected, "
                               << seen.undecided << " undecided");
    BOOST_TEST(packets > 10000U);
}

BOOST_AUTO_TEST_CASE(far_jumps_are_led_over_trampolines) {
    // Each load grows in the tagged branch, so that the jumps over all of them no longer fit in eight bits.
    std::vector<instruction> program{{BPF_LD | BPF_B | BPF_ABS, 0, 0, 0}, {BPF_JMP | BPF_JEQ | BPF_K, 200, 100, 2}};
    for (std::uint32_t i = 0; i != 201; ++i)
        program.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, 13});
    program.push_back({BPF_RET | BPF_A, 0, 0, 0});
    auto const wanted = nr::filter::from_instructions(program);
    auto const translated = make_kernel_filter(wanted);
    BOOST_TEST(translated.verdict.exact);
    BOOST_TEST(translated.program.size() > 1000U);
    BOOST_TEST(attaches(translated.program));
    tally seen;
    for (auto const& packet : ethernet_samples())
        BOOST_TEST(keeps_promise(wanted, translated, *packet, seen));
}

BOOST_AUTO_TEST_CASE(a_translation_too_long_for_the_kernel_leaves_tagged_packets_to_the_reader) {
    auto const loads = [](std::size_t count) {
        std::vector<instruction> program(count, {BPF_LD | BPF_W | BPF_ABS, 0, 0, 13});
        program.push_back({BPF_RET | BPF_A, 0, 0, 0});
        return nr::filter::from_instructions(program);
    };
    auto const samples = ethernet_samples();
    for (auto const& [count, untagged] : {std::pair{1000U, true}, std::pair{4095U, false}}) {
        auto const wanted = loads(count);
        auto const translated = make_kernel_filter(wanted);
        BOOST_TEST(!translated.verdict.exact);
        BOOST_TEST(translated.verdict.exact_untagged == untagged);
        BOOST_TEST(translated.program.size() <= nr::filter::max_instructions);
        tally seen;
        for (auto const& packet : samples)
            BOOST_TEST(keeps_promise(wanted, translated, *packet, seen));
        BOOST_TEST(seen.undecided > 0U);
    }
}

BOOST_AUTO_TEST_CASE(programs_stay_short_where_tags_do_not_matter) {
    auto const size = [](char const* expression) { return make_kernel_filter(nr::filter{expression}).program.size(); };
    BOOST_TEST(size("") == 1U);
    BOOST_TEST(size("ether src 02:00:00:00:00:01") == nr::filter{"ether src 02:00:00:00:00:01"}.instructions().size());
    BOOST_TEST(size("tcp port 80") == nr::filter{"tcp port 80"}.instructions().size() + 4);
    BOOST_TEST(kernel_filter::accept(96).program.size() == 4U);
    BOOST_TEST(kernel_filter::accept(96).verdict.exact);
    BOOST_TEST(kernel_filter::reject_all().verdict.exact);
    BOOST_TEST(!kernel_filter::undecided().verdict.exact);
    tally seen;
    for (auto const& packet : ethernet_samples()) {
        BOOST_TEST(
            keeps_promise(nr::filter{"", nr::link_type::ethernet, 96}, kernel_filter::accept(96), *packet, seen));
        BOOST_TEST(kernel_model::run(kernel_filter::reject_all().program, packet->kernel) == 0U);
        BOOST_TEST(kernel_model::run(kernel_filter::undecided().program, packet->kernel) > 100000U);
    }
}
