#pragma once

#include <netring_asio/use_sender.hpp>

#include <execution>

namespace netring_asio {

/// What a sender needs of `std::execution` of C++26, where the standard library has it.
struct std_library {
    using sender_tag = std::execution::sender_tag;
    using operation_state_tag = std::execution::operation_state_tag;
    using scheduler_tag = std::execution::scheduler_tag;
    using set_value_t = std::execution::set_value_t;
    using set_error_t = std::execution::set_error_t;
    using set_stopped_t = std::execution::set_stopped_t;
    template <class... Signatures>
    using completion_signatures = std::execution::completion_signatures<Signatures...>;
    template <class Tag>
    using completion_scheduler_query = std::execution::get_completion_scheduler_t<Tag>;
    template <class Token, class Function>
    using stop_callback = std::stop_callback_for_t<Token, Function>;

    struct scheduler_base {
        auto query(std::execution::get_forward_progress_guarantee_t) const noexcept {
            return std::execution::forward_progress_guarantee::parallel;
        }
    };

    template <class Receiver>
    static auto stop_token(Receiver const& receiver) noexcept {
        return std::execution::get_stop_token(std::execution::get_env(receiver));
    }
};

/// Makes senders of this library: `capture.async_receive(batch, std_sender)`.
inline constexpr basic_use_sender<std_library> std_sender{};

} // namespace netring_asio
