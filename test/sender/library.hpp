#pragma once

/// The sender library that the tests of this folder use: the toy beside this file, or a real one where its tree was
/// given to CMake (NETRING_ASIO_STDEXEC_DIR, NETRING_ASIO_BEMAN_DIR).
#if defined(SENDER_LIBRARY_STDEXEC)

#include <netring_asio/use_sender_stdexec.hpp>

#include <exec/task.hpp>
#include <exec/when_any.hpp>

namespace library {
using namespace stdexec;
using exec::task;
using exec::when_any;
using stop_source = inplace_stop_source;
inline constexpr auto use_sender = netring_asio::stdexec_sender;
struct stop_env {
    inplace_stop_token token;
    inplace_stop_token query(get_stop_token_t) const noexcept { return token; }
};
} // namespace library

#elif defined(SENDER_LIBRARY_BEMAN)

#include <netring_asio/use_sender_beman.hpp>

namespace library {
using namespace beman::execution;
using stop_source = inplace_stop_source;
inline constexpr auto use_sender = netring_asio::beman_sender;
struct stop_env {
    inplace_stop_token token;
    inplace_stop_token query(get_stop_token_t) const noexcept { return token; }
};
#define SENDER_LIBRARY_HAS_NO_WHEN_ANY
} // namespace library

#else

#include "toy.hpp"
#include <netring_asio/use_sender.hpp>

namespace library {
using namespace toy;
using stop_source = std::stop_source;

struct traits {
    using sender_tag = toy::sender_tag;
    using operation_state_tag = toy::operation_state_tag;
    using scheduler_tag = toy::scheduler_tag;
    using set_value_t = toy::set_value_t;
    using set_error_t = toy::set_error_t;
    using set_stopped_t = toy::set_stopped_t;
    template <class... Signatures>
    using completion_signatures = toy::completion_signatures<Signatures...>;
    template <class Tag>
    using completion_scheduler_query = toy::get_completion_scheduler_t<Tag>;
    template <class Token, class Function>
    using stop_callback = std::stop_callback<Function>;
    struct scheduler_base {};
    template <class Receiver>
    static auto stop_token(Receiver const& receiver) noexcept {
        return toy::get_stop_token(receiver);
    }
};
inline constexpr netring_asio::basic_use_sender<traits> use_sender{};
} // namespace library

#endif
