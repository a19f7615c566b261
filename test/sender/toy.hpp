#pragma once

#include <atomic>
#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <semaphore>
#include <stop_token>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

/// A sender library of the size of a toy: what the tests need, with the names and shapes of `std::execution`.
namespace toy {

struct sender_tag {};
struct operation_state_tag {};
struct receiver_tag {};
struct scheduler_tag {};

struct set_value_t {
    template <class Receiver, class... Values>
    void operator()(Receiver&& receiver, Values&&... values) const noexcept {
        std::forward<Receiver>(receiver).set_value(std::forward<Values>(values)...);
    }
};
struct set_error_t {
    template <class Receiver, class Error>
    void operator()(Receiver&& receiver, Error&& error) const noexcept {
        std::forward<Receiver>(receiver).set_error(std::forward<Error>(error));
    }
};
struct set_stopped_t {
    template <class Receiver>
    void operator()(Receiver&& receiver) const noexcept {
        std::forward<Receiver>(receiver).set_stopped();
    }
};

template <class... Signatures>
struct completion_signatures {};

template <class Tag>
struct get_completion_scheduler_t {};

/// The environment of every receiver here.
struct stop_env {
    std::stop_token token;
};

template <class Receiver>
std::stop_token get_stop_token(Receiver const& receiver) noexcept {
    return receiver.get_env().token;
}

template <class Signatures>
struct values_of_signatures;
template <class... Values, class... Rest>
struct values_of_signatures<completion_signatures<set_value_t(Values...), Rest...>> {
    using type = std::tuple<Values...>;
};
template <class Sender>
struct values_of_sender : values_of_signatures<typename Sender::completion_signatures> {};
template <class Sender>
    requires requires { typename Sender::values; }
struct values_of_sender<Sender> {
    using type = typename Sender::values;
};
template <class Sender>
using values_of = typename values_of_sender<std::remove_cvref_t<Sender>>::type;

template <class Sender, class Receiver>
using operation_of = decltype(std::declval<Sender>().connect(std::declval<Receiver>()));

template <class Sender, class Receiver>
auto connect(Sender sender, Receiver receiver) {
    return std::move(sender).connect(std::move(receiver));
}
template <class Operation>
void start(Operation& operation) noexcept {
    operation.start();
}

/// Constructs in place what cannot be moved.
template <class Make>
struct in_place {
    Make make;
    operator std::invoke_result_t<Make>() { return make(); }
};
template <class Make>
in_place(Make) -> in_place<Make>;

template <class... Values>
struct just_sender {
    using values = std::tuple<Values...>;
    std::tuple<Values...> kept;

    template <class Receiver>
    struct operation {
        Receiver receiver;
        std::tuple<Values...> kept;
        void start() & noexcept {
            std::apply([&](Values&... value) { set_value_t{}(std::move(receiver), std::move(value)...); }, kept);
        }
    };
    template <class Receiver>
    operation<Receiver> connect(Receiver receiver) && {
        return {std::move(receiver), std::move(kept)};
    }
};
template <class... Values>
just_sender<Values...> just(Values... values) {
    return {{std::move(values)...}};
}

template <class Result>
struct tuple_of_result {
    using type = std::tuple<Result>;
};
template <>
struct tuple_of_result<void> {
    using type = std::tuple<>;
};

template <class Receiver, class Function>
struct then_receiver {
    Receiver receiver;
    Function function;
    template <class... Values>
    void set_value(Values&&... values) && noexcept {
        if constexpr (std::is_void_v<std::invoke_result_t<Function, Values...>>) {
            function(std::forward<Values>(values)...);
            set_value_t{}(std::move(receiver));
        } else
            set_value_t{}(std::move(receiver), function(std::forward<Values>(values)...));
    }
    void set_error(std::error_code error) && noexcept { set_error_t{}(std::move(receiver), error); }
    void set_stopped() && noexcept { set_stopped_t{}(std::move(receiver)); }
    stop_env get_env() const noexcept { return receiver.get_env(); }
};
template <class Sender, class Function>
struct then_sender {
    using values = typename tuple_of_result<decltype(std::apply(std::declval<Function>(),
                                                                std::declval<values_of<Sender>>()))>::type;
    Sender from;
    Function function;
    template <class Receiver>
    auto connect(Receiver receiver) && {
        return std::move(from).connect(then_receiver<Receiver, Function>{std::move(receiver), std::move(function)});
    }
};
template <class Sender, class Function>
then_sender<Sender, Function> then(Sender from, Function function) {
    return {std::move(from), std::move(function)};
}

/// What `let_error` and `starts_on` share: one operation, and then perhaps another.
template <class First, class Function, class Receiver>
struct chain {
    using second_sender = std::invoke_result_t<Function, std::error_code>;
    struct second_receiver {
        chain* self;
        template <class... Values>
        void set_value(Values&&... values) && noexcept {
            set_value_t{}(std::move(self->receiver), std::forward<Values>(values)...);
        }
        void set_error(std::error_code error) && noexcept { set_error_t{}(std::move(self->receiver), error); }
        void set_stopped() && noexcept { set_stopped_t{}(std::move(self->receiver)); }
        stop_env get_env() const noexcept { return self->receiver.get_env(); }
    };
    struct first_receiver : second_receiver {
        void set_error(std::error_code why) && noexcept { this->self->go_on(why); }
    };

