#include "../filter/frames.hpp"
#include "support.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <lab/lab.hpp>
#include <lab/patterned.hpp>
#include <lab/tagging.hpp>
#include <thread>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

/// Whole frames of all sizes come and go.
void exchange(lab::pair const& wire, nr::xdp_socket& socket, std::uint64_t count, std::size_t longest = 1514) {
    lab::pattern const there{wire.right.address(), 60, longest}, back{wire.left.address(), 60, longest};
    std::vector<std::byte> bytes(longest);
    std::vector<std::vector<std::uint8_t>> frames;
    for (std::uint64_t i = 0; i != count; ++i) {
        there.write(i, bytes);
        auto const* const data = reinterpret_cast<std::uint8_t const*>(bytes.data());
        frames.emplace_back(data, data + there.size(i));
    }
    wire.left.send_each(frames);
    std::uint64_t received = 0;
    nr::error_code ec;
    for (nr::packet_batch batch; received != count && socket.receive(batch, 5s, ec) != 0;)
        for (auto const packet : batch)
            BOOST_TEST(there.matches(received++, packet.data));
    BOOST_TEST(received == count);
    lab::pattern_receiver peer{wire.left, back};
    for (std::uint64_t i = 0; i != count; ++i) {
        back.write(i, bytes);
        BOOST_TEST(socket.send(net::buffer(bytes, back.size(i))) == back.size(i));
    }
    BOOST_TEST(socket.wait_drained(5s).taken == count);
    auto const found = peer.finish(count);
    BOOST_TEST(found.received == count);
    BOOST_TEST(found.damaged == 0U);
}

} // namespace

BOOST_AUTO_TEST_SUITE(xdp_socket, *lab::real_root())

