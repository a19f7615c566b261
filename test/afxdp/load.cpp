#include "../../src/detail/kernel_constants.hpp"
#include "../filter/frames.hpp"
#include "support.hpp"
#include <netring_asio/afxdp/program.hpp>
#include <netring_asio/afxdp/xsk.hpp>
#include <netring_asio/capture.hpp>
#include <netring_asio/shards.hpp>
#include <netring_asio/xdp_group.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <lab/allocations.hpp>
#include <lab/eventually.hpp>
#include <random>
#include <span>
#include <stdexcept>
#include <thread>

#include <linux/filter.h>
#include <linux/if_xdp.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace {

/// Has every sendto of the calling thread fail with this error.
void fail_sendto(int failure) {
    std::array code{sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 0, 1),
                    sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(failure)),
                    sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    sock_fprog const program{static_cast<unsigned short>(code.size()), code.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        throw std::runtime_error{"seccomp"};
}

/// A ring of a socket, mapped once more, to write into it what only the kernel should.
template <class Entry>
class forged_ring {
public:
    forged_ring(int socket, std::uint64_t which, xdp_ring_offset const& at, std::size_t places)
        : at_{at}
        , places_{places}
        , size_{at.desc + places * sizeof(Entry)}
        , memory_{static_cast<std::byte*>(::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                                                 socket, static_cast<off_t>(which)))} {
        BOOST_REQUIRE(static_cast<void*>(memory_) != MAP_FAILED);
    }
    forged_ring(forged_ring const&) = delete;
    forged_ring& operator=(forged_ring const&) = delete;
    ~forged_ring() { ::munmap(memory_, size_); }

    void put(Entry const& entry) {
        auto* const producer = reinterpret_cast<std::uint32_t*>(memory_ + at_.producer);
        std::memcpy(memory_ + at_.desc + *producer % places_ * sizeof entry, &entry, sizeof entry);
        __atomic_store_n(producer, *producer + 1, __ATOMIC_RELEASE);
    }

private:
    xdp_ring_offset at_;
    std::size_t places_, size_;
    std::byte* memory_;
};

} // namespace

BOOST_AUTO_TEST_SUITE(load, *lab::real_root())

BOOST_AUTO_TEST_CASE(no_chunk_is_lost_whatever_is_cancelled_held_forwarded_and_dropped) {
    auto const count = many_frames();
    lab::pair const wire;
    lab::pair const out{wire.right, wire.left, lab::pair_options{}.names("out", "sink")};
    std::mt19937 random{44};
    nr::afxdp::umem const memory{nr::afxdp::umem_options{}.frame_count(8192)};
    seen_numbers numbers{count};
    std::uint64_t dropped = 0, sent_on = 0, cancelled = 0;
    {
        net::io_context context{1};
        auto socket = open_at(wire.right, context,
                              everything().memory(memory).ring_sizes(1024, 256).batch_size(32).pin_budget(700));
        auto to = open_at(out.left, context, nr::xdp_options{"out"}.nothing().memory(memory).ring_sizes(64, 256));
        auto sender = lab::start_sender(wire.left, wire.right, {.count = count, .rate = count});
        std::vector<nr::frame> held;
        std::vector<nr::packet_batch> batches;
        std::vector<std::jthread> others;
        auto const end = std::chrono::steady_clock::now() + 20s;
        bool quiet = false;
        while (!quiet && std::chrono::steady_clock::now() < end) {
            nr::packet_batch batch;
            nr::error_code result;
            socket.async_receive(batch, [&](nr::error_code ec, std::size_t) { result = ec; });
            if (random() % 4 == 0) {
                ++cancelled;
                context.poll_one();
                socket.cancel();
            }
            context.restart();
            context.run_for(500ms);
            quiet = !context.stopped();
            if (quiet) {
                socket.cancel();
                context.run();
            }
            numbers.add(batch);
            for (auto const packet : batch) {
                if (random() % 16 == 0)
                    held.push_back(batch.hold(packet));
                nr::error_code ec;
                if (random() % 16 == 0 && to.try_send_packet(packet, ec))
                    ++sent_on;
            }
            nr::error_code ec;
            switch (random() % 5) {
            case 0:
                batches.push_back(std::move(batch));
                break;
            case 1: {
                auto front = batch.split(random() % (batch.size() + 1));
                sent_on += to.forward(front, ec);
                batches.push_back(std::move(front));
                break;
            }
            case 2:
                sent_on += to.forward(batch, ec);
                break;
            default:
                break;
            }
            std::ranges::shuffle(held, random);
            held.resize(std::min<std::size_t>(held.size(), 300));
            std::ranges::shuffle(batches, random);
            if (batches.size() > 8) {
                others.clear();
                others.emplace_back([given = std::move(batches), frames = std::move(held)] {});
                batches.clear();
                held.clear();
            }
        }
        sender.wait();
        to.wait_drained(1s);
        auto const s = socket.statistics();
        dropped = s.dropped_ring_full + s.dropped_no_frame;
        BOOST_TEST(s.bad_addresses + to.statistics().bad_addresses == 0U);
        BOOST_TEST(to.statistics().taken == sent_on);
        if (random() % 2 == 0)
            socket.close();
        else
            to.close();
    }
    auto const ledger = memory.ledger();
    BOOST_TEST_MESSAGE("figure: " << count << " sent, " << numbers.received << " received, " << dropped << " dropped, "
                                  << sent_on << " sent on, " << cancelled << " receives cancelled; " << ledger.free
                                  << " of " << ledger.total() << " chunks free at the end");
    BOOST_TEST(numbers.repeated == 0U);
    BOOST_TEST(numbers.received + dropped == count);
    BOOST_TEST(ledger.free == ledger.total());
}