    chain(First first, Function then, Receiver to)
        : function{std::move(then)}
        , receiver{std::move(to)}
        , first_operation{std::move(first).connect(first_receiver{{this}})} {}
    void start() & noexcept { first_operation.start(); }
    void go_on(std::error_code error) noexcept {
        second_operation.emplace(in_place{[&] { return function(error).connect(second_receiver{this}); }});
        second_operation->start();
    }

    Function function;
    Receiver receiver;
    operation_of<First, first_receiver> first_operation;
    std::optional<operation_of<second_sender, second_receiver>> second_operation;
};
template <class First, class Function>
struct let_error_sender {
    using values = values_of<First>;
    First first;
    Function function;
    template <class Receiver>
    chain<First, Function, Receiver> connect(Receiver receiver) && {
        return {std::move(first), std::move(function), std::move(receiver)};
    }
};
template <class First, class Function>
let_error_sender<First, Function> let_error(First first, Function function) {
    return {std::move(first), std::move(function)};
}

/// A sender that is started where a scheduler says.
template <class Begin, class Sender, class Receiver>
struct started_elsewhere {
    struct begin_receiver {
        started_elsewhere* self;
        void set_value() && noexcept { self->operation.start(); }
        void set_error(std::error_code error) && noexcept { set_error_t{}(std::move(*self->receiver), error); }
        void set_stopped() && noexcept { set_stopped_t{}(std::move(*self->receiver)); }
        stop_env get_env() const noexcept { return self->receiver->get_env(); }
    };
    struct receiver_of_it {
        started_elsewhere* self;
        template <class... Values>
        void set_value(Values&&... values) && noexcept {
            set_value_t{}(std::move(*self->receiver), std::forward<Values>(values)...);
        }
        void set_error(std::error_code error) && noexcept { set_error_t{}(std::move(*self->receiver), error); }
        void set_stopped() && noexcept { set_stopped_t{}(std::move(*self->receiver)); }
        stop_env get_env() const noexcept { return self->receiver->get_env(); }
    };
    started_elsewhere(Begin begin, Sender sender, Receiver to)
        : receiver{std::move(to)}
        , begin_operation{std::move(begin).connect(begin_receiver{this})}
        , operation{std::move(sender).connect(receiver_of_it{this})} {}
    void start() & noexcept { begin_operation.start(); }

    std::optional<Receiver> receiver;
    operation_of<Begin, begin_receiver> begin_operation;
    operation_of<Sender, receiver_of_it> operation;
};
template <class Scheduler, class Sender>
struct starts_on_sender {
    using values = values_of<Sender>;
    Scheduler scheduler;
    Sender sender;
    template <class Receiver>
    started_elsewhere<decltype(scheduler.schedule()), Sender, Receiver> connect(Receiver receiver) && {
        return {scheduler.schedule(), std::move(sender), std::move(receiver)};
    }
};
template <class Scheduler, class Sender>
starts_on_sender<Scheduler, Sender> starts_on(Scheduler scheduler, Sender sender) {
    return {std::move(scheduler), std::move(sender)};
}

/// Two operations at once; the first that fails, or with `Any` the first that ends, stops the other.
template <bool Any, class A, class B, class Receiver>
struct both {
    using values_a = values_of<A>;
    using values_b = values_of<B>;

