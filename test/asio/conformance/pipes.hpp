#pragma once

#include <netring_asio/error.hpp>

// Boost 1.81 does not compile it after experimental/use_coro.hpp.
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/io_context.hpp>

#include <utility>

namespace conformance {

/// The pipe of what `From` makes, into a channel of a context of its own.
template <class From, class Message>
struct pipe_of : From {
    static constexpr bool endless = true;

    boost::asio::io_context elsewhere;
    boost::asio::experimental::channel<void(netring_asio::error_code, Message)> channel{elsewhere, 100};

    template <class Object, class... Token>
    auto start(Object& from, Token&&... token) {
        return from.async_pipe(channel, std::forward<Token>(token)...);
    }
};

} // namespace conformance
