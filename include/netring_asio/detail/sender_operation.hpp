#pragma once

#include <netring_asio/error.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>

#include <atomic>
#include <exception>
#include <new>
#include <optional>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace netring_asio {
template <class Library>
class basic_use_sender;
}

namespace netring_asio::detail {

/// What a completion signature means to a sender.
template <class... Values>
struct sender_values {
    using values = std::tuple<std::decay_t<Values>...>;
    using error = std::error_code;
    template <class Library>
    using completion_signatures =
        typename Library::template completion_signatures<typename Library::set_value_t(std::decay_t<Values>...),
                                                         typename Library::set_error_t(std::error_code),
                                                         typename Library::set_stopped_t()>;
};

template <class Signature>
struct sender_signature;
template <class... Values>
struct sender_signature<void(Values...)> : sender_values<Values...> {
    static constexpr bool has_error = false;
};
template <class... Values>
struct sender_signature<void(error_code, Values...)> : sender_values<Values...> {
    static constexpr bool has_error = true;
};

/// An operation between `start` and completion: what its handler, its stop callback and its posted cancellations share.
///
/// Each of these refers to it, and the last that lets go completes the receiver. So nothing touches the operation after
/// its completion, on whichever thread each of them was.
template <class Library, class Receiver, class Executor, class Signature>
class sender_operation {
    using signature = sender_signature<Signature>;

public:
    sender_operation(Receiver receiver, Executor executor)
        : receiver_{std::move(receiver)}
        , executor_{std::move(executor)} {}
    sender_operation(sender_operation&&) = delete;

protected:
    /// Keeps the operation from completing.
    class reference {
    public:
        explicit reference(sender_operation& operation) noexcept
            : operation_{&operation} {}
        reference(reference&& other) noexcept
            : operation_{std::exchange(other.operation_, nullptr)} {}
        ~reference() {
            if (operation_ != nullptr)
                operation_->release();
        }
        sender_operation* operator->() const noexcept { return operation_; }
        explicit operator bool() const noexcept { return operation_ != nullptr; }

    private:
        sender_operation* operation_;
    };

    /// What the initiating function is given.
    class handler {
    public:
        explicit handler(sender_operation& operation) noexcept
            : operation_{operation} {}
        handler(handler&&) noexcept = default;
        ~handler() {
            if (operation_)
                operation_->handler_is_gone_ = true;
        }

        using cancellation_slot_type = boost::asio::cancellation_slot;
        cancellation_slot_type get_cancellation_slot() const noexcept { return operation_->signal_.slot(); }

        template <class... Results>
        void operator()(Results&&... results) {
            auto const operation = std::move(operation_);
            operation->handler_is_gone_ = true;
            operation->take(std::forward<Results>(results)...);
        }

    private:
        reference operation_;
    };

    template <class Initiate>
    void start(Initiate initiate) noexcept {
        auto token = Library::stop_token(receiver_);
        if (token.stop_requested())
            return typename Library::set_stopped_t{}(std::move(receiver_));
        try {
            initiate(handler{*this});
        } catch (std::bad_alloc const&) {
            fail(std::make_error_code(std::errc::not_enough_memory));
        } catch (system_error const& failure) {
            fail(failure.code());
        }
        // Not before: a cancellation must not meet the initiating function on another thread.
        stop_.emplace(std::move(token), stop_handler{this});
        let_go_of_start();
    }

private:
    struct stop_handler {
        sender_operation* operation;
        void operator()() const noexcept { operation->stop(); }
    };

    /// The initiating function threw. Where its handler went elsewhere before, that will say how the operation ends.
    void fail(std::error_code error) noexcept {
        if (references_.load(std::memory_order_acquire) == 1)
            result_ = error;
    }

    template <class... Results>
    void take(error_code error, Results&&... results)
        requires(signature::has_error)
    {
        if (!error)
            result_.template emplace<typename signature::values>(std::forward<Results>(results)...);
        else if (error != boost::asio::error::operation_aborted)
            result_ = std::error_code{error};
    }
    template <class... Results>
    void take(Results&&... results)
        requires(!signature::has_error)
    {
        result_.template emplace<typename signature::values>(std::forward<Results>(results)...);
    }

    /// On any thread, and perhaps while the operation completes on another, which waits for this to return.
    void stop() noexcept {
        auto count = references_.load(std::memory_order_relaxed);
        do {
            if (count == 0)
                return;
        } while (!references_.compare_exchange_weak(count, count + 1, std::memory_order_acq_rel));
        reference self{*this};
        try {
            boost::asio::post(executor_, [self = std::move(self)] {
                if (!self->handler_is_gone_)
                    self->signal_.emit(boost::asio::cancellation_type::all);
            });
        } catch (std::bad_alloc const&) { // then it cannot be stopped, and goes on
        }
    }

    /// Where the handler is done on another thread already, the completion is posted to where it belongs.
    void let_go_of_start() noexcept {
        auto count = references_.load(std::memory_order_acquire);
        while (count != 1)
            if (references_.compare_exchange_weak(count, count - 1, std::memory_order_acq_rel))
                return;
        reference last{*this};
        try {
            boost::asio::post(executor_, [last = std::move(last)] {});
        } catch (std::bad_alloc const&) { // completes here instead
        }
    }

    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            complete();
    }

