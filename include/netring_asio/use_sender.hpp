#pragma once

#include <netring_asio/detail/sender_operation.hpp>

#include <boost/asio/post.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace netring_asio {

/// A completion token that makes senders of a library's kind of asynchronous operations, not only of ours.
///
/// `Library` names what a sender needs of its library; `use_sender_stdexec.hpp`, `use_sender_beman.hpp` and
/// `use_sender_std.hpp` have it for stdexec, beman.execution and `std::execution`. For another library it has
/// - the tags `sender_tag`, `operation_state_tag`, `scheduler_tag`;
/// - the completion functions `set_value_t`, `set_error_t`, `set_stopped_t`;
/// - `completion_signatures<Signatures...>`, and `completion_scheduler_query<Tag>`, the query for the scheduler that a
///   sender completes on;
/// - `scheduler_base`, an empty class with the queries that every scheduler of it answers;
/// - `static auto stop_token(Receiver const&) noexcept`, and `stop_callback<StopToken, Function>`.
///
/// @par Completion
/// What completes with `void(error_code, T...)` completes with `set_value(T...)`, with `set_stopped()` where the error
/// is `net::error::operation_aborted` or the handler was destroyed without a call, else with
/// `set_error(std::error_code)`. Errors that come with a result, that of a partial send for instance, keep it with
/// `net::as_tuple(token)`, which makes a value of both.
///
/// @par Threads
/// `start` calls the initiating function on the calling thread: begin on the object's executor (see
/// `executor_scheduler`), or before others touch the object. Completion is on the I/O executor. A stop request may come
/// from any thread and is posted to the I/O executor, which runs on one thread or is a strand.
template <class Library>
class basic_use_sender {
public:
    constexpr basic_use_sender() noexcept = default;

    /// An executor for I/O objects whose operations are senders where no token is given.
    template <class Inner>
    struct executor_with_default : Inner {
        using default_completion_token_type = basic_use_sender;

        template <class Other>
            requires(!std::same_as<Other, executor_with_default> && std::convertible_to<Other, Inner>)
        executor_with_default(Other const& other) noexcept
            : Inner{other} {}
    };

    /// An I/O object type whose operations are senders where no token is given.
    template <class Object>
    using as_default_on_t =
        typename Object::template rebind_executor<executor_with_default<typename Object::executor_type>>::other;

    /// Makes such an object of another.
    template <class Object>
    static auto as_default_on(Object&& object) {
        return as_default_on_t<std::decay_t<Object>>{std::forward<Object>(object)};
    }
};

/// A scheduler of a sender library over an executor, so that a sender program begins or goes on where an I/O object
/// lives: `starts_on(executor_scheduler{capture.get_executor(), token}, capture.async_receive(batch, token))`.
///
/// @par Thread safety
/// A plain value. Scheduling is as safe as posting to the executor.
template <class Library, class Executor>
class executor_scheduler : public Library::scheduler_base {
public:
    using scheduler_concept = typename Library::scheduler_tag;

    explicit executor_scheduler(Executor executor, basic_use_sender<Library> = {}) noexcept
        : executor_{std::move(executor)} {}

    /// A sender that completes on the executor, with `set_stopped` where that is gone.
    auto schedule() const noexcept {
        return detail::schedule_sender{boost::asio::post(executor_, basic_use_sender<Library>{}), *this};
    }

    friend bool operator==(executor_scheduler const& a, executor_scheduler const& b) noexcept {
        return a.executor_ == b.executor_;
    }

private:
    Executor executor_;
};
template <class Executor, class Library>
executor_scheduler(Executor, basic_use_sender<Library>) -> executor_scheduler<Library, Executor>;

} // namespace netring_asio
