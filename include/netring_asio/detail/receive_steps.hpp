#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/detail/owned_packets.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/owned_packet.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/take_result.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace netring_asio::detail {

/// Completion with `void(error_code)`.
struct deliver_nothing {
    static constexpr bool goes_on = false;

    template <class Handler>
    void deliver(error_code ec, Handler&& handler) const {
        std::forward<Handler>(handler)(ec);
    }
    template <class Executor, class Handler>
    void deliver_immediately(error_code ec, Executor const& executor, Handler&& handler) const {
        complete_immediately(executor, std::forward<Handler>(handler), ec);
    }
};

/// Completion with `void(error_code, std::size_t)`: how much is in the caller's container.
template <class Container>
struct deliver_size {
    static constexpr bool goes_on = false;
    Container* out;

    template <class Handler>
    void deliver(error_code ec, Handler&& handler) const {
        std::forward<Handler>(handler)(ec, size(ec));
    }
    template <class Executor, class Handler>
    void deliver_immediately(error_code ec, Executor const& executor, Handler&& handler) const {
        complete_immediately(executor, std::forward<Handler>(handler), ec, size(ec));
    }
    std::size_t size(error_code ec) const noexcept { return ec ? 0 : out->size(); }
};

/// Waits until there is something, and keeps that in the object for the next receive.
struct fill_step : deliver_nothing {
    template <class Impl>
    void prepare(Impl&) const noexcept {}
    template <class Impl>
    take_result take(Impl& impl) const {
        return impl.retained.empty() ? impl.ring.take(impl.retained) : take_result::taken;
    }
};

/// The same as a part of a pipe, after which the object is still receiving.
struct pipe_step : fill_step {
    static constexpr bool goes_on = true;
};

/// Lends a batch.
struct receive_step : deliver_size<packet_batch> {
    template <class Impl>
    void prepare(Impl&) const noexcept {
        out->reset();
    }
    template <class Impl>
    take_result take(Impl& impl) const {
        return impl.take(*out);
    }
};

/// Copies a batch and gives it back. Surplus packets move to a store, so that their memory serves again.
struct receive_owned_step : deliver_size<std::vector<owned_packet>> {
    template <class Impl>
    void prepare(Impl& impl) const {
        resize_packets(*out, 0, impl.spare);
    }
    template <class Impl>
    take_result take(Impl& impl) const {
        packet_batch batch;
        auto const result = impl.take(batch);
        if (result == take_result::taken)
            copy_packets(batch, *out, impl.spare);
        return result;
    }
};

} // namespace netring_asio::detail
