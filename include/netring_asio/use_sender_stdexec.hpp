#pragma once

#include <netring_asio/use_sender.hpp>

#include <stdexec/execution.hpp>

namespace netring_asio {

/// What a sender needs of stdexec (NVIDIA/stdexec).
struct stdexec_library {
    using sender_tag = stdexec::sender_t;
    using operation_state_tag = stdexec::operation_state_t;
    using scheduler_tag = stdexec::scheduler_t;
    using set_value_t = stdexec::set_value_t;
    using set_error_t = stdexec::set_error_t;
    using set_stopped_t = stdexec::set_stopped_t;
    template <class... Signatures>
    using completion_signatures = stdexec::completion_signatures<Signatures...>;
    template <class Tag>
    using completion_scheduler_query = stdexec::get_completion_scheduler_t<Tag>;
    template <class Token, class Function>
    using stop_callback = stdexec::stop_callback_for_t<Token, Function>;

    struct scheduler_base {
        auto query(stdexec::get_forward_progress_guarantee_t) const noexcept {
            return stdexec::forward_progress_guarantee::parallel;
        }
    };

    template <class Receiver>
    static auto stop_token(Receiver const& receiver) noexcept {
        return stdexec::get_stop_token(stdexec::get_env(receiver));
    }
};

/// Makes senders of this library: `capture.async_receive(batch, stdexec_sender)`.
inline constexpr basic_use_sender<stdexec_library> stdexec_sender{};

} // namespace netring_asio