BOOST_AUTO_TEST_CASE(two_sockets_of_different_queues_share_a_memory) {
    lab::pair const wire{lab::pair_options{}.queues(2)};
    nr::afxdp::umem const memory{nr::afxdp::umem_options{}.frame_count(4096)};
    {
        nr::afxdp::program program;
        std::array<nr::afxdp::xsk, 2> queues;
        nr::error_code ec;
        std::string context;
        auto const index = static_cast<int>(wire.right.index());
        wire.right.enter([&] {
            program.open("right", index, everything(), ec, context);
            for (std::uint32_t i = 0; i != 2 && !ec; ++i) {
                queues[i].open(memory, "right", index, i, everything().ring_sizes(512, 64), i == 0, ec);
                if (!ec)
                    program.set_queue(i, queues[i].native_handle(), ec);
            }
        });
        BOOST_TEST_REQUIRE(!ec);
        constexpr unsigned count = 200;
        for (unsigned i = 0; i != count; ++i)
            wire.left.send(frames::ethernet(0x800, frames::ip4(17, frames::udp(1000 + i, 53))));
        std::array<std::size_t, 2> received{};
        auto const end = std::chrono::steady_clock::now() + 5s;
        while (received[0] + received[1] != count && std::chrono::steady_clock::now() < end)
            for (std::uint32_t i = 0; i != 2; ++i) {
                nr::packet_batch batch;
                if (queues[i].receive(batch))
                    received[i] += static_cast<std::size_t>(
                        std::ranges::count_if(batch, [&](auto const& packet) { return packet.queue == i; }));
            }
        BOOST_TEST_MESSAGE("figure: " << received[0] << " and " << received[1] << " of " << count << " frames");
        BOOST_TEST(received[0] + received[1] == count);
        BOOST_TEST(received[0] != 0U);
        BOOST_TEST(received[1] != 0U);
        BOOST_TEST(program.passed().all == 0U);
    }
    BOOST_TEST(memory.ledger().free == memory.ledger().total());
}

BOOST_AUTO_TEST_CASE(a_memory_that_sockets_come_and_go_over_takes_no_more_descriptors) {
    auto const descriptors = [] {
        using folder = std::filesystem::directory_iterator;
        return std::distance(folder{"/proc/self/fd"}, folder{});
    };
    lab::pair const wire;
    net::io_context context{1};
    nr::afxdp::umem const memory{nr::afxdp::umem_options{}};
    auto const count = [&](nr::xdp_options const& options) {
        auto socket = open_at(wire.right, context, options);
        return descriptors();
    };
    auto const options = everything().memory(memory).ring_sizes(64, 64);
    auto const first = count(options);
    for (int i = 0; i != 4; ++i)
        BOOST_TEST(count(options) == first);
    BOOST_TEST(memory.ledger().free == memory.ledger().total());
}

