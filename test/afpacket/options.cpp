#include "support.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using boost::test_tools::per_element;

BOOST_AUTO_TEST_SUITE(options, *lab::available())

BOOST_AUTO_TEST_CASE(members_of_a_fanout_group_share_and_a_closed_one_takes_no_more) {
    lab::pair const wire;
    using nr::fanout_mode;
    auto first = open_ring(wire.right, small().fanout(nr::fanout_options{fanout_mode::load_balance}));
    BOOST_REQUIRE(first.fanout_id().has_value());
    auto second =
        open_ring(wire.right, small().fanout(nr::fanout_options{fanout_mode::load_balance}.id(*first.fanout_id())));
    lab::send_numbered(wire.left, wire.right, {.count = 100});
    auto numbers = receive_numbers(first, 50);
    BOOST_TEST(numbers.size() == 50U);

    nr::packet_batch batch;
    nr::error_code ec;
    BOOST_REQUIRE(second.receive(batch, 500ms, ec) != 0U);
    auto const held = batch.hold(*batch.begin());
    auto const number = lab::frame_number(held->data);
    batch.reset();
    second.close();
    BOOST_TEST(lab::eventually([&] { return packet_socket_count(wire.right) == 1; }));
    lab::send_numbered(wire.left, wire.right, {.count = 100, .first = 100});
    BOOST_TEST(receive_numbers(first, 100) == numbers_up_to(200, 100), per_element());
    BOOST_TEST((lab::frame_number(held->data) == number));

    nr::afpacket::rx_ring stranger;
    wire.right.enter(
        [&] { stranger.open(small().fanout(nr::fanout_options{fanout_mode::hash}.id(*first.fanout_id())), ec); });
    BOOST_TEST((ec == nr::error::fanout_conflict));
}

BOOST_AUTO_TEST_CASE(all_fanout_modes_and_flags_open) {
    lab::pair const wire;
    using nr::fanout_mode;
    for (auto const mode : {fanout_mode::hash, fanout_mode::load_balance, fanout_mode::cpu, fanout_mode::rollover,
                            fanout_mode::random, fanout_mode::queue_mapping}) {
        auto const ring =
            open_ring(wire.right, small().ignore_outgoing(true).fanout(nr::fanout_options{mode}
                                                                           .defragment(true)
                                                                           .roll_over(mode != fanout_mode::rollover)
                                                                           .maximum_members(300)));
        BOOST_TEST(ring.fanout_id().has_value());
    }
    // The program picks member 0 or 1 by the last byte of the number, seen from the network header.
    std::vector<nr::filter::instruction> const by_parity{{0x30, 0, 0, 7}, {0x54, 0, 0, 1}, {0x16, 0, 0, 0}};
    auto options = nr::fanout_options{fanout_mode::classic_bpf}.program(by_parity);
    auto even = open_ring(wire.right, small().fanout(options));
    auto odd = open_ring(wire.right, small().fanout(options.id(*even.fanout_id())));
    lab::send_numbered(wire.left, wire.right, {.count = 100});
    for (auto const number : receive_numbers(even, 50))
        BOOST_TEST(number % 2 == 0U);
    auto const numbers = receive_numbers(odd, 50);
    BOOST_TEST(numbers.size() == 50U);
    for (auto const number : numbers)
        BOOST_TEST(number % 2 == 1U);
}

