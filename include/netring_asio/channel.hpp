#pragma once

#include <netring_asio/error.hpp>

#include <utility>

namespace netring_asio {

namespace detail {

template <class Channel, class Message>
concept takes = requires(Channel& channel, Message message) {
    channel.async_send(error_code{}, std::move(message), [](error_code) {});
};

} // namespace detail

/// What takes messages of one of these types from an `async_pipe`, each beside an `error_code`, as
/// `experimental::channel<void(error_code, Message)>` does.
template <class Channel, class... Messages>
concept channel_of = (detail::takes<Channel, Messages> || ...);

} // namespace netring_asio