BOOST_AUTO_TEST_CASE(garbage_in_the_rings_reaches_no_pool) {
    constexpr std::uint32_t places = 64;
    lab::pair const wire;
    net::io_context context{1};
    auto socket = open_at(wire.right, context, everything().ring_sizes(places, places));
    auto const memory = socket.memory();
    auto const before = memory.ledger();
    auto const size = before.total() * memory.options().frame_size();
    xdp_mmap_offsets at{};
    socklen_t length = sizeof at;
    BOOST_TEST_REQUIRE(::getsockopt(socket.native_handle(), SOL_XDP, XDP_MMAP_OFFSETS, &at, &length) == 0);
    {
        // Chunks that are with the kernel, but to receive into; and what is no chunk of the memory.
        forged_ring<std::uint64_t> completed{socket.native_handle(), XDP_UMEM_PGOFF_COMPLETION_RING, at.cr, 2 * places};
        for (std::uint64_t const address :
             {std::uint64_t{0}, std::uint64_t{4097}, std::uint64_t{size}, std::uint64_t{1} << 40, ~std::uint64_t{0}})
            completed.put(address);
    }
    BOOST_TEST(socket.available() == places);
    BOOST_TEST(socket.statistics().bad_addresses == 5U);
    BOOST_TEST(socket.statistics().taken == 0U);
    BOOST_TEST((memory.ledger() == before));
    {
        // A chunk that is there to send from.
        forged_ring<xdp_desc> received{socket.native_handle(), XDP_PGOFF_RX_RING, at.rx, places};
        for (std::uint64_t const address : {std::uint64_t{size - 1000}, std::uint64_t{size}, ~std::uint64_t{0}})
            received.put({address, 60, 0});
    }
    nr::packet_batch batch;
    BOOST_TEST(!socket.try_receive(batch));
    BOOST_TEST(batch.empty());
    auto const found = socket.statistics();
    BOOST_TEST_MESSAGE("figure: 8 addresses forged, " << found.bad_addresses << " counted, none used");
    BOOST_TEST(found.bad_addresses == 8U);
    BOOST_TEST(found.received == 0U);
    socket.close();
    BOOST_TEST(memory.ledger().free == before.total());
}

BOOST_AUTO_TEST_CASE(shards_over_the_queues_of_an_interface) {
    lab::pair const wire{lab::pair_options{}.queues(2)};
    constexpr unsigned count = 200;
    std::array<std::atomic<unsigned>, 2> received{}, of_its_queue{};
    {
        auto group = wire.right.enter(
            [] { return nr::shards{nr::shards_options{}.count(2).drain_limit(30s), nr::xdp_group{everything()}}; });
        group.start([&](nr::shard<nr::xdp_socket> self) -> net::awaitable<void> {
            auto source = self.source();
            nr::packet_batch batch;
            for (;;) {
                auto const [error, n] = co_await source.async_receive(batch, net::as_tuple(net::use_awaitable));
                if (error)
                    co_return;
                for (auto const packet : batch) {
                    ++received[self.index()];
                    of_its_queue[self.index()] += packet.queue == self.index() ? 1 : 0;
                }
            }
        });
        for (unsigned i = 0; i != count; ++i)
            wire.left.send(frames::ethernet(0x800, frames::ip4(17, frames::udp(1000 + i, 53))));
        BOOST_TEST(lab::eventually([&] { return received[0] + received[1] == count; }));
        group.stop();
        group.wait();
        BOOST_TEST(group.statistics().received == count);
        for (std::size_t i = 0; i != 2; ++i) {
            BOOST_TEST(group.statistics(i).received == received[i]);
            BOOST_TEST(received[i] == of_its_queue[i]);
            BOOST_TEST(received[i] != 0U);
        }
        BOOST_TEST_MESSAGE("figure: the queues of veth had " << received[0] << " and " << received[1] << " of " << count
                                                             << " flows");
    }
    BOOST_TEST(!has_program(wire.right));
    BOOST_CHECK_EXCEPTION(
        wire.right.enter([] { return nr::shards{nr::shards_options{}.count(3), nr::xdp_group{everything()}}; }),
        nr::system_error, [](auto const& error) { return bool{error.code()}; });
    BOOST_TEST(!has_program(wire.right));
}