BOOST_AUTO_TEST_CASE(all_interfaces_are_captured_as_cooked_packets) {
    lab::pair const wire;
    lab::pair const second{wire.left, wire.right, lab::pair_options{}.names("left2", "right2")};
    auto ring = open_ring(wire.right, small("any").filter("ether proto 0x88b5"));
    BOOST_TEST((ring.link() == nr::link_type::linux_sll2));
    lab::send_numbered(wire.left, wire.right, {.count = 1, .size = 100, .first = 1});
    lab::send_numbered(second.left, second.right, {.count = 1, .size = 100, .first = 2});
    std::vector<int> interfaces;
    nr::packet_batch batch;
    nr::error_code ec;
    while (interfaces.size() < 2 && ring.receive(batch, 500ms, ec) != 0)
        for (auto const packet : batch) {
            BOOST_REQUIRE(packet.data.size() == 20U + 86U);
            BOOST_TEST(packet.wire_length == 106U);
            auto at = [&](std::size_t i) { return std::to_integer<int>(packet.data[i]); };
            BOOST_TEST(at(0) == 0x88);
            BOOST_TEST(at(1) == 0xb5);
            BOOST_TEST(((at(4) << 24 | at(5) << 16 | at(6) << 8 | at(7)) == packet.interface_index));
            BOOST_TEST(at(9) == 1);  // ARPHRD_ETHER
            BOOST_TEST(at(10) == 0); // to us
            BOOST_TEST(at(11) == 6);
            BOOST_TEST(at(27) == static_cast<int>(interfaces.size()) + 1); // the number
            interfaces.push_back(packet.interface_index);
        }
    std::vector const expected{static_cast<int>(wire.right.index()), static_cast<int>(second.right.index())};
    BOOST_TEST(interfaces == expected, per_element());
}

BOOST_AUTO_TEST_CASE(a_ring_opens_in_another_network_namespace) {
    lab::pair const wire;
    nr::afpacket::rx_ring ring;
    ring.open(small().network_namespace(wire.right.path()));
    lab::send_numbered(wire.left, wire.right, {.count = 3});
    BOOST_TEST(receive_numbers(ring, 3) == numbers_up_to(3), per_element());
    nr::error_code ec;
    nr::afpacket::rx_ring{}.open(small().network_namespace("no-such-namespace"), ec);
    BOOST_TEST((ec == nr::error::no_such_namespace));
}

BOOST_AUTO_TEST_CASE(a_packet_socket_opened_elsewhere_is_taken_over) {
    lab::pair const wire;
    auto const socket = wire.right.enter([] { return ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); });
    nr::afpacket::rx_ring ring;
    wire.right.enter([&] { ring.assign(socket, small()); });
    BOOST_TEST(ring.native_handle() == socket);
    lab::send_numbered(wire.left, wire.right, {.count = 3});
    BOOST_TEST(receive_numbers(ring, 3) == numbers_up_to(3), per_element());
    // The interface is that of the socket's namespace, not of the thread's.
    nr::afpacket::rx_ring other;
    other.assign(wire.right.enter([] { return ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); }), small());
    lab::send_numbered(wire.left, wire.right, {.count = 2});
    BOOST_TEST(receive_numbers(other, 2) == numbers_up_to(2), per_element());
}

BOOST_AUTO_TEST_CASE(without_descriptors_the_error_is_that_and_none_stays_open) {
    lab::pair const wire;
    auto const options = small().profile(nr::capture_profile::low_latency).latency_budget(1ms);
    open_ring(wire.right, options).close(); // what opens something for good has done so
    wire.right.enter([&] {
        auto const next_descriptor = [] {
            int const descriptor = ::dup(STDERR_FILENO);
            ::close(descriptor);
            return descriptor;
        };
        BOOST_TEST_REQUIRE(lab::eventually([&] { return packet_socket_count(wire.right) == 0; }));
        auto const first = next_descriptor();
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        nr::error_code ec = nr::error::not_open;
        for (int room = 0; ec; ++room) {
            rlimit const narrow{static_cast<rlim_t>(first + room), before.rlim_max};
            nr::afpacket::rx_ring ring;
            ::setrlimit(RLIMIT_NOFILE, &narrow);
            ring.open(options, ec);
            ::setrlimit(RLIMIT_NOFILE, &before);
            if (ec) {
                BOOST_TEST((ec == boost::system::errc::too_many_files_open), room << ": " << ec.message());
                BOOST_TEST(next_descriptor() <= first); // the helper thread may free others
            }
            BOOST_TEST_REQUIRE(room < 64);
        }
    });
}