    template <class Values, std::size_t Index>
    struct child {
        both* self;
        template <class... Given>
        void set_value(Given&&... given) && noexcept {
            if (!Any || !self->decided.exchange(true))
                std::get<Index>(self->values).emplace(std::forward<Given>(given)...);
            self->one_is_done(Any);
        }
        void set_error(std::error_code why) && noexcept {
            if (!self->decided.exchange(true))
                self->error = why;
            self->one_is_done(true);
        }
        void set_stopped() && noexcept {
            self->stopped = true;
            self->one_is_done(!Any);
        }
        stop_env get_env() const noexcept { return {self->stop.get_token()}; }
    };
    using child_a = child<values_a, 0>;
    using child_b = child<values_b, 1>;

    both(A a, B b, Receiver to)
        : receiver{std::move(to)}
        , operation_a{std::move(a).connect(child_a{this})}
        , operation_b{std::move(b).connect(child_b{this})} {}

    void start() & noexcept {
        from_outside.emplace(toy::get_stop_token(receiver), pass_on{this});
        operation_a.start();
        operation_b.start();
        one_is_done(false);
    }

    void one_is_done(bool stops_the_other) noexcept {
        if (stops_the_other)
            stop.request_stop();
        if (left.fetch_sub(1) != 1)
            return;
        from_outside.reset();
        auto& [a, b] = values;
        if constexpr (Any) {
            if (a)
                return deliver(std::move(*a));
            if (b)
                return deliver(std::move(*b));
        } else if (a && b && !error)
            return deliver(std::tuple_cat(std::move(*a), std::move(*b)));
        if (error)
            set_error_t{}(std::move(receiver), *error);
        else
            set_stopped_t{}(std::move(receiver));
    }

    template <class Values>
    void deliver(Values given) noexcept {
        auto to = std::move(receiver);
        std::apply([&](auto&... value) { set_value_t{}(std::move(to), std::move(value)...); }, given);
    }

    struct pass_on {
        both* self;
        void operator()() const noexcept { self->stop.request_stop(); }
    };

    Receiver receiver;
    std::stop_source stop;
    std::optional<std::stop_callback<pass_on>> from_outside;
    std::tuple<std::optional<values_a>, std::optional<values_b>> values;
    std::optional<std::error_code> error;
    std::atomic<bool> decided{false}, stopped{false};
    std::atomic<int> left{3};
    operation_of<A, child_a> operation_a;
    operation_of<B, child_b> operation_b;
};
template <bool Any, class A, class B>
struct both_sender {
    using values =
        std::conditional_t<Any, values_of<A>,
                           decltype(std::tuple_cat(std::declval<values_of<A>>(), std::declval<values_of<B>>()))>;
    A a;
    B b;
    template <class Receiver>
    both<Any, A, B, Receiver> connect(Receiver receiver) && {
        return {std::move(a), std::move(b), std::move(receiver)};
    }
};
template <class A, class B>
both_sender<false, A, B> when_all(A a, B b) {
    return {std::move(a), std::move(b)};
}
template <class A, class B>
both_sender<true, A, B> when_any(A a, B b) {
    return {std::move(a), std::move(b)};
}

/// Values as the result of a coroutine's `co_await`.
template <class... Values>
auto result_of(std::tuple<Values...> values) {
    if constexpr (sizeof...(Values) == 1)
        return std::get<0>(std::move(values));
    else if constexpr (sizeof...(Values) > 1)
        return values;
}

/// A coroutine that awaits senders and is one. An error is thrown in it as `std::system_error`; where what it awaits is
/// stopped, so is the coroutine.
template <class T>
class task {
public:
    using values = std::tuple<T>;

