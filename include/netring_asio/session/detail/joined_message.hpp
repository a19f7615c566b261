#pragma once

#include <boost/mp11/algorithm.hpp>

#include <variant>

namespace netring_asio::session::detail {

template <class T>
inline constexpr bool is_variant = false;
template <class... T>
inline constexpr bool is_variant<std::variant<T...>> = true;

template <class Message>
struct alternatives {
    using type = std::variant<Message>;
};
template <class... Messages>
struct alternatives<std::variant<Messages...>> {
    using type = std::variant<Messages...>;
};

/// The message type of one parser, or a variant of all that several make.
template <class... Messages>
struct joined_message {
    using type = boost::mp11::mp_unique<boost::mp11::mp_append<typename alternatives<Messages>::type...>>;
};
template <class Message>
struct joined_message<Message> {
    using type = Message;
};

} // namespace netring_asio::session::detail