BOOST_AUTO_TEST_CASE(a_ring_in_a_forked_process_is_closed_as_well) {
#if !defined(__SANITIZE_THREAD__) // which allows no threads after it
    lab::pair const wire;
    open_ring(wire.right, small()).close(); // the helper thread runs, and will not in the child
    auto const child = ::fork();
    if (child == 0) {
        auto ring = open_ring(wire.right, small());
        int const socket = ring.native_handle();
        ring.close();
        ::_exit(lab::eventually([&] { return ::fcntl(socket, F_GETFD) == -1; }) ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    BOOST_TEST(status == 0);
#endif
}

BOOST_AUTO_TEST_CASE(a_device_of_another_kind_does_not_take_the_place_of_one, *lab::real_root()) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, small().on_link_down(nr::link_down_policy::reopen_by_name));
    wire.right.remove();
    wire.right.run({"ip", "tuntap", "add", "dev", "right", "mode", "tun"});
    wire.right.run({"ip", "link", "set", "right", "up"});
    nr::packet_batch batch;
    nr::error_code ec;
    ring.receive(batch, 50ms, ec);
    BOOST_TEST((ec == nr::error::timed_out));
    wire.right.run({"ip", "link", "del", "right"});
    lab::pair const again{wire.left, wire.right, lab::pair_options{}};
    ring.receive(batch, 50ms, ec); // takes note of the new one
    lab::send_numbered(again.left, again.right, {.count = 1, .first = 3});
    BOOST_TEST(receive_numbers(ring, 1) == std::vector<std::uint64_t>{3}, per_element());
}

