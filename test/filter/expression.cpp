#include <netring_asio/detail/kernel_filter.hpp>
#include <netring_asio/filter.hpp>

#include <boost/system/errc.hpp>
#include <boost/test/unit_test.hpp>

#include <filter/expressions.hpp>
#include <filter/frames.hpp>
#include <memory>
#include <sstream>
#include <string_view>
#include <thread>
#include <vector>

#include <pcap/pcap.h>

namespace nr = netring_asio;
using frames::operator+;
using frames::view_of;
using instruction = nr::filter::instruction;

namespace {

/// libpcap by itself: what it says of a frame that lies in a file.
class oracle {
public:
    explicit oracle(char const* expression)
        : handle_{::pcap_open_dead(DLT_EN10MB, 262144), &::pcap_close} {
        BOOST_REQUIRE_MESSAGE(::pcap_compile(handle_.get(), &program_, expression, 1, PCAP_NETMASK_UNKNOWN) == 0,
                              expression << ": " << ::pcap_geterr(handle_.get()));
    }
    ~oracle() { ::pcap_freecode(&program_); }
    oracle(oracle const&) = delete;
    oracle& operator=(oracle const&) = delete;

    bool matches(frames::bytes const& data) const {
        pcap_pkthdr const header{{}, static_cast<bpf_u_int32>(data.size()), static_cast<bpf_u_int32>(data.size())};
        return ::pcap_offline_filter(&program_, &header, data.data()) != 0;
    }

private:
    std::unique_ptr<pcap_t, decltype(&::pcap_close)> handle_;
    bpf_program program_{};
};

std::string message_of(std::string_view expression) {
    nr::error_code error;
    std::string message = "left over";
    auto const result =
        nr::filter::compile(expression, nr::link_type::ethernet, nr::filter::whole_packet, error, &message);
    BOOST_TEST((!error || error == nr::error::bad_filter));
    BOOST_TEST((!error || !result.matches(view_of(frames::untagged().front().data))));
    return message;
}

std::string check(std::vector<instruction> const& program) {
    nr::error_code error;
    std::string message;
    nr::filter::from_instructions(program, nr::link_type::ethernet, error, &message);
    BOOST_TEST((!error || error == nr::error::bad_filter));
    return message;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

} // namespace

BOOST_AUTO_TEST_CASE(verdicts_are_libpcaps_on_the_frame_with_its_tags_in_place) {
    std::size_t accepted = 0, rejected = 0;
    auto const all = frames::all();
    for (auto const* const expression : expressions::ethernet) {
        if (contains(expression, "bound"))
            continue; // about the direction, which a file does not have
        nr::filter const tested{expression};
        oracle const libpcap{expression};
        for (auto const& [name, data] : all) {
            bool const expected = libpcap.matches(data);
            (expected ? accepted : rejected)++;
            frames::stripped const packet{data};
            BOOST_TEST(tested.matches(view_of(data)) == expected, expression << " on " << name);
            BOOST_TEST(tested.matches(packet.view) == expected, expression << " on " << name << ", tag taken out");
        }
    }
    BOOST_TEST_MESSAGE(accepted << " accepted, " << rejected << " rejected");
    BOOST_TEST(accepted > 5000U);
    BOOST_TEST(rejected > 5000U);
}

BOOST_AUTO_TEST_CASE(direction_and_interface_are_those_of_the_packet) {
    auto const data = frames::untagged().front().data;
    auto packet = view_of(data);
    nr::filter const outbound{"outbound"}, inbound{"inbound"}, third{"ifindex 3"};
    BOOST_TEST(!outbound.matches(packet));
    BOOST_TEST(!inbound.matches(packet));
    BOOST_TEST(!third.matches(packet));
    packet.direction = nr::direction::outgoing;
    packet.interface_index = 3;
    BOOST_TEST(outbound.matches(packet));
    BOOST_TEST(!inbound.matches(packet));
    BOOST_TEST(third.matches(packet));
    packet.direction = nr::direction::multicast;
    packet.interface_index = 4;
    BOOST_TEST(!outbound.matches(packet));
    BOOST_TEST(inbound.matches(packet));
    BOOST_TEST(!third.matches(packet));
}

BOOST_AUTO_TEST_CASE(other_link_types_begin_with_their_own_header) {
    using nr::link_type;
    auto const matches = [](char const* expression, link_type compiled, nr::packet_view const& packet) {
        return nr::filter{expression, compiled}.matches(packet);
    };
    auto const inner = frames::ip4(17, frames::udp(1234, 53));
    auto packet = view_of(inner);
    packet.link = link_type::raw_ip;
    BOOST_TEST(matches("udp port 53", link_type::raw_ip, packet));
    BOOST_TEST(!matches("tcp", link_type::raw_ip, packet));
    BOOST_TEST(!matches("len > 1", link_type::ethernet, packet));
    BOOST_TEST(matches("", link_type::ethernet, packet));
    packet.link = link_type::ipv4;
    BOOST_TEST(matches("udp port 53", link_type::ipv4, packet));

    auto const cooked = frames::bytes{8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0} + inner;
    packet = view_of(cooked);
    packet.link = link_type::linux_sll2;
    BOOST_TEST(matches("udp port 53", link_type::linux_sll2, packet));
    BOOST_TEST(matches("ifindex 3", link_type::linux_sll2, packet));
    packet.vlan = {0x8100, 5};
    BOOST_TEST(!matches("udp port 53", link_type::linux_sll2, packet));
    BOOST_TEST(
        matches("link[0:2] = 0x8100 and link[20:4] = 0x00050800 and link[24] = 0x45", link_type::linux_sll2, packet));

    auto const first_version = frames::bytes{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0} + inner;
    packet = view_of(first_version);
    packet.link = link_type::linux_sll;
    BOOST_TEST(matches("udp port 53", link_type::linux_sll, packet));
    packet.vlan = {0x8100, 5};
    BOOST_TEST(matches("link[14:4] = 0x81000005 and link[18:2] = 0x0800", link_type::linux_sll, packet));
}

BOOST_AUTO_TEST_CASE(the_snap_length_counts_the_tag_and_shortens_the_data) {
    auto const frame = frames::untagged().front().data;
    nr::filter const tested{"udp or vlan", nr::link_type::ethernet, 40};
    BOOST_TEST(tested.snap_length() == 40U);
    auto packet = view_of(frame);
    BOOST_TEST(tested.accepted_length(packet) == 40U);
    BOOST_TEST(tested.apply(packet));
    BOOST_TEST(packet.data.size() == 40U);
    BOOST_TEST(packet.truncated());
    packet = view_of(frame);
    packet.vlan = {0x8100, 5};
    BOOST_TEST(tested.apply(packet));
    BOOST_TEST(packet.data.size() == 36U);
    BOOST_TEST(!nr::filter{"tcp"}.apply(packet));
    BOOST_TEST((nr::filter{"", nr::link_type::ethernet, 14}.apply(packet)));
    BOOST_TEST(packet.data.size() == 12U);
}

BOOST_AUTO_TEST_CASE(the_default_filter_accepts_everything) {
    nr::filter const everything;
    BOOST_TEST(everything.accepted_length({}) == nr::filter::whole_packet);
    BOOST_TEST(everything.expression().empty());
    BOOST_TEST(everything.instructions().size() == 1U);
    auto const program = nr::detail::make_kernel_filter(everything);
    BOOST_TEST(program.verdict.exact);
    BOOST_TEST(program.program.size() == 1U);
    auto from = nr::filter{"udp"};
    auto const to = std::move(from);
    BOOST_TEST(from.expression() == to.expression()); // moving copies
}

BOOST_AUTO_TEST_CASE(bad_text_is_located) {
    auto const syntax = std::string{"can't parse filter expression: syntax error"};
    BOOST_TEST(message_of("tcp and and udp") == syntax + ", at 'and' (column 9)");
    BOOST_TEST(message_of("udp port 53 and (tcp  prt 80) or icmp") == syntax + ", at 'prt' (column 23)");
    BOOST_TEST(message_of("tcp)") == syntax + ", at ')' (column 4)");
    BOOST_TEST(message_of("tcp @ udp") == syntax + ", at '@' (column 5)");
    BOOST_TEST(message_of("(tcp") == syntax + ", the expression ends too early (column 5)");
    BOOST_TEST(message_of("tcp and") == syntax + ", the expression ends too early (column 8)");
    BOOST_TEST(message_of("tcp[1") == syntax + ", the expression ends too early (column 6)");
    BOOST_TEST(message_of("ip6 host fd00::1 and tcp[0:2] = = 4") == syntax + ", at '=' (column 33)");
    BOOST_TEST(message_of("udp or port 99999 or tcp") == "illegal port number 99999 > 65535, at '99999' (column 13)");
    BOOST_TEST(message_of("ether[0:3] = 1") == "data size must be 1, 2, or 4, at ']' (column 10)");
    BOOST_TEST(message_of("tcp dst port nosuchservice or udp") ==
               "unknown port 'nosuchservice', at 'nosuchservice' (column 14)");
    BOOST_TEST(message_of("net 10.0.0.1/8") == "non-network bits set in \"10.0.0.1/8\", at '8' (column 14)");
    BOOST_TEST(contains(message_of("udp and ip broadcast"), "netmask not known"));
    BOOST_TEST(contains(message_of("udp and ip broadcast"), "(column 12)"));
    BOOST_TEST(message_of("udp").empty());
    BOOST_TEST(message_of(std::string_view{"udp\0 or tcp", 11}) == "a null character (column 4)");
}

BOOST_AUTO_TEST_CASE(errors_are_thrown_with_what_to_do) {
    try {
        nr::filter const tested{"tcp and and udp"};
        BOOST_ERROR("accepted");
    } catch (nr::system_error const& failure) {
        BOOST_TEST((failure.code() == nr::error::bad_filter));
        BOOST_TEST((failure.code() == boost::system::errc::invalid_argument));
        for (auto const* const part : {"tcp and and udp", "syntax error, at 'and' (column 9)", "pcap-filter(7)"})
            BOOST_TEST(contains(failure.what(), part), failure.what());
    }
    nr::error_code error;
    nr::filter::compile("udp", nr::link_type::ethernet, 0, error);
    BOOST_TEST((error == nr::error::invalid_option));
    nr::filter::compile("udp", nr::link_type::ethernet, 0x80000000, error);
    BOOST_TEST((error == nr::error::invalid_option));
    nr::filter::compile("udp", static_cast<nr::link_type>(0x7ffe), 100, error);
    BOOST_TEST((error == nr::error::bad_filter));
}

BOOST_AUTO_TEST_CASE(a_program_too_long_for_the_kernel_is_an_error) {
    std::string expression = "ether[0]";
    for (int i = 1; i != 1000; ++i)
        expression += " + ether[" + std::to_string(i) + ']';
    expression += " = 1";
    nr::error_code error;
    std::string message;
    auto const result = nr::filter::compile(expression, nr::link_type::ethernet, 100, error, &message);
    BOOST_TEST((error == nr::error::filter_too_long));
    BOOST_TEST(contains(message, "instructions"), message);
    BOOST_TEST(!result.matches(view_of(frames::untagged().front().data)));
    nr::filter::compile("udp", nr::link_type::ethernet, 100, error, &message);
    BOOST_TEST(!error);
    BOOST_TEST(message.empty());

    nr::filter::from_instructions(std::vector<instruction>(4097, {BPF_RET | BPF_K, 0, 0, 96}), nr::link_type::ethernet,
                                  error);
    BOOST_TEST((error == nr::error::filter_too_long));
}

BOOST_AUTO_TEST_CASE(ready_programs_are_checked) {
    instruction const accept{BPF_RET | BPF_K, 0, 0, 96};
    BOOST_TEST(check({accept}).empty());
    BOOST_TEST(check({{BPF_LD | BPF_H | BPF_ABS, 0, 0, 12}, {BPF_JMP | BPF_JEQ, 0, 1, 0x800}, accept, accept}).empty());
    BOOST_TEST(check({{BPF_ST, 0, 0, 3}, {BPF_LDX | BPF_MEM, 0, 0, 3}, {BPF_RET | BPF_A, 0, 0, 0}}).empty());
    BOOST_TEST(check({{BPF_LD | BPF_H | BPF_ABS, 0, 0, 0xfffff004}, accept}).empty());

    BOOST_TEST(check({}) == "the program is empty");
    BOOST_TEST(check({{0xffff, 0, 0, 0}, accept}) == "instruction 0: unknown operation");
    BOOST_TEST(check({{BPF_LDX | BPF_B | BPF_ABS, 0, 0, 0}, accept}) == "instruction 0: unknown operation");
    BOOST_TEST(check({{BPF_RET | BPF_X, 0, 0, 0}}) == "instruction 0: unknown operation");
    BOOST_TEST(contains(check({{BPF_LD | BPF_IMM, 0, 0, 1}}), "leaves the program"));
    BOOST_TEST(contains(check({{BPF_JMP | BPF_JA, 0, 0, 0xffffffff}, accept}), "leaves the program"));
    BOOST_TEST(contains(check({{BPF_JMP | BPF_JEQ, 0, 1, 0}, accept}), "leaves the program"));
    BOOST_TEST(contains(check({{BPF_LD | BPF_MEM, 0, 0, 3}, accept}), "may not have been written"));
    BOOST_TEST(contains(check({{BPF_JMP | BPF_JEQ, 0, 1, 0}, {BPF_ST, 0, 0, 3}, {BPF_LD | BPF_MEM, 0, 0, 3}, accept}),
                        "may not have been written"));
    BOOST_TEST(contains(check({{BPF_ST, 0, 0, 16}, accept}), "16 words"));
    BOOST_TEST(contains(check({{BPF_ALU | BPF_DIV, 0, 0, 0}, accept}), "division by zero"));
    BOOST_TEST(contains(check({{BPF_ALU | BPF_LSH, 0, 0, 32}, accept}), "31 bits"));
    BOOST_TEST(contains(check({{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0xfffff02c}, accept}), "metadata"));
    BOOST_TEST(contains(check({{BPF_LD | BPF_W | BPF_IND, 0, 0, 0xfff00000}, accept}), "metadata"));
    BOOST_CHECK_THROW(nr::filter::from_instructions({}), nr::system_error);

    nr::filter const compiled{"udp port 53", nr::link_type::ethernet, 77};
    auto const copy = nr::filter::from_instructions(compiled.instructions());
    BOOST_TEST(copy.snap_length() == 77U);
    for (auto const& [name, data] : frames::all())
        BOOST_TEST(copy.accepted_length(view_of(data)) == compiled.accepted_length(view_of(data)), name);
}

BOOST_AUTO_TEST_CASE(programs_print_as_tcpdump_prints_them) {
    std::ostringstream text;
    text << nr::filter{"udp", nr::link_type::raw_ip};
    BOOST_TEST(text.str().starts_with("(000) ldb      [0]\n"));
    BOOST_TEST(to_string(nr::filter{}) == "(000) ret      #262144\n");
}

BOOST_AUTO_TEST_CASE(filters_may_be_made_and_used_on_several_threads) {
    nr::filter const shared{"udp port 53 or vlan 5"};
    auto const text = to_string(shared);
    auto const all = frames::all();
    std::vector<int> matched(4);
    std::vector<std::thread> threads;
    for (auto& count : matched)
        threads.emplace_back([&] {
            for (int round = 0; round != 20; ++round) {
                nr::filter const own{"udp port 53 or vlan 5"};
                for (auto const& [name, data] : all) {
                    frames::stripped const packet{data};
                    count += own.matches(packet.view) && shared.matches(packet.view);
                }
                count += to_string(own) == text;
            }
        });
    for (auto& thread : threads)
        thread.join();
    BOOST_TEST(matched[0] > 100);
    for (auto const count : matched)
        BOOST_TEST(count == matched[0]);
}
