#pragma once

#include <netring_asio/detail/injector_impl.hpp>
#include <netring_asio/error.hpp>

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <utility>

namespace netring_asio::detail {

/// Waits until there is room, and reserves it.
template <class Impl>
struct reserve_step {
    static constexpr auto direction = &Impl::sending;
    typename Impl::frame_type* out;
    std::size_t size;

    void begin(Impl&) const noexcept { out->reset(); }
    /// Whether the operation is complete, with or without an error.
    bool advance(Impl& impl, error_code& ec) const {
        *out = impl.ring.try_reserve(size, ec);
        return ec || *out;
    }
    /// Whether total cancellation has come too late.
    bool has_effect() const noexcept { return false; }
    void end(Impl&, error_code&) const noexcept {}

    template <class Complete>
    void deliver(Complete&& complete, error_code ec) const {
        std::forward<Complete>(complete)(ec);
    }
};

/// Puts frames into the ring, one by one, and has the kernel take them.
template <class Impl, class Frames>
struct send_frames_step {
    static constexpr auto direction = &Impl::sending;
    Frames frames;
    std::size_t committed = 0;

    void begin(Impl& impl) const noexcept { impl.ring.begin_send(); }
    bool advance(Impl& impl, error_code& ec) {
        while (!frames.done() && put_frame(impl.ring, frames.front(), ec)) {
            frames.next();
            ++committed;
        }
        return ec || frames.done();
    }
    bool has_effect() const noexcept { return committed != 0; }
    void end(Impl& impl, error_code& ec) {
        auto& ring = impl.ring;
        if (ring.is_open()) {
            error_code flush_error;
            ring.flush_if_due(flush_error);
            if (flush_error) {
                // What fails now did not happen: the frames are not sent later, behind the caller's back.
                committed -= ring.retract();
                ec = flush_error;
            }
            ring.end_send();
        }
    }

    template <class Complete>
    void deliver(Complete&& complete, error_code ec) const {
        std::forward<Complete>(complete)(ec, frames.result(committed));
    }
};

/// The frames of a range of buffer sequences. The result is their number.
template <class Iterator, class Sentinel>
struct many_frames {
    Iterator at;
    Sentinel end;

    bool done() const { return at == end; }
    decltype(auto) front() const { return *at; }
    void next() { ++at; }
    static std::size_t result(std::size_t committed) noexcept { return committed; }
};

/// One frame. The result is its length.
template <class ConstBufferSequence>
struct one_frame {
    ConstBufferSequence buffers;
    bool sent = false;

    bool done() const noexcept { return sent; }
    ConstBufferSequence const& front() const noexcept { return buffers; }
    void next() noexcept { sent = true; }
    std::size_t result(std::size_t committed) const { return committed != 0 ? boost::asio::buffer_size(buffers) : 0; }
};

/// One captured packet. The result is its length on the wire.
struct one_packet {
    packet_view packet;
    bool sent = false;

    bool done() const noexcept { return sent; }
    packet_view const& front() const noexcept { return packet; }
    void next() noexcept { sent = true; }
    std::size_t result(std::size_t committed) const noexcept { return committed != 0 ? wire_size(packet) : 0; }
};

/// Waits until what is in the ring has left.
template <class Impl>
struct drain_step {
    static constexpr auto direction = &Impl::draining;
    tx_result result{};

    void begin(Impl& impl) const noexcept { impl.ring.begin_drain(); }
    bool advance(Impl& impl, error_code& ec) {
        impl.ring.flush_if_due(ec);
        if (ec || !impl.ring.drained())
            return !!ec;
        result = impl.ring.take_result();
        return true;
    }
    bool has_effect() const noexcept { return false; }
    void end(Impl&, error_code&) const noexcept {}

    template <class Complete>
    void deliver(Complete&& complete, error_code ec) const {
        std::forward<Complete>(complete)(ec, result);
    }
};

} // namespace netring_asio::detail