    void complete() noexcept {
        stop_.reset();
        auto receiver = std::move(receiver_); // the operation may be destroyed before its completion returns
        auto result = std::move(result_);
        if (auto* const values = std::get_if<typename signature::values>(&result))
            std::apply(
                [&](auto&... value) { typename Library::set_value_t{}(std::move(receiver), std::move(value)...); },
                *values);
        else if (auto* const error = std::get_if<std::error_code>(&result))
            typename Library::set_error_t{}(std::move(receiver), *error);
        else
            typename Library::set_stopped_t{}(std::move(receiver));
    }

    using stop_token_type = std::remove_cvref_t<decltype(Library::stop_token(std::declval<Receiver const&>()))>;

    Receiver receiver_;
    Executor executor_;
    boost::asio::cancellation_signal signal_;
    std::variant<std::monostate, typename signature::values, std::error_code> result_; // nothing: stopped
    std::optional<typename Library::template stop_callback<stop_token_type, stop_handler>> stop_;
    std::atomic<unsigned> references_{2}; // the handler and `start`
    bool handler_is_gone_ = false;        // of the I/O executor
};

/// A sender's operation, which keeps the initiation until it is started.
template <class Library, class Receiver, class Signature, class Initiation, class... Arguments>
class sender_state
    : sender_operation<Library, Receiver, boost::asio::associated_executor_t<Initiation, boost::asio::system_executor>,
                       Signature> {
    using base =
        sender_operation<Library, Receiver,
                         boost::asio::associated_executor_t<Initiation, boost::asio::system_executor>, Signature>;

public:
    using operation_state_concept = typename Library::operation_state_tag;

    sender_state(Receiver receiver, Initiation initiation, std::tuple<Arguments...> arguments)
        : base{std::move(receiver), boost::asio::get_associated_executor(initiation, boost::asio::system_executor{})}
        , initiation_{std::move(initiation)}
        , arguments_{std::move(arguments)} {}

    void start() & noexcept {
        base::start([this](typename base::handler on_completion) {
            // What these hold goes now: an I/O object must not outlive its context, which an operation's state may.
            auto initiation = std::move(initiation_);
            auto arguments = std::move(arguments_);
            std::apply(
                [&](Arguments&... values) { std::move(initiation)(std::move(on_completion), std::move(values)...); },
                arguments);
        });
    }

private:
    Initiation initiation_;
    std::tuple<Arguments...> arguments_;
};

/// An asynchronous operation that was not started yet.
template <class Library, class Signature, class Initiation, class... Arguments>
class sender {
public:
    using sender_concept = typename Library::sender_tag;
    using completion_signatures = typename sender_signature<Signature>::template completion_signatures<Library>;

    sender(Initiation initiation, std::tuple<Arguments...> arguments)
        : initiation_{std::move(initiation)}
        , arguments_{std::move(arguments)} {}

    template <class Self, class... Environment>
    static consteval completion_signatures get_completion_signatures() noexcept {
        return {};
    }

    template <class Receiver>
    auto connect(Receiver receiver) && {
        return sender_state<Library, Receiver, Signature, Initiation, Arguments...>{
            std::move(receiver), std::move(initiation_), std::move(arguments_)};
    }
    template <class Receiver>
        requires(std::copy_constructible<Initiation> && (... && std::copy_constructible<Arguments>))
    auto connect(Receiver receiver) const& {
        return sender_state<Library, Receiver, Signature, Initiation, Arguments...>{std::move(receiver), initiation_,
                                                                                    arguments_};
    }

private:
    Initiation initiation_;
    std::tuple<Arguments...> arguments_;
};

/// A sender that completes on a scheduler, and says so.
template <class Sender, class Scheduler>
class schedule_sender;
template <class Library, class Signature, class Initiation, class... Arguments, class Scheduler>
class schedule_sender<sender<Library, Signature, Initiation, Arguments...>, Scheduler>
    : public sender<Library, Signature, Initiation, Arguments...> {
public:
    schedule_sender(sender<Library, Signature, Initiation, Arguments...> from, Scheduler scheduler)
        : sender<Library, Signature, Initiation, Arguments...>{std::move(from)}
        , scheduler_{std::move(scheduler)} {}

    class environment {
    public:
        explicit environment(Scheduler scheduler) noexcept
            : scheduler_{std::move(scheduler)} {}
        template <class... Environment>
        Scheduler query(typename Library::template completion_scheduler_query<typename Library::set_value_t>,
                        Environment const&...) const noexcept {
            return scheduler_;
        }

    private:
        Scheduler scheduler_;
    };
    environment get_env() const noexcept { return environment{scheduler_}; }

private:
    Scheduler scheduler_;
};
template <class Sender, class Scheduler>
schedule_sender(Sender, Scheduler) -> schedule_sender<Sender, Scheduler>;

} // namespace netring_asio::detail

template <class Library, class Signature>
struct boost::asio::async_result<netring_asio::basic_use_sender<Library>, Signature> {
    template <class Initiation, class... Arguments>
    static auto initiate(Initiation&& initiation, netring_asio::basic_use_sender<Library>, Arguments&&... arguments) {
        return netring_asio::detail::sender<Library, Signature, std::decay_t<Initiation>, std::decay_t<Arguments>...>{
            std::forward<Initiation>(initiation),
            std::tuple<std::decay_t<Arguments>...>{std::forward<Arguments>(arguments)...}};
    }
};
