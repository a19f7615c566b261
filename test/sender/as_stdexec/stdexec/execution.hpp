#pragma once

#include "../../toy.hpp"

/// The toy under stdexec's names, as far as `use_sender_stdexec.hpp` and the example need them, so that the example is
/// compiled and run where stdexec is not.
namespace stdexec {

using toy::completion_signatures;
using toy::get_completion_scheduler_t;
using toy::get_stop_token;
using toy::set_error_t;
using toy::set_stopped_t;
using toy::set_value_t;
using toy::starts_on;
using toy::sync_wait;
using toy::then;

using sender_t = toy::sender_tag;
using operation_state_t = toy::operation_state_tag;
using scheduler_t = toy::scheduler_tag;

template <class Token, class Function>
using stop_callback_for_t = std::stop_callback<Function>;

template <class Receiver>
Receiver const& get_env(Receiver const& receiver) noexcept {
    return receiver;
}

enum class forward_progress_guarantee { parallel };
struct get_forward_progress_guarantee_t {};

} // namespace stdexec