BOOST_AUTO_TEST_CASE(frames_come_once_and_whole_in_each_mode_from_one_queue_and_several) {
    auto const count = many_frames();
    for (auto const mode : {nr::xdp_attach_mode::native, nr::xdp_attach_mode::generic})
        for (unsigned const queues : {1U, 4U}) {
            lab::pair const wire{lab::pair_options{}.queues(queues)};
            net::io_context context{1};
            auto socket = open_at(wire.right, context, everything().attach_mode(mode).ring_sizes(8192, 64));
            BOOST_TEST((socket.options().attach_mode() == mode));
            BOOST_TEST((socket.options().copy_mode() == nr::xdp_copy_mode::copy));
            BOOST_TEST(socket.options().queue_count() == queues);
            // A short run has room in the ring, however slow the receiver is.
            auto sender = lab::start_sender(wire.left, wire.right,
                                            {.count = count, .rate = std::max<std::uint64_t>(count / 5, 10'000)});
            seen_numbers numbers{count};
            net::co_spawn(
                context,
                [&]() -> net::awaitable<void> {
                    nr::packet_batch batch;
                    while (numbers.received < count) {
                        co_await socket.async_receive(batch, net::use_awaitable);
                        numbers.add(batch);
                    }
                },
                net::detached);
            context.run_for(30s);
            sender.wait();
            BOOST_TEST_MESSAGE("figure: " << (mode == nr::xdp_attach_mode::native ? "native" : "generic") << ", "
                                          << queues << " queues: " << count << " sent, " << numbers.received
                                          << " received, " << numbers.repeated << " repeated, "
                                          << socket.statistics().dropped_ring_full << " dropped");
            BOOST_TEST(numbers.received == count);
            BOOST_TEST(numbers.repeated == 0U);
            BOOST_TEST(socket.statistics().received == count);
            BOOST_TEST(socket.statistics().passed == 0U);
            check_balance(socket);
            BOOST_TEST(!has_program(wire.right));
        }
}

BOOST_AUTO_TEST_CASE(frames_are_sent_once_and_whole_in_each_mode) {
    auto const count = many_frames();
    for (auto const& [mode, queues] :
         {std::pair{nr::xdp_attach_mode::native, 1U}, std::pair{nr::xdp_attach_mode::native, 4U},
          std::pair{nr::xdp_attach_mode::generic, 1U}, std::pair{nr::xdp_attach_mode::generic, 4U}}) {
        lab::pair const wire{lab::pair_options{}.queues(queues)};
        net::io_context context{1};
        auto socket = open_at(wire.right, context, everything().attach_mode(mode).ring_sizes(512, 256));
        lab::pattern const pattern{wire.left.address()};
        lab::pattern_receiver peer{wire.left, pattern};
        net::co_spawn(
            context,
            [&]() -> net::awaitable<void> {
                std::array<std::byte, 1514> bytes;
                for (std::uint64_t i = 0; i != count; ++i) {
                    auto const size = pattern.size(i);
                    pattern.write(i, bytes);
                    BOOST_TEST(co_await socket.async_send(net::buffer(bytes, size), net::use_awaitable) == size);
                    while (i - peer.received() > 1000 && i > peer.received())
                        std::this_thread::yield();
                }
                auto const result = co_await socket.async_drain(net::use_awaitable);
                BOOST_TEST(result.taken == count);
                BOOST_TEST(result.rejected == 0U);
            },
            net::detached);
        context.run_for(60s);
        auto const found = peer.finish(count);
        BOOST_TEST_MESSAGE("figure: " << (mode == nr::xdp_attach_mode::native ? "native, " : "generic, ") << queues
                                      << " queues: " << count << " sent, " << found.received << " at the other end, "
                                      << found.damaged << " damaged, " << found.repeated << " repeated");
        BOOST_TEST(found.received == count);
        BOOST_TEST(found.damaged == 0U);
        BOOST_TEST(found.repeated == 0U);
        check_balance(socket);
    }
}

BOOST_AUTO_TEST_CASE(overloaded_each_frame_is_received_or_counted) {
    auto const count = many_frames() * (many_frames() < 1'000'000 ? 10 : 1);
    for (auto const mode : {nr::xdp_attach_mode::native, nr::xdp_attach_mode::generic})
        for (unsigned const queues : {1U, 4U}) {
            lab::pair const wire{lab::pair_options{}.queues(queues)};
            net::io_context context{1};
            auto socket =
                open_at(wire.right, context, everything().attach_mode(mode).ring_sizes(64, 64).batch_size(16));
            auto sender = lab::start_sender(wire.left, wire.right, {.count = count});
            nr::packet_batch batch;
            nr::error_code ec;
            seen_numbers numbers{count};
            for (bool const late : {false, true}) {
                while (socket.receive(batch, 200ms, ec) != 0) {
                    numbers.add(batch);
                    batch.reset();
                    std::this_thread::sleep_for(200us);
                }
                if (!late)
                    sender.wait();
            }
            auto const s = socket.statistics();
            auto const device = wire.left.counters().tx_dropped;
            BOOST_TEST_MESSAGE("figure: "
                               << (mode == nr::xdp_attach_mode::native ? "native" : "generic") << ", " << queues
                               << " queues: " << count << " sent, " << numbers.received << " received, "
                               << s.dropped_ring_full << " ring full, " << s.dropped_no_frame << " no chunk, "
                               << s.passed << " passed, " << device << " dropped by veth before; together "
                               << numbers.received + s.dropped_ring_full + s.dropped_no_frame + s.passed + device);
            BOOST_TEST(s.dropped_ring_full + s.dropped_no_frame > 0U);
            BOOST_TEST(numbers.repeated == 0U);
            BOOST_TEST(numbers.received + s.dropped_ring_full + s.dropped_no_frame + s.passed + device == count);
            check_balance(socket);
        }
}

BOOST_AUTO_TEST_CASE(held_frames_slow_reception_and_are_released_on_any_thread) {
    lab::pair const wire;
    net::io_context context{1};
    auto socket =
        open_at(wire.right, context, everything().ring_sizes(64, 64).receive_frames(128).pin_budget(128).batch_size(8));
    std::vector<nr::frame> held;
    auto const receive = [&](std::size_t count) {
        nr::packet_batch batch;
        nr::error_code ec;
        std::size_t received = 0;
        while (received < count && socket.receive(batch, 200ms, ec) != 0) {
            received += batch.size();
            for (auto const packet : batch)
                held.push_back(batch.hold(packet));
        }
        return received;
    };
    for (int i = 0; i != 10; ++i) {
        lab::send_numbered(wire.left, wire.right, {.count = 20, .first = static_cast<std::uint64_t>(20 * i)});
        receive(20);
    }
    BOOST_TEST(held.size() == 128U);
    BOOST_TEST(socket.statistics().dropped_no_frame == 200U - 128U);
    BOOST_TEST(socket.statistics().pinned_frames == 128U);
    BOOST_TEST(socket.statistics().copied == 0U);
    for (std::size_t i = 0; i != held.size(); ++i)
        BOOST_TEST(lab::frame_number(held[i]->data).value() == i);
    // A receiver that waits is woken by a release, has chunks again, and receives.
    std::thread other{[&] {
        std::this_thread::sleep_for(100ms);
        held.clear();
    }};
    nr::packet_batch batch;
    nr::error_code ec;
    socket.receive(batch, 200ms, ec);
    other.join();
    lab::send_numbered(wire.left, wire.right, {.count = 5, .first = 1000});
    BOOST_TEST(socket.receive(batch, 1s, ec) == 5U);
    // Frames outlive the socket.
    auto kept = batch.hold(*batch.begin());
    batch.reset();
    auto const memory = socket.memory();
    socket.close();
    BOOST_TEST(lab::frame_number(kept->data).value() == 1000U);
    BOOST_TEST(memory.ledger().held == 1U);
    std::thread{[&] { kept.reset(); }}.join();
    BOOST_TEST(memory.ledger().free == memory.ledger().total());
}

BOOST_AUTO_TEST_CASE(the_pin_budget_makes_copies) {
    lab::pair const wire;
    net::io_context context{1};
    auto socket = open_at(wire.right, context, everything().pin_budget(2));
    lab::send_numbered(wire.left, wire.right, {.count = 4});
    std::vector<nr::frame> held;
    nr::packet_batch batch;
    nr::error_code ec;
    while (held.size() != 4 && socket.receive(batch, 500ms, ec) != 0)
        for (auto const packet : batch)
            held.push_back(batch.hold(packet));
    BOOST_TEST(held.size() == 4U);
    BOOST_TEST(socket.statistics().copied == 2U);
    batch.reset();
    held.clear();
    check_balance(socket);
}

BOOST_AUTO_TEST_CASE(the_rest_passes_to_the_stack_and_the_filter_changes_while_running) {
    lab::pair const wire;
    net::io_context context{1};
    auto socket = open_at(wire.right, context, nr::xdp_options{"right"}.filter("udp port 53"));
    auto const send = [&](unsigned port) {
        wire.left.send(frames::ethernet(0x800, frames::ip4(17, frames::udp(1, port))));
    };
    nr::packet_batch batch;
    nr::error_code ec;
    send(53);
    send(54);
    BOOST_TEST(socket.receive(batch, 500ms, ec) == 1U);
    BOOST_TEST(socket.statistics().passed == 1U);
    BOOST_TEST(socket.explain().find("passed to the stack 1") != std::string::npos);
    socket.set_filter("udp port 54");
    send(53);
    send(54);
    BOOST_TEST(socket.receive(batch, 500ms, ec) == 1U);
    BOOST_TEST(socket.statistics().passed == 2U);
    socket.set_rules({nr::xdp_rule{}.protocol("udp").destination_port(60).source("10.77.0.0/24"),
                      nr::xdp_rule{}.vlan(7).protocol("udp"), nr::xdp_rule{}.vlan(8).protocol("udp")},
                     ec);
    BOOST_TEST(!ec);
    send(54);
    send(60);
    for (auto const tag : std::initializer_list<std::uint16_t>{7, 8, 9})
        wire.left.send(frames::with_tags(frames::ethernet(0x800, frames::ip4(17, frames::udp(1, 2))), {{0x8100, tag}}));
    std::size_t count = 0;
    while (socket.receive(batch, 200ms, ec) != 0)
        count += batch.size();
    BOOST_TEST(count == 3U);
    socket.set_filter("port port", ec);
    BOOST_TEST(ec == nr::make_error_code(nr::error::bad_filter));
    batch.reset();
    check_balance(socket);
}

BOOST_AUTO_TEST_CASE(metadata_come_with_packets_where_the_driver_has_them) {
    lab::pair const wire;
    net::io_context context{1};
    auto const udp = frames::ethernet(0x800, frames::ip4(17, frames::udp(1, 53)));
    nr::packet_batch batch;
    nr::error_code ec;
    {
        auto socket = open_at(wire.right, context, everything().metadata(true));
        lab::tagging const tags{wire.left, {{0x8100, 3 << 13 | 7}}}; // in the metadata of what is sent
        wire.left.send(udp);
        BOOST_TEST_REQUIRE(socket.receive(batch, 1s, ec) == 1U);
        auto const packet = *batch.begin();
        BOOST_TEST((packet.vlan == nr::vlan_tag{0x8100, 3 << 13 | 7}));
        BOOST_TEST(packet.rx_hash != 0U);
        BOOST_TEST(packet.data.size() == udp.size());
        BOOST_TEST((packet.clock == nr::clock_source::software)); // veth has no clock
        BOOST_TEST((packet.time > nr::timestamp{}));
        socket.set_filter("vlan 7 and udp");
        wire.left.send(udp);
        BOOST_TEST(socket.receive(batch, 1s, ec) == 1U);
        batch.reset();
        check_balance(socket);
    }
    BOOST_TEST(error_of(wire.right, everything().metadata(true).attach_mode(nr::xdp_attach_mode::generic)) ==
               nr::make_error_code(nr::error::unsupported_option));
    BOOST_TEST(error_of(wire.right, nr::xdp_options{"right"}.nothing().metadata(true)) ==
               nr::make_error_code(nr::error::conflicting_options));
    auto plain = open_at(wire.right, context, everything().metadata(true));
    wire.left.send(udp);
    BOOST_TEST(plain.receive(batch, 1s, ec) == 1U);
    BOOST_TEST(!(*batch.begin()).vlan);
}

BOOST_AUTO_TEST_CASE(a_queue_that_is_not_open_passes_to_the_stack_and_explain_says_so) {
    lab::pair const wire{lab::pair_options{}.queues(2)};
    net::io_context context{1};
    auto socket = open_at(wire.right, context, everything().queue(1));
    wire.left.run({"ethtool", "-L", wire.left.name(), "tx", "1"});
    lab::send_numbered(wire.left, wire.right, {.count = 10});
    nr::packet_batch batch;
    nr::error_code ec;
    socket.receive(batch, 200ms, ec);
    BOOST_TEST(socket.statistics().passed_no_queue == 10U);
    BOOST_TEST(socket.explain().find("10 frames came on queues that are not open") != std::string::npos);
    check_balance(socket);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_is_told) {
    lab::pair const wire;
    auto const& at = wire.right;
    BOOST_TEST(error_of(at, nr::xdp_options{"right"}) == nr::make_error_code(nr::error::conflicting_options));
    BOOST_TEST(error_of(at, everything("nowhere")) == nr::make_error_code(nr::error::no_such_interface));
    BOOST_TEST(error_of(at, everything().copy_mode(nr::xdp_copy_mode::zero_copy)) ==
               nr::make_error_code(nr::error::unsupported_option));
    BOOST_TEST(error_of(at, everything().ring_sizes(100, 64)) == nr::make_error_code(nr::error::invalid_ring_geometry));
    BOOST_TEST(error_of(at, everything().queues(0, 9)) == nr::make_error_code(nr::error::invalid_option));
    BOOST_TEST(error_of(at, everything().memory_options(nr::afxdp::umem_options{}.frame_size(1000))) ==
               nr::make_error_code(nr::error::invalid_ring_geometry));
    BOOST_TEST(error_of(at, nr::xdp_options{"right"}.filter("port port")) ==
               nr::make_error_code(nr::error::bad_filter));
    BOOST_TEST(error_of(at, nr::xdp_options{"right"}.filter("ip6 protochain 6")) ==
               nr::make_error_code(nr::error::unsupported_filter));
    BOOST_TEST(error_of(at, nr::xdp_options{"right"}.filter("vlan 5").attach_mode(nr::xdp_attach_mode::generic)) ==
               nr::make_error_code(nr::error::unsupported_filter));
    BOOST_TEST(error_of(at, everything().dispatcher(true)) == nr::make_error_code(nr::error::conflicting_options));
    net::io_context context{1};
    auto first = open_at(at, context, everything());
    BOOST_TEST(error_of(at, everything()) == nr::make_error_code(nr::error::program_attached));
    auto const busy = error_of(at, nr::xdp_options{"right"}.nothing());
    BOOST_TEST(busy == nr::make_error_code(nr::error::queue_busy));
    BOOST_TEST((busy == boost::system::errc::device_or_resource_busy));
    first.close();
    at.set_down();
    BOOST_TEST(error_of(at, everything()) == nr::make_error_code(nr::error::interface_down));
}

BOOST_AUTO_TEST_CASE(a_hundred_sockets_in_a_row_have_the_same_queue) {
    lab::pair const wire;
    net::io_context context{1};
    nr::xdp_socket socket{context};
    for (std::uint64_t i = 0; i != 100; ++i) {
        wire.right.enter([&] { socket.open(everything().ring_sizes(64, 64)); });
        lab::send_numbered(wire.left, wire.right, {.first = i});
        nr::packet_batch batch;
        BOOST_TEST(socket.receive(batch, 1s) == 1U);
        socket.close();
    }
}

BOOST_AUTO_TEST_CASE(nothing_remains_of_a_process_that_was_killed) {
    lab::pair const wire;
    std::array<int, 2> ends;
    BOOST_TEST_REQUIRE(::pipe(ends.data()) == 0);
    auto const child = ::fork();
    if (child == 0) {
        net::io_context context{1};
        auto const socket = open_at(wire.right, context, everything());
        [[maybe_unused]] auto const written = ::write(ends[1], "x", 1);
        ::pause();
        ::_exit(0);
    }
    char ready = 0;
    BOOST_TEST(::read(ends[0], &ready, 1) == 1);
    BOOST_TEST(has_program(wire.right));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (int i = 0; i != 100 && has_program(wire.right); ++i)
        std::this_thread::sleep_for(10ms);
    BOOST_TEST(!has_program(wire.right));
    net::io_context context{1};
    auto const again = open_at(wire.right, context, everything());
    BOOST_TEST(again.is_open());
    ::close(ends[0]);
    ::close(ends[1]);
}

BOOST_AUTO_TEST_CASE(pending_operations_follow_the_link) {
    lab::pair const wire;
    net::io_context context{1};
    auto socket = open_at(wire.right, context, everything());
    nr::packet_batch batch;
    nr::error_code result;
    auto const receive = [&](auto&& meanwhile) {
        result = {};
        socket.async_receive(batch, [&](nr::error_code ec, std::size_t) { result = ec; });
        meanwhile();
        context.restart();
        context.run_for(2s);
    };
    receive([&] { wire.right.set_down(); });
    BOOST_TEST(result == nr::make_error_code(nr::error::interface_down));
    std::array<std::uint8_t, 60> frame{};
    nr::error_code ec;
    BOOST_TEST(socket.send(net::buffer(frame), ec) == 0U);
    BOOST_TEST(ec == nr::make_error_code(nr::error::interface_down));
    BOOST_TEST(socket.pending() == 0U);
    wire.right.set_up();
    std::this_thread::sleep_for(100ms);
    receive([&] { lab::send_numbered(wire.left, wire.right, {}); });
    BOOST_TEST(!result);
    BOOST_TEST(batch.size() == 1U);
    receive([&] { wire.right.remove(); });
    if (result == nr::error::interface_down)
        receive([] {});
    BOOST_TEST(result == nr::make_error_code(nr::error::interface_removed));
    batch.reset();
    check_balance(socket);
}

BOOST_AUTO_TEST_CASE(frames_go_from_one_interface_to_another_in_place) {
    constexpr std::uint64_t count = 20'000;
    lab::pair const in;
    lab::pair const out{in.right, in.left, lab::pair_options{}.names("out", "sink")};
    net::io_context context{1};
    nr::afxdp::umem const memory{nr::afxdp::umem_options{}.frame_count(32768)};
    auto from = open_at(in.right, context, everything().memory(memory).ring_sizes(4096, 4096));
    auto to = open_at(out.left, context, nr::xdp_options{"out"}.nothing().memory(memory).ring_sizes(4096, 4096));
    auto sender = lab::start_sender(in.left, in.right, {.count = count, .rate = 20'000}); // a ring is 200 ms
    lab::numbered_receiver sink{out.right};
    std::uint64_t forwarded = 0;
    nr::packet_batch batch;
    nr::error_code ec;
    while (forwarded != count && from.receive(batch, 2s, ec) != 0)
        while (!batch.empty())
            forwarded += to.forward(batch);
    BOOST_TEST(forwarded == count);
    BOOST_TEST(to.wait_drained(1s).taken == count);
    sender.wait();
    auto const numbers = sink.receive(count);
    BOOST_TEST(numbers.size() == count);
    BOOST_TEST(std::ranges::is_sorted(numbers));
    BOOST_TEST(from.statistics().dropped_no_frame == 0U);
    to.close();
    from.close();
    BOOST_TEST(memory.ledger().free == memory.ledger().total());
    BOOST_TEST(to.statistics().bad_addresses == 0U);
}

BOOST_AUTO_TEST_CASE(jumbo_frames_come_and_go_in_several_chunks) {
    lab::pair const wire{lab::pair_options{}.mtu(9000)};
    net::io_context context{1};
    BOOST_TEST(error_of(wire.right, everything()) == nr::make_error_code(nr::error::invalid_ring_geometry));
    auto socket = open_at(wire.right, context,
                          everything().multi_buffer(true).memory_options(nr::afxdp::umem_options{}.frame_size(4096)));
    exchange(wire, socket, 300, 9014);
    check_balance(socket);
}

BOOST_AUTO_TEST_CASE(options_of_memory_rings_and_device_are_effective_or_refused) {
    using memory = nr::afxdp::umem_options;
    lab::pair const wire;
    net::io_context context{1};
    auto const with = [&](nr::xdp_options options, char const* what, auto look) {
        BOOST_TEST_CONTEXT(what) {
            auto socket = open_at(wire.right, context, options.ring_sizes(128, 64));
            exchange(wire, socket, 60);
            look(socket);
            check_balance(socket);
        }
    };
    auto const in_chunk = [&](std::size_t chunk, std::size_t headroom) {
        return [&wire, chunk, headroom](nr::xdp_socket& socket) {
            BOOST_TEST(socket.options().memory_options().headroom() == headroom);
            BOOST_TEST(socket.memory().frame_capacity() == chunk - 256 - headroom);
            lab::send_numbered(wire.left, wire.right, {.count = 10});
            nr::packet_batch batch;
            BOOST_TEST(socket.receive(batch, 5s) != 0U);
            for (auto const packet : batch)
                if (chunk % 2048 == 0) // then chunks begin where memory pages do
                    BOOST_TEST(reinterpret_cast<std::uintptr_t>(packet.data.data()) % chunk == 256 + headroom);
        };
    };
    auto const own = [](memory const& wanted) { return everything().memory_options(wanted); };
    with(own(memory{}.headroom(128)), "headroom", in_chunk(2048, 128));
    with(own(memory{}.frame_size(4096).headroom(64)), "frame size", in_chunk(4096, 64));
    with(own(memory{}.unaligned(true).frame_size(3000)), "unaligned", in_chunk(3000, 0));
    with(own(memory{}.unaligned(true).frame_size(2500).headroom(100)), "unaligned, headroom", in_chunk(2500, 100));
    with(own(memory{}.huge_pages(true)), "huge pages", [](nr::xdp_socket& socket) {
        BOOST_TEST_MESSAGE("figure: reserved huge pages " << (socket.memory().huge_pages() ? "obtained" : "not there"));
    });
    with(own(memory{}.numa_node(0)), "node", [](nr::xdp_socket&) {});
    with(everything().need_wakeup(false), "no need-wakeup", [](nr::xdp_socket&) {});
    with(everything().copy_mode(nr::xdp_copy_mode::copy), "copied", [](nr::xdp_socket&) {});
    with(nr::xdp_options{static_cast<int>(wire.right.index())}.take_everything(), "index",
         [](nr::xdp_socket& socket) { BOOST_TEST(socket.options().interface_name() == "right"); });
    with(everything().network_namespace(wire.right.path()), "namespace", [](nr::xdp_socket&) {});
    with(everything().promiscuous(true), "promiscuous", [&](nr::xdp_socket&) {
        BOOST_TEST(wire.right.run({"ip", "-d", "link", "show", "right"}).find("promiscuity 1") != std::string::npos);
    });
    BOOST_TEST(wire.right.run({"ip", "-d", "link", "show", "right"}).find("promiscuity 0") != std::string::npos);
    with(everything().busy_poll(20us, 32), "busy polling", [](nr::xdp_socket& socket) {
        int time = 0;
        socklen_t size = sizeof time;
        BOOST_TEST(::getsockopt(socket.native_handle(), SOL_SOCKET, SO_BUSY_POLL, &time, &size) == 0);
        BOOST_TEST(time == 20);
    });
    with(everything().spin(50us), "spin", [](nr::xdp_socket&) {});

    auto const geometry = nr::make_error_code(nr::error::invalid_ring_geometry);
    BOOST_TEST(error_of(wire.right, own(memory{}.unaligned(true).frame_size(300))) == geometry);
    BOOST_TEST(error_of(wire.right, own(memory{}.headroom(1800))) == geometry);
    BOOST_TEST(error_of(wire.right, own(memory{}.headroom(600))) == geometry); // a frame of the MTU has no room
    BOOST_TEST(error_of(wire.right, everything().batch_size(0)) == geometry);
    BOOST_TEST(error_of(wire.right, everything().receive_frames(0)) == geometry);
    BOOST_TEST(error_of(wire.right, own(memory{}.numa_node(63))) == nr::make_error_code(nr::error::unsupported_option));
    BOOST_TEST(error_of(wire.right, everything().busy_poll(0us)) == nr::make_error_code(nr::error::invalid_option));
    BOOST_TEST(error_of(wire.right, everything().latency_budget(-1us)) ==
               nr::make_error_code(nr::error::invalid_option));
    nr::afxdp::umem const small{memory{}.frame_count(100)};
    BOOST_TEST(error_of(wire.right, everything().memory(small)) == nr::make_error_code(nr::error::no_ring_memory));
}

BOOST_AUTO_TEST_CASE(a_socket_is_opened_again_by_name) {
    for (bool const same_index : {false, true}) {
        lab::pair const wire;
        net::io_context context{1};
        auto socket = open_at(wire.right, context, everything().on_link_down(nr::link_down_policy::reopen_by_name));
        nr::packet_batch batch;
        std::array<std::uint8_t, 60> const frame{};
        lab::send_numbered(wire.left, wire.right, {.count = 2});
        while (socket.statistics().received != 2 && socket.receive(batch, 5s) != 0)
            ;
        for (int i = 0; i != 2; ++i)
            socket.send(net::buffer(frame));
        BOOST_TEST(socket.wait_drained(5s).taken == 2U);
        nr::error_code result = net::error::would_block;
        socket.async_receive(batch, [&](nr::error_code ec, std::size_t) { result = ec; });
        context.run_for(20ms);
        if (same_index) {
            lab::network const elsewhere;
            wire.right.run({"ip", "link", "set", "right", "netns", elsewhere.path()});
            elsewhere.run({"ip", "link", "set", "right", "netns", wire.right.path()});
            wire.right.set_up();
        } else {
            wire.right.remove();
            lab::pair{wire.left, wire.right, {}};
        }
        for (int i = 0; i != 500 && result == net::error::would_block; ++i) {
            lab::send_numbered(wire.left, wire.right, {.first = 7});
            context.run_for(20ms);
        }
        BOOST_TEST(!result, result.message());
        BOOST_TEST_REQUIRE(!batch.empty());
        BOOST_TEST(lab::frame_number((*batch.begin()).data).value() == 7U);
        batch.reset();
        socket.send(net::buffer(frame));
        BOOST_TEST(socket.wait_drained(5s).taken == 1U);
        BOOST_TEST(socket.statistics().received > 2U);
        check_balance(socket);
        BOOST_TEST(socket.statistics().taken == 3U);
    }
}

BOOST_AUTO_TEST_CASE(a_latency_budget_saves_wake_ups) {
    std::array<std::uint64_t, 2> wakeups{};
    for (int moderated = 0; moderated != 2; ++moderated) {
        constexpr std::uint64_t count = 20'000;
        lab::pair const wire;
        net::io_context context{1};
        auto options = everything();
        if (moderated != 0)
            options.latency_budget(2ms);
        auto socket = open_at(wire.right, context, options);
        auto sender = lab::start_sender(wire.left, wire.right, {.count = count, .rate = 40'000});
        std::uint64_t received = 0;
        net::co_spawn(
            context,
            [&]() -> net::awaitable<void> {
                nr::packet_batch batch;
                while (received < count) {
                    co_await socket.async_receive(batch, net::use_awaitable);
                    received += batch.size();
                }
            },
            net::detached);
        context.run_for(10s);
        sender.wait();
        BOOST_TEST(received == count);
        wakeups[static_cast<std::size_t>(moderated)] = socket.statistics().wakeups;
    }
    BOOST_TEST_MESSAGE("figure: 20000 packets at 40000 a second: " << wakeups[0] << " wake-ups, with a budget of 2 ms "
                                                                   << wakeups[1]);
    BOOST_TEST(wakeups[1] < wakeups[0]);
    BOOST_TEST(wakeups[1] < 1000U);
}

BOOST_AUTO_TEST_SUITE_END()