    struct promise_type {
        struct finish {
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<promise_type> self) const noexcept { self.promise().done(); }
            void await_resume() const noexcept {}
        };
        template <class Sender>
        struct awaiting {
            struct receiver {
                awaiting* self;
                template <class... Values>
                void set_value(Values&&... values) && noexcept {
                    self->result.template emplace<1>(std::forward<Values>(values)...);
                    self->coroutine.resume();
                }
                void set_error(std::error_code error) && noexcept {
                    self->result.template emplace<2>(error);
                    self->coroutine.resume();
                }
                void set_stopped() && noexcept { self->coroutine.promise().stopped(); }
                stop_env get_env() const noexcept { return {self->coroutine.promise().token}; }
            };
            explicit awaiting(Sender sender)
                : operation{std::move(sender).connect(receiver{this})} {}
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<promise_type> waiting) noexcept {
                coroutine = waiting;
                operation.start();
            }
            auto await_resume() {
                if (auto* const error = std::get_if<2>(&result))
                    throw std::system_error{*error};
                return result_of(std::get<1>(std::move(result)));
            }
            std::coroutine_handle<promise_type> coroutine;
            std::variant<std::monostate, values_of<Sender>, std::error_code> result;
            operation_of<Sender, receiver> operation;
        };

        task get_return_object() { return task{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        finish final_suspend() const noexcept { return {}; }
        void unhandled_exception() {
            try {
                throw;
            } catch (std::system_error const& failure) {
                thrown = failure.code();
            }
        }
        void return_value(T result) { value = std::move(result); }
        template <class Sender>
        awaiting<Sender> await_transform(Sender sender) {
            return awaiting<Sender>{std::move(sender)};
        }

        std::stop_token token;
        std::optional<T> value;
        std::error_code thrown;
        std::function<void()> done, stopped;
    };

    template <class Receiver>
    struct operation {
        std::coroutine_handle<promise_type> coroutine;
        Receiver receiver;
        operation(std::coroutine_handle<promise_type> body, Receiver to)
            : coroutine{body}
            , receiver{std::move(to)} {}
        operation(operation&&) = delete;
        ~operation() { coroutine.destroy(); }
        void start() & noexcept {
            auto& promise = coroutine.promise();
            promise.token = toy::get_stop_token(receiver);
            promise.stopped = [this] { set_stopped_t{}(std::move(receiver)); };
            promise.done = [this] {
                if (auto& of = coroutine.promise(); of.thrown)
                    set_error_t{}(std::move(receiver), of.thrown);
                else
                    set_value_t{}(std::move(receiver), std::move(*of.value));
            };
            coroutine.resume();
        }
    };
    template <class Receiver>
    operation<Receiver> connect(Receiver receiver) && {
        return {std::exchange(coroutine_, nullptr), std::move(receiver)};
    }

    task(task&& other) noexcept
        : coroutine_{std::exchange(other.coroutine_, nullptr)} {}
    ~task() {
        if (coroutine_)
            coroutine_.destroy();
    }

private:
    explicit task(std::coroutine_handle<promise_type> coroutine) noexcept
        : coroutine_{coroutine} {}
    std::coroutine_handle<promise_type> coroutine_;
};

template <class Values>
struct waited_for {
    std::optional<Values> values;
    std::error_code error;
    std::binary_semaphore done{0};

    struct receiver {
        waited_for* to;
        template <class... Given>
        void set_value(Given&&... given) && noexcept {
            to->values.emplace(std::forward<Given>(given)...);
            to->done.release();
        }
        void set_error(std::error_code why) && noexcept {
            to->error = why;
            to->done.release();
        }
        void set_stopped() && noexcept { to->done.release(); }
        stop_env get_env() const noexcept { return {}; }
    };
};

/// Runs a sender to its end on this thread's time: its values, nothing where it was stopped, an exception for an error.
template <class Sender>
std::optional<values_of<Sender>> sync_wait(Sender sender) {
    waited_for<values_of<Sender>> end;
    auto operation = std::move(sender).connect(typename decltype(end)::receiver{&end});
    operation.start();
    end.done.acquire();
    if (end.error)
        throw std::system_error{end.error};
    return std::move(end.values);
}

} // namespace toy
