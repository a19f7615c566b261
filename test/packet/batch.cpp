#include <netring_asio/error.hpp>
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <boost/system/errc.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <ranges>
#include <thread>
#include <vector>

namespace nr = netring_asio;

namespace {

/// A source in a dozen lines: a buffer, its views, and a count of how often it came back.
struct buffer_owner final : nr::packet_owner {
    std::array<std::byte, 3> bytes{std::byte{1}, std::byte{2}, std::byte{3}};
    std::vector<nr::packet_view> views;
    int recycled = 0;

    buffer_owner() {
        for (auto const& byte : bytes)
            views.push_back({.data = {&byte, 1}, .wire_length = 60});
    }
    nr::packet_batch lend() { return {views, nr::packet_owner_ptr{this}}; }
    void recycle() noexcept override { ++recycled; }
};

static_assert(std::ranges::forward_range<nr::packet_batch const>);
static_assert(!std::is_copy_constructible_v<nr::packet_batch>);

} // namespace

BOOST_AUTO_TEST_CASE(anybody_can_fill_a_batch) {
    buffer_owner owner;
    {
        auto batch = owner.lend();
        BOOST_TEST(batch.size() == 3U);
        int sum = 0;
        for (auto const packet : batch) {
            BOOST_TEST(packet.truncated());
            sum += std::to_integer<int>(packet.data[0]);
        }
        BOOST_TEST(sum == 6);
        BOOST_TEST(owner.recycled == 0);
    }
    BOOST_TEST(owner.recycled == 1);
}

BOOST_AUTO_TEST_CASE(a_held_frame_outlives_its_batch_and_returns_the_memory_once) {
    buffer_owner owner;
    auto batch = owner.lend();
    auto held = batch.hold(*batch.begin());
    auto copy = held;
    auto moved = std::move(batch);
    moved.reset();
    BOOST_TEST(moved.empty());
    BOOST_TEST(owner.recycled == 0);
    held.reset();
    BOOST_TEST(!held);
    BOOST_TEST(std::to_integer<int>(copy->data[0]) == 1);
    std::thread{[last = std::move(copy)]() mutable { last.reset(); }}.join();
    BOOST_TEST(owner.recycled == 1);
}

BOOST_AUTO_TEST_CASE(assigning_to_a_batch_releases_what_it_held) {
    buffer_owner first, second;
    auto batch = first.lend();
    batch = second.lend();
    BOOST_TEST(first.recycled == 1);
    BOOST_TEST(second.recycled == 0);
}

BOOST_AUTO_TEST_CASE(an_owned_packet_keeps_bytes_and_metadata) {
    std::array bytes{std::byte{7}, std::byte{8}};
    nr::packet_view view{.data = bytes, .wire_length = 9, .vlan = {0x88a8, 0x2005}};
    nr::owned_packet const packet{view};
    bytes[0] = {};
    nr::owned_packet copy{packet};
    auto moved = std::move(copy);
    BOOST_TEST(std::to_integer<int>(moved->data[0]) == 7);
    BOOST_TEST(moved->data.data() != packet->data.data());
    BOOST_TEST(moved->wire_length == 9U);
    BOOST_TEST(moved->vlan.id() == 5U);
    BOOST_TEST(moved->vlan.priority() == 1U);
}

BOOST_AUTO_TEST_CASE(errors_equal_portable_conditions_and_say_what_to_do) {
    nr::error_code const busy = nr::error::operation_in_progress;
    BOOST_TEST((busy == boost::system::errc::operation_in_progress));
    BOOST_TEST((nr::error_code{nr::error::missing_privilege} == boost::system::errc::operation_not_permitted));
    BOOST_TEST(nr::error_code{nr::error::missing_privilege}.message().find("CAP_NET_RAW") != std::string::npos);
    BOOST_TEST(busy.category().name() == "netring_asio");
}
