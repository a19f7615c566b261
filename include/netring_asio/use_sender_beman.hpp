#pragma once

#include <netring_asio/use_sender.hpp>

#include <beman/execution/execution.hpp>

namespace netring_asio {

/// What a sender needs of beman.execution (bemanproject/execution).
struct beman_library {
    using sender_tag = beman::execution::sender_tag;
    using operation_state_tag = beman::execution::operation_state_tag;
    using scheduler_tag = beman::execution::scheduler_tag;
    using set_value_t = beman::execution::set_value_t;
    using set_error_t = beman::execution::set_error_t;
    using set_stopped_t = beman::execution::set_stopped_t;
    template <class... Signatures>
    using completion_signatures = beman::execution::completion_signatures<Signatures...>;
    template <class Tag>
    using completion_scheduler_query = beman::execution::get_completion_scheduler_t<Tag>;
    template <class Token, class Function>
    using stop_callback = beman::execution::stop_callback_for_t<Token, Function>;

    struct scheduler_base {
        auto query(beman::execution::get_forward_progress_guarantee_t) const noexcept {
            return beman::execution::forward_progress_guarantee::parallel;
        }
    };

    template <class Receiver>
    static auto stop_token(Receiver const& receiver) noexcept {
        return beman::execution::get_stop_token(beman::execution::get_env(receiver));
    }
};

/// Makes senders of this library: `capture.async_receive(batch, beman_sender)`.
inline constexpr basic_use_sender<beman_library> beman_sender{};

} // namespace netring_asio