BOOST_AUTO_TEST_CASE(each_bad_option_is_refused_and_named) {
    lab::pair const wire;
    using options = nr::capture_options;
    struct {
        options value;
        nr::error expected;
        char const* named;
    } const cases[] = {
        {options{"nowhere"}, nr::error::no_such_interface, "nowhere"},
        {options{"a-name-that-is-far-too-long"}, nr::error::no_such_interface, "too-long"},
        {options{""}, nr::error::no_such_interface, "0"},
        {options{4711}, nr::error::no_such_interface, "4711"},
        {small().block_size(1000), nr::error::invalid_ring_geometry, "block_size"},
        {small().block_size(0), nr::error::invalid_ring_geometry, "block_size"},
        {small().block_count(1), nr::error::invalid_ring_geometry, "block_count"},
        {small().block_count(1 << 20), nr::error::invalid_ring_geometry, "block_count"},
        {small().minimum_block_count(9), nr::error::invalid_ring_geometry, "minimum_block_count"},
        {small().block_timeout(-1ms), nr::error::invalid_option, "block_timeout"},
        {small().block_timeout(61s), nr::error::invalid_option, "block_timeout"},
        {small().snap_length(0), nr::error::invalid_option, "snap_length"},
        {small().pin_budget(9), nr::error::invalid_option, "pin_budget"},
        {small().busy_poll(-1us), nr::error::invalid_option, "busy_poll"},
        {small().filter("port port"), nr::error::bad_filter, "filter"},
        {small("any").promiscuous(true), nr::error::conflicting_options, "promiscuous"},
        {small().timestamps(nr::timestamp_source::hardware), nr::error::unsupported_option, "timestamps"},
        {small().fanout(nr::fanout_options{nr::fanout_mode::classic_bpf}), nr::error::conflicting_options,
         "classic_bpf"},
        {small().fanout(nr::fanout_options{nr::fanout_mode::extended_bpf}), nr::error::conflicting_options,
         "extended_bpf"},
        {small().fanout(nr::fanout_options{nr::fanout_mode::rollover}.roll_over(true)), nr::error::conflicting_options,
         "roll_over"},
        {small().fanout(nr::fanout_options{}.maximum_members(70'000)), nr::error::invalid_option, "maximum_members"},
        {small().on_link_down(nr::link_down_policy::reopen_by_name).fanout(nr::fanout_options{}),
         nr::error::conflicting_options, "reopen_by_name"},
    };
    wire.right.enter([&] {
        for (auto const& [value, expected, named] : cases) {
            nr::error_code ec;
            nr::afpacket::rx_ring ring;
            ring.open(value, ec);
            BOOST_TEST((ec == expected), named << ": " << ec.message());
            BOOST_TEST(!ring.is_open());
            BOOST_CHECK_EXCEPTION(ring.open(value), nr::system_error, [&](auto const& thrown) {
                return thrown.code() == expected && std::string{thrown.what()}.find(named) != std::string::npos;
            });
        }
    });
    BOOST_TEST(lab::eventually([&] { return packet_socket_count(wire.right) == 0; }));
}

BOOST_AUTO_TEST_CASE(options_that_this_kernel_knows_are_obtained) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, small()
                                          .rx_hash(true)
                                          .offload_details(true)
                                          .all_multicast(true)
                                          .ignore_outgoing(true)
                                          .block_timeout(0ms)
                                          .busy_poll(50us));
    lab::send_numbered(wire.right, wire.left, {.count = 10}); // ignored
    lab::send_numbered(wire.left, wire.right, {.count = 3});
    BOOST_TEST(receive_numbers(ring, 3) == numbers_up_to(3), per_element());
    BOOST_TEST(ring.statistics().received == 3U);
    BOOST_TEST(wire.right.run({"ip", "-d", "link", "show", "right"}).find("allmulti 1") != std::string::npos);
    BOOST_TEST(ring.options().interface_name() == "right");
    BOOST_TEST(ring.options().block_count() == 8U);
    BOOST_TEST(ring.options().pin_budget() == 4U);
}

BOOST_AUTO_TEST_CASE(a_ring_shrinks_to_the_memory_there_is_but_not_below_the_bound) {
    lab::pair const wire;
    rlimit const unlimited = [] {
        rlimit limit{};
        ::getrlimit(RLIMIT_AS, &limit);
        return limit;
    }();
    std::size_t pages = 0;
    std::ifstream{"/proc/self/statm"} >> pages;
    rlimit tight = unlimited;
    tight.rlim_cur = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + (48U << 20);
    nr::afpacket::rx_ring shrunk, failed;
    nr::error_code ec;
    wire.right.enter([&] {
        ::setrlimit(RLIMIT_AS, &tight);
        shrunk.open(small().block_size(1 << 20).block_count(64).minimum_block_count(4), ec);
        nr::error_code other;
        failed.open(small().block_size(1 << 20).block_count(64).minimum_block_count(60), other);
        ::setrlimit(RLIMIT_AS, &unlimited);
        BOOST_TEST((other == nr::error::no_ring_memory), other.message());
    });
    BOOST_TEST(!ec);
    BOOST_TEST(shrunk.options().block_count() < 64U);
    BOOST_TEST(shrunk.options().block_count() >= 4U);
    BOOST_TEST(!failed.is_open());
    lab::send_numbered(wire.left, wire.right, {.count = 3});
    BOOST_TEST(receive_numbers(shrunk, 3) == numbers_up_to(3), per_element());
}

BOOST_AUTO_TEST_CASE(offload_of_a_local_sender_is_described_and_not_taken_for_damage) {
    lab::pair const wire{lab::pair_options{}.ipv4()};
    auto ring =
        open_ring(wire.right, nr::capture_options{"right"}.offload_details(true).filter("tcp").block_timeout(2ms));
    auto server = wire.right.start({"python3", "-c",
                                    "import socket; s=socket.create_server(('10.77.0.2',9)); print('up',flush=True); "
                                    "c=s.accept()[0]\nwhile c.recv(65536): pass"});
    BOOST_REQUIRE(server.wait_for_output("up", 10s));
    wire.left.run(
        {"python3", "-c", "import socket; s=socket.create_connection(('10.77.0.2',9)); s.sendall(bytes(400000))"});
    bool segments = false, partial = false;
    nr::packet_batch batch;
    nr::error_code ec;
    while (ring.receive(batch, 300ms, ec) != 0)
        for (auto const packet : batch) {
            if (packet.offload.type == nr::gso_type::tcp_ipv4 && packet.wire_length > 1514) {
                segments = true;
                BOOST_TEST(packet.offload.segment_size > 500);
                BOOST_TEST(packet.offload.header_length >= 54);
                BOOST_TEST(!packet.truncated());
            }
            if (packet.checksum == nr::checksum_state::partial && packet.offload.checksum_start != 0) {
                partial = true;
                BOOST_TEST(packet.offload.checksum_start == 34);
                BOOST_TEST(packet.offload.checksum_offset == 16);
            }
        }
    BOOST_TEST(segments);
    BOOST_TEST(partial);
}

BOOST_AUTO_TEST_CASE(without_privilege_the_error_says_what_is_needed) {
    auto const child = ::fork();
    if (child == 0) {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct const none[2]{};
        if (::syscall(SYS_capset, &header, none) != 0)
            ::_exit(3);
        nr::error_code ec;
        nr::afpacket::rx_ring{}.open(nr::capture_options{"any"}, ec);
        ::_exit(ec == nr::error::missing_privilege ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

BOOST_AUTO_TEST_CASE(a_device_without_link_header_is_captured_as_ip, *lab::real_root()) {
    lab::network const here;
    here.enter([&] {
        auto const device = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        BOOST_REQUIRE(device >= 0);
        ifreq request{};
        std::string{"tunnel"}.copy(request.ifr_name, IFNAMSIZ - 1);
        request.ifr_flags = IFF_TUN | IFF_NO_PI;
        BOOST_REQUIRE(::ioctl(device, TUNSETIFF, &request) == 0);
        here.run({"ip", "link", "set", "tunnel", "up"});
        nr::afpacket::rx_ring ring;
        ring.open(small("tunnel").filter("udp port 53"));
        BOOST_TEST((ring.link() == nr::link_type::raw_ip));
        // 10.0.0.1 to 10.0.0.2, UDP from 4660, without checksum, to port 53 and to port 54.
        unsigned char packet[] = {0x45, 0, 0,  28, 0, 0, 0,    0,    64, 17, 0, 0, 10, 0,
                                  0,    1, 10, 0,  0, 2, 0x12, 0x34, 0,  53, 0, 8, 0,  0};
        for (int i = 0; i != 2; ++i, ++packet[23]) {
            BOOST_REQUIRE(::write(device, packet, sizeof packet) == sizeof packet);
        }
        nr::packet_batch batch;
        nr::error_code ec;
        BOOST_REQUIRE(ring.receive(batch, 500ms, ec) == 1U);
        auto const seen = *batch.begin();
        BOOST_TEST(seen.data.size() == 28U);
        BOOST_TEST(std::to_integer<int>(seen.data[23]) == 53);
        BOOST_TEST(seen.protocol == 0x800);
        BOOST_TEST((seen.link == nr::link_type::raw_ip));
        BOOST_TEST(ring.receive(batch, 20ms, ec) == 0U);
        ::close(device);
    });
}

BOOST_AUTO_TEST_CASE(an_extended_program_chooses_the_member, *lab::real_root()) {
    lab::pair const wire;
    bpf_insn const always_one[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    attributes.insns = reinterpret_cast<std::uintptr_t>(always_one);
    attributes.insn_cnt = 2;
    attributes.license = reinterpret_cast<std::uintptr_t>("BSL");
    auto const program = static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes));
    BOOST_REQUIRE(program >= 0);
    auto options = nr::fanout_options{nr::fanout_mode::extended_bpf}.program(program);
    auto first = open_ring(wire.right, small().fanout(options));
    auto second = open_ring(wire.right, small().fanout(options.id(*first.fanout_id())));
    ::close(program);
    lab::send_numbered(wire.left, wire.right, {.count = 20});
    BOOST_TEST(receive_numbers(second, 20) == numbers_up_to(20), per_element());
    BOOST_TEST(first.statistics().received == 0U);
}

BOOST_AUTO_TEST_CASE(busy_polling_is_set_up_as_asked, *lab::real_root()) {
    lab::pair const wire;
    auto ring = open_ring(wire.right, small().busy_poll(70us).prefer_busy_poll(8));
    int value = 0;
    socklen_t length = sizeof value;
    BOOST_TEST(::getsockopt(ring.native_handle(), SOL_SOCKET, SO_BUSY_POLL, &value, &length) == 0);
    BOOST_TEST(value == 70);
    BOOST_TEST(::getsockopt(ring.native_handle(), SOL_SOCKET, SO_PREFER_BUSY_POLL, &value, &length) == 0);
    BOOST_TEST(value == 1);
    lab::send_numbered(wire.left, wire.right, {.count = 3});
    BOOST_TEST(receive_numbers(ring, 3) == numbers_up_to(3), per_element());
}

BOOST_AUTO_TEST_SUITE_END()