BOOST_AUTO_TEST_CASE(neither_direction_starves_the_other) {
    lab::pair const wire;
    net::io_context context{1};
    auto socket = open_at(wire.right, context, everything().ring_sizes(256, 64));
    auto const before = wire.left.counters().rx_packets;
    constexpr std::uint64_t flood = 200'000, sent = 5'000;
    auto sender = lab::start_sender(wire.left, wire.right, {.count = flood});
    // More comes than is received, and sending goes on; and what is received meanwhile is still what was sent.
    std::array<std::byte, 60> frame{std::byte{2}};
    frame[12] = std::byte{0x88};
    frame[13] = std::byte{0xb5};
    nr::packet_batch batch;
    std::uint64_t received = 0;
    for (std::uint64_t i = 0; i != sent; ++i) {
        nr::error_code ec;
        BOOST_TEST_REQUIRE(socket.send(net::buffer(frame), ec) == frame.size());
        if (socket.try_receive(batch))
            received += batch.size();
    }
    BOOST_TEST(socket.wait_drained(5s).taken == sent);
    nr::error_code ec;
    while (socket.receive(batch, 500ms, ec) != 0)
        received += batch.size();
    sender.wait();
    auto const s = socket.statistics();
    BOOST_TEST_MESSAGE("figure: " << sent << " sent, " << wire.left.counters().rx_packets - before
                                  << " counted at the other end, while " << flood << " came, of which " << received
                                  << " were received");
    BOOST_TEST(wire.left.counters().rx_packets - before == sent);
    BOOST_TEST(received > 256U);
    BOOST_TEST(received + s.dropped_ring_full + s.dropped_no_frame + wire.left.counters().tx_dropped == flood);
    batch.reset();
    check_balance(socket);
    // The other way round: nothing that comes slowly is lost while the transmit ring is always full.
    socket = open_at(wire.right, context, everything().ring_sizes(4096, 64));
    constexpr std::uint64_t slow = 2'000;
    auto other = lab::start_sender(wire.left, wire.right, {.count = slow, .rate = 5'000});
    received = 0;
    auto const end = std::chrono::steady_clock::now() + 20s;
    while (received != slow && std::chrono::steady_clock::now() < end) {
        for (int i = 0; i != 64; ++i) {
            auto room = socket.try_reserve(frame.size(), ec);
            if (!room)
                break;
            std::ranges::copy(frame, room.data().begin());
            room.commit();
        }
        socket.flush(ec);
        if (socket.try_receive(batch))
            received += batch.size();
    }
    other.wait();
    BOOST_TEST(received == slow);
    batch.reset();
    check_balance(socket);
}

BOOST_AUTO_TEST_CASE(frames_that_the_driver_refuses_are_counted_one_by_one) {
    lab::pair const wire;
    net::io_context context{1};
    auto socket = open_at(wire.right, context,
                          nr::xdp_options{"right"}.nothing().on_link_down(nr::link_down_policy::wait_until_up));
    wire.left.set_down(); // no carrier: EBUSY for each frame
    std::array<std::byte, 60> frame{};
    for (int i = 0; i != 100; ++i)
        BOOST_TEST(socket.send(net::buffer(frame)) == frame.size());
    auto const lost = socket.wait_drained(2s);
    BOOST_TEST(lost.rejected == 100U);
    BOOST_TEST(socket.statistics().rejected == 100U);
    BOOST_TEST(socket.explain().find("no room for 100 frames") != std::string::npos);
    wire.left.set_up();
    auto const before = wire.left.counters().rx_packets;
    for (int i = 0; i != 500 && wire.left.counters().rx_packets == before; ++i) {
        socket.send(net::buffer(frame));
        std::this_thread::sleep_for(10ms);
    }
    BOOST_TEST(wire.left.counters().rx_packets > before);
    check_balance(socket);
}

BOOST_AUTO_TEST_CASE(a_kick_that_takes_32_frames_is_repeated) {
    constexpr std::size_t count = 2'000, a_kick = 32;
    lab::pair const wire;
    net::io_context context{1};
    auto socket = open_at(wire.right, context, nr::xdp_options{"right"}.nothing());
    // As before Linux 6.18, where it cannot be changed.
    int const budget = a_kick;
    ::setsockopt(socket.native_handle(), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget);
    auto const before = wire.left.counters().rx_packets;
    std::array<std::byte, 60> frame{};
    for (std::size_t i = 0; i != count; ++i)
        socket.try_reserve(frame.size()).commit();
    BOOST_TEST(socket.flush() == count);
    BOOST_TEST(socket.wait_drained(5s).taken == count);
    auto const s = socket.statistics();
    BOOST_TEST_MESSAGE("figure: " << count << " frames by one flush in " << s.kicks << " system calls of " << a_kick
                                  << " each, " << wire.left.counters().rx_packets - before
                                  << " counted at the other end");
    BOOST_TEST(s.kicks >= count / a_kick);
    BOOST_TEST(s.rejected == 0U);
    BOOST_TEST(wire.left.counters().rx_packets - before == count);
    check_balance(socket);
}

BOOST_AUTO_TEST_CASE(what_a_kick_fails_with_loses_nothing) {
    constexpr std::size_t count = 500;
    for (int const failure : {ENOBUFS, EAGAIN, ENOMEM}) {
        lab::pair const wire;
        net::io_context context{1};
        auto socket = open_at(wire.right, context, nr::xdp_options{"right"}.nothing());
        auto const before = wire.left.counters().rx_packets;
        std::array<std::byte, 60> frame{};
        std::size_t taken = 0;
        nr::error_code failed;
        // On this thread every kick fails so, by a filter of system calls that goes with it.
        std::thread{[&] {
            fail_sendto(failure);
            for (std::size_t i = 0; i != count; ++i) {
                socket.send(net::buffer(frame), failed);
                if (failed)
                    return;
            }
            taken = socket.flush(failed);
        }}.join();
        BOOST_TEST(!failed);
        BOOST_TEST(taken == 0U);
        BOOST_TEST(socket.queued() == count);
        auto const refused = socket.statistics().would_block;
        BOOST_TEST(refused != 0U);
        BOOST_TEST(socket.wait_drained(5s).taken == count);
        BOOST_TEST_MESSAGE("figure: " << refused << " kicks failed with " << failure << "; then "
                                      << wire.left.counters().rx_packets - before << " of " << count
                                      << " frames counted at the other end");
        BOOST_TEST(wire.left.counters().rx_packets - before == count);
        BOOST_TEST(socket.statistics().rejected == 0U);
        check_balance(socket);
    }
}

BOOST_AUTO_TEST_CASE(frames_are_stamped_and_their_checksums_left_to_the_device) {
    constexpr std::size_t count = 100;
    lab::pair const wire;
    net::io_context context{1};
    auto const wanted = nr::xdp_options{"right"}.nothing();
    nr::error_code ec;
    nr::xdp_socket socket{context};
    wire.right.enter([&] { socket.open(nr::xdp_options{wanted}.timestamps(true).offload(true), ec); });
    if (ec == nr::error::unsupported_option) {
        BOOST_TEST_MESSAGE("figure: this kernel knows no transmit metadata");
        return;
    }
    BOOST_TEST_REQUIRE(!ec);
    auto cap = wire.left.enter([&] { return nr::capture{context, nr::capture_options{"left"}}; });
    auto const packet = frames::ethernet(0x800, frames::ip4(17, frames::udp(1, 2)));
    nr::offload_info const left{.checksum_start = 34, .checksum_offset = 6};
    auto const start = std::chrono::system_clock::now();
    for (std::size_t i = 0; i != count; ++i) {
        auto room = socket.try_reserve(packet.size());
        std::ranges::copy(std::as_bytes(std::span{packet}), room.data().begin());
        if (i % 2 == 0)
            room.commit(packet.size(), left);
        else
            room.commit();
    }
    auto view = frames::view_of(packet);
    view.checksum = nr::checksum_state::partial;
    BOOST_TEST(socket.try_send_packet(view, ec));
    BOOST_TEST(socket.wait_drained(5s).taken == count + 1);
    auto const end = std::chrono::system_clock::now();
    std::size_t stamps = 0;
    for (nr::tx_timestamp stamp; socket.try_timestamp(stamp); ++stamps) {
        BOOST_TEST(stamp.frame == stamps);
        BOOST_TEST((stamp.time >= start && stamp.time <= end));
        BOOST_TEST((stamp.clock == nr::clock_source::software));
    }
    std::size_t arrived = 0, left_open = 0;
    nr::packet_batch batch;
    while (arrived != count + 1 && cap.receive(batch, 2s, ec) != 0)
        for (auto const received : batch) {
            ++arrived;
            left_open += received.checksum == nr::checksum_state::partial;
        }
    BOOST_TEST_MESSAGE("figure: " << stamps << " of " << count + 1
                                  << " frames stamped, the kernel at the other end has " << left_open << " of "
                                  << arrived << " as with a checksum left to the device");
    BOOST_TEST(stamps == count + 1);
    BOOST_TEST(arrived == count + 1);
    BOOST_TEST(left_open == count / 2 + 1);
    // What cannot be is refused, and the room stays.
    auto room = socket.try_reserve(packet.size());
    room.commit(packet.size(), nr::offload_info{.checksum_start = 34, .checksum_offset = 40}, ec);
    BOOST_TEST((ec == nr::error::invalid_offload));
    room.commit(packet.size(), nr::offload_info{.type = nr::gso_type::tcp_ipv4}, ec);
    BOOST_TEST((ec == nr::error::invalid_offload));
    BOOST_TEST(bool{room});
    room.reset();
    BOOST_TEST(socket.explain().find("asked of the device for frames sent: when to finish checksums") !=
               std::string::npos);
    check_balance(socket);
    nr::afxdp::umem const without{nr::afxdp::umem_options{}};
    BOOST_TEST((error_of(wire.right, nr::xdp_options{wanted}.memory(without).timestamps(true)) ==
                nr::error::unsupported_option));
    // Sockets that share such a memory forward in place.
    {
        lab::pair const out{wire.right, wire.left, lab::pair_options{}.names("out", "sink")};
        nr::afxdp::umem const memory{nr::afxdp::umem_options{}.transmit_metadata(true)};
        auto from = open_at(wire.right, context, everything().memory(memory).ring_sizes(64, 64));
        auto to = open_at(out.left, context,
                          nr::xdp_options{"out"}.nothing().memory(memory).ring_sizes(64, 64).timestamps(true));
        lab::send_numbered(wire.left, wire.right, {.count = 20});
        std::size_t sent = 0;
        while (sent != 20 && from.receive(batch, 2s, ec) != 0)
            sent += to.forward(batch);
        BOOST_TEST(to.wait_drained(5s).taken == 20U);
        BOOST_TEST(to.statistics().in_place == 20U);
        nr::tx_timestamp stamp;
        for (stamps = 0; to.try_timestamp(stamp);)
            ++stamps;
        BOOST_TEST(stamps == 20U);
        BOOST_TEST(out.right.counters().rx_packets == 20U);
        // The first may go, and its queue with it.
        from.close();
        auto again = open_at(wire.right, context, everything().memory(memory).ring_sizes(64, 64));
    }
}

BOOST_AUTO_TEST_CASE(nothing_is_allocated_in_the_steady_state) {
    constexpr std::uint64_t warm = 5'000, count = 20'000;
    lab::pair const wire;
    net::io_context context{1};
    // A type-erased executor allocates for itself what is posted through it, if rarely.
    nr::basic_xdp_socket<net::io_context::executor_type> socket{context};
    wire.right.enter([&] { socket.open(everything()); });
    lab::allocation_counter counter;
    std::uint64_t received = 0, sent = 0, made = 0;
    nr::packet_batch batch;
    std::array<std::byte, 60> frame{};
    std::array const frames{net::const_buffer{net::buffer(frame)}, net::const_buffer{net::buffer(frame)}};
    net::steady_timer watchdog{context, 20s};
    watchdog.async_wait([&](nr::error_code ec) {
        if (!ec)
            socket.cancel();
    });
    auto const receive = [&](auto const& self) -> void {
        socket.async_receive(batch, [&](nr::error_code ec, std::size_t size) {
            if (ec)
                return;
            auto const before = received;
            received += size;
            if (before < warm && received >= warm)
                counter = {};
            if (received >= count) {
                made = counter.here();
                socket.cancel();
                watchdog.cancel();
                return;
            }
            auto kept = batch.hold(*batch.begin());
            self(self);
        });
    };
    auto const send = [&](auto const& self) -> void {
        socket.async_send_frames(frames, [&](nr::error_code ec, std::size_t size) {
            sent += size;
            if (ec || received >= count)
                return;
            socket.async_drain([&](nr::error_code failure, nr::tx_result) {
                if (!failure)
                    self(self);
            });
        });
    };
    auto sender = lab::start_sender(wire.left, wire.right, {.count = count + warm, .rate = 20'000});
    receive(receive);
    send(send);
    context.run();
    BOOST_TEST_MESSAGE("figure: " << received << " received and " << sent << " sent, after the first " << warm
                                  << " with " << made << " heap allocations");
    BOOST_TEST(received >= count);
    BOOST_TEST(sent != 0U);
    BOOST_TEST(made == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
