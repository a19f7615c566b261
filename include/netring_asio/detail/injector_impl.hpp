#pragma once

#include <netring_asio/afpacket/tx_ring.hpp>
#include <netring_asio/detail/vlan.hpp>
#include <netring_asio/error.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <chrono>
#include <cstddef>
#include <utility>

#include <unistd.h>

namespace netring_asio::detail {

/// What a sending object over a ring, an injector for instance, and its pending operations share.
template <class Executor, class Ring = afpacket::tx_ring>
struct injector_impl {
    using executor_type = Executor;
    using frame_type = typename Ring::frame_type;

    explicit injector_impl(Executor const& executor)
        : wake{executor} {}
    template <class Other>
    explicit injector_impl(injector_impl<Other, Ring>&& other)
        : ring{std::move(other.ring)}
        , wake{std::move(other.wake)} {}

    Executor get_executor() noexcept { return wake.get_executor(); }

    /// Has the reactor look after the ring.
    void watch(error_code& ec) {
        if (ec)
            return;
        if (int const duplicate = ring.duplicate_wait_handle(ec); !ec)
            if (wake.assign(duplicate, ec); ec)
                ::close(duplicate);
        if (ec)
            ring.close();
    }

    void cancel() {
        ++cancels;
        error_code ignored;
        wake.cancel(ignored);
    }

    void close() {
        ++cancels;
        error_code ignored;
        wake.close(ignored);
        ring.close();
    }

    error_code begin(bool injector_impl::* direction) noexcept {
        if (!ring.is_open())
            return error::not_open;
        if (std::exchange(this->*direction, true))
            return error::operation_in_progress;
        return {};
    }

    void end(bool injector_impl::* direction) noexcept {
        this->*direction = false;
        if (!sending && !draining)
            ring.disarm();
    }

    /// Whether nothing stands against a synchronous operation that waits: it would take the wake-ups of others.
    bool may_wait(error_code& ec) const noexcept {
        ec = !ring.is_open()       ? error_code{error::not_open}
             : sending || draining ? error_code{error::operation_in_progress}
                                   : error_code{};
        return !ec;
    }

    Ring ring;
    boost::asio::posix::basic_stream_descriptor<Executor> wake;
    unsigned cancels = 0; // an operation that sees it change was cancelled
    bool sending = false;
    bool draining = false;
};

/// Room in the ring, for which the kernel takes what is there if need be; nullptr without an error if there is none.
template <class Ring>
std::byte* find_room(Ring& ring, std::size_t size, error_code& ec) {
    auto* const room = ring.place(size, ec);
    if (room != nullptr || ec)
        return room;
    ring.flush_if_due(ec);
    return ec ? nullptr : ring.place(size, ec);
}

/// Puts a packet into the ring as it was on the wire; false without an error where there is no room.
template <class Ring>
bool put_frame(Ring& ring, packet_view const& packet, error_code& ec) {
    if (find_room(ring, wire_size(packet), ec) == nullptr)
        return false;
    ring.append(packet, ec);
    return !ec;
}

/// Copies a frame into the ring; false without an error where there is no room.
template <class Ring, class ConstBufferSequence>
bool put_frame(Ring& ring, ConstBufferSequence const& buffers, error_code& ec) {
    auto const size = boost::asio::buffer_size(buffers);
    auto* const room = find_room(ring, size, ec);
    if (room == nullptr)
        return false;
    boost::asio::buffer_copy(boost::asio::mutable_buffer{room, size}, buffers);
    ring.append(size, ec);
    return !ec;
}

} // namespace netring_asio::detail
