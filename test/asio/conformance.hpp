#pragma once

#include <netring_asio/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/experimental/use_coro.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/version.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <asio/tracked_executor.hpp>
#include <chrono>
#include <concepts>
#include <exception>
#include <lab/allocations.hpp>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

/// Whether an asynchronous operation keeps the contract that Asio's users rely on.
///
/// An operation is described by a class such as
/// @code
/// struct receive {
///     static constexpr bool exclusive = true;         // a second one is refused with operation_in_progress
///     static constexpr bool keeps = true;             // cancelled, it leaves what it waited for to the next one
///     static constexpr auto cancellable = net::cancellation_type::all;     // the types that it honours
///     static constexpr std::chrono::milliseconds latency{10};              // from make_ready to being noticed
///     static constexpr std::chrono::milliseconds patience{5000};           // after which it is not coming any more
///
///     capture make(net::any_io_executor executor);    // the I/O object, ready to be used
///     template <class Object, class... Token>         // Token is empty where the default token is tested
///     auto start(Object& object, Token&&... token) { return object.async_receive(batch,
///     std::forward<Token>(token)...); } void make_ready();                              // lets one operation complete
///     with success void take_back();                               // optional: undoes make_ready behind the
///     operation's back
/// };
/// @endcode
/// and tested by the line `conformance::verify<receive>();`. The members without braces may be left out; shown are
/// the values that they then have, but for `latency`, which is 0. An operation that runs until it is cancelled says
/// `static constexpr bool endless = true` and has no `make_ready`: `cancel()` of its object takes that place.
namespace conformance {

using netring_asio::error_code;
using namespace std::chrono_literals;

/// What is wrong, one line each.
using findings = std::vector<std::string>;

namespace detail {

template <class Operation>
constexpr bool exclusive = true;
template <class Operation>
    requires requires { Operation::exclusive; }
constexpr bool exclusive<Operation> = Operation::exclusive;

template <class Operation>
constexpr bool keeps = true;
template <class Operation>
    requires requires { Operation::keeps; }
constexpr bool keeps<Operation> = Operation::keeps;

template <class Operation>
constexpr bool endless = false;
template <class Operation>
    requires requires { Operation::endless; }
constexpr bool endless<Operation> = Operation::endless;

template <class Operation>
constexpr net::cancellation_type cancellable = net::cancellation_type::all;
template <class Operation>
    requires requires { Operation::cancellable; }
constexpr net::cancellation_type cancellable<Operation> = Operation::cancellable;

template <class Operation>
constexpr std::chrono::milliseconds latency{0};
template <class Operation>
    requires requires { Operation::latency; }
constexpr std::chrono::milliseconds latency<Operation> = Operation::latency;

template <class Operation>
std::chrono::milliseconds patience() {
    if constexpr (requires { Operation::patience; })
        return Operation::patience;
    else
        return 5s;
}

template <class Deferred>
struct signature_of;
template <class Signature, class... Rest>
struct signature_of<net::deferred_async_operation<Signature, Rest...>> {
    using type = Signature;
};

inline thread_local bool initiating = false;

/// How an operation ended.
struct outcome {
    int calls = 0;
    error_code error;
    bool inline_call = false;
    std::string_view executor;
    std::weak_ptr<int> handler; ///< expired when the handler and all its copies are gone
};

/// A move-only handler that takes any arguments after the error.
class recorder {
public:
    explicit recorder(outcome& record)
        : record_{&record}
        , alive_{std::make_shared<int>()} {
        record.handler = alive_;
    }
    recorder(recorder&&) noexcept = default;
    recorder& operator=(recorder&&) noexcept = default;

    template <class... Args>
    void operator()(error_code error, Args&&...) {
        ++record_->calls;
        record_->error = error;
        record_->inline_call = initiating;
        record_->executor = running_on;
    }

private:
    outcome* record_;
    std::shared_ptr<int> alive_;
};

struct allocator_use {
    std::size_t allocated = 0, freed = 0, in_use_at_call = 0;
};

/// An allocator that knows how much of its memory is in use.
template <class T>
struct counting_allocator {
    using value_type = T;
    explicit counting_allocator(allocator_use& count) noexcept
        : use{&count} {}
    template <class U>
    counting_allocator(counting_allocator<U> const& other) noexcept
        : use{other.use} {}
    T* allocate(std::size_t n) {
        use->allocated += n * sizeof(T);
        return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{alignof(T)}));
    }
    void deallocate(T* memory, std::size_t n) noexcept {
        use->freed += n * sizeof(T);
        ::operator delete(memory, std::align_val_t{alignof(T)});
    }
    template <class U>
    bool operator==(counting_allocator<U> const& other) const noexcept {
        return use == other.use;
    }
    allocator_use* use;
};

/// One object on one context, and the means to drive it step by step.
template <class Operation>
struct stage {
    net::io_context context;
    tracked_executor<net::io_context::executor_type> io{context.get_executor(), "I/O executor"};
    tracked_executor<net::io_context::executor_type> other{context.get_executor(), "handler's executor"};
    Operation operation{};
    std::optional<decltype(std::declval<Operation&>().make(std::declval<net::any_io_executor>()))> object{
        operation.make(net::any_io_executor{io})};

    /// The object on the context's own executor, as users have it.
    void use_bare_executor() {
        object.reset();
        object.emplace(operation.make(context.get_executor()));
    }

    template <class Token>
    auto start(Token&& token) {
        struct scope {
            scope() { initiating = true; }
            ~scope() { initiating = false; }
        } const here;
        return operation.start(*object, std::forward<Token>(token));
    }

    void make_ready() { make_ready(*object); }
    template <class Object>
    void make_ready(Object& pending) {
        if constexpr (endless<Operation>)
            pending.cancel();
        else
            operation.make_ready();
        if (latency<Operation> != 0ms)
            std::this_thread::sleep_for(latency<Operation>);
    }

    bool step() {
        context.restart();
        return context.poll_one() != 0;
    }
    void settle() {
        while (step()) {
        }
    }

    template <class Condition>
    bool run_until(Condition condition) {
        auto const end = std::chrono::steady_clock::now() + patience<Operation>();
        while (!condition() && std::chrono::steady_clock::now() < end) {
            context.restart();
            if (context.run_one_until(end) == 0 && !condition())
                return false; // nothing is pending, nothing will come
        }
        return condition();
    }

    /// Whether one more operation completes with success without being made ready.
    bool next_succeeds() {
        outcome record;
        start(recorder{record});
        if constexpr (endless<Operation>)
            make_ready();
        bool const called = run_until([&] { return record.calls != 0; });
        if (!called && object) { // nobody may write to the record any more
            object.reset();
            settle();
        }
        return called && succeeded(record.error);
    }

    static bool succeeded(error_code error) {
        return endless<Operation> ? error == net::error::operation_aborted : !error;
    }
    static bool succeeded(std::exception_ptr failure) {
        try {
            if (failure)
                std::rethrow_exception(failure);
        } catch (netring_asio::system_error const& error) {
            return succeeded(error.code());
        } catch (...) {
            return false;
        }
        return true;
    }
};

template <class Operation>
class examination {
public:
    findings run() {
        handlers();
        tokens();
        if constexpr (!endless<Operation>)
            allocations();
        cancellation();
        coroutine_cancellation();
        object_gone();
        context_gone();
        if constexpr (exclusive<Operation>)
            second_operation();
        return std::move(findings_);
    }

private:
    using stage_type = stage<Operation>;

    void expect(bool holds, std::string const& situation, std::string const& problem) {
        if (!holds)
            findings_.push_back(situation + ": " + problem);
    }

    void expect_success(outcome const& record, std::string const& situation) {
        expect(record.calls != 0, situation, "the handler was not called");
        expect(record.calls <= 1, situation, "the handler was called more than once");
        expect(stage_type::succeeded(record.error), situation, "failed: " + record.error.message());
    }

    /// Whether it is made ready before it starts.
    static constexpr std::array moments = [] {
        if constexpr (endless<Operation>)
            return std::array{false};
        else
            return std::array{false, true};
    }();

    template <class Start>
    void handler_runs(std::string const& situation, std::string_view executor, bool ready_before, Start start) {
        stage_type at;
        outcome record;
        if (ready_before)
            at.make_ready();
        start(at, record);
        expect(record.calls == 0, situation, "the handler ran inside the initiating function");
        if (!ready_before) {
            at.settle();
            expect(record.calls == 0, situation, "completed before it could");
            at.make_ready();
        }
        at.run_until([&] { return record.calls != 0; });
        at.settle();
        expect_success(record, situation);
        expect(record.executor == executor, situation,
               "the handler ran on the " + std::string{record.executor.empty() ? "bare context" : record.executor} +
                   " instead of the " + std::string{executor});
        expect(record.handler.expired(), situation, "the handler was not destroyed after its call");
    }

    void handlers() {
        for (bool const before : moments) {
            std::string const when = before ? "ready before" : "ready later";
            handler_runs("handler, " + when, "I/O executor", before,
                         [](auto& at, auto& record) { at.start(recorder{record}); });
            handler_runs("handler with an executor, " + when, "handler's executor", before,
                         [](auto& at, auto& record) { at.start(net::bind_executor(at.other, recorder{record})); });
            allocator_use use;
            auto const situation = "handler with an allocator, " + when;
            handler_runs(situation, "I/O executor", before, [&](auto& at, auto& record) {
                at.start(net::bind_allocator(counting_allocator<std::byte>{use},
                                             [&use, inner = recorder{record}](error_code error, auto&&...) mutable {
                                                 use.in_use_at_call = use.allocated - use.freed;
                                                 inner(error);
                                             }));
            });
            // An immediate completion is posted, and a type-erased executor allocates for itself what it is posted.
            expect(use.allocated != 0 || before, situation, "the allocator was not used");
            expect(use.in_use_at_call == 0, situation, "memory was not given back before the handler was called");
            expect(use.allocated == use.freed, situation, "memory was not given back");
        }
    }

    /// Runs a coroutine that starts the operation, and makes it ready meanwhile or before.
    template <class Body>
    void coroutine_runs(std::string const& situation, Body body) {
        for (bool const before : moments) {
            stage_type at;
            bool done = false;
            std::exception_ptr failure;
            if (before)
                at.make_ready();
            net::co_spawn(at.io, body(at), [&](std::exception_ptr error) {
                done = true;
                failure = error;
            });
            at.settle();
            if (!before && !done)
                at.make_ready();
            at.run_until([&] { return done; });
            std::string const name = situation + (before ? ", ready before" : ", ready later");
            expect(done, name, "the coroutine was not resumed");
            expect(stage_type::succeeded(failure), name, "failed: " + text(failure));
        }
    }

    static std::string text(std::exception_ptr failure) {
        try {
            if (failure)
                std::rethrow_exception(failure);
        } catch (std::exception const& error) {
            return error.what();
        } catch (...) {
        }
        return "no error";
    }

    static void throw_if(error_code error) {
        if (error)
            throw netring_asio::system_error{error};
    }

    static net::experimental::coro<void> experimental_coroutine(net::any_io_executor, stage_type& at) {
        using signature = typename detail::signature_of<decltype(at.operation.start(*at.object, net::deferred))>::type;
        // Asio 1.26 does not compile use_coro for an operation that has a result beside the error.
        if constexpr (BOOST_ASIO_VERSION > 102600 || std::is_same_v<signature, void(error_code)>)
            co_await at.operation.start(*at.object, net::experimental::use_coro);
        else
            co_await at.operation.start(*at.object, net::deferred);
    }

    /// For what only the coroutine can reach.
    template <class Object>
    static void make_ready_later(stage_type& at, Object& object) {
        if constexpr (endless<Operation>)
            net::post(at.context, [&at, &object] { at.make_ready(object); });
    }

    void tokens() {
        for (bool const before : moments) {
            handler_runs(before ? "deferred, ready before" : "deferred, ready later", "I/O executor", before,
                         [](auto& at, auto& record) {
                             auto operation = at.start(net::deferred);
                             std::move(operation)(recorder{record});
                         });
        }
        {
            stage_type at;
            auto future = at.start(net::use_future);
            at.settle();
            at.make_ready();
            bool const done = at.run_until([&] { return future.wait_for(0s) == std::future_status::ready; });
            expect(done, "use_future", "the future was not set");
            if (done) {
                std::exception_ptr failure;
                try {
                    future.get();
                } catch (...) {
                    failure = std::current_exception();
                }
                expect(stage_type::succeeded(failure), "use_future", "failed: " + text(failure));
            }
        }
        coroutine_runs("use_awaitable", [](stage_type& at) -> net::awaitable<void> {
            (void)co_await at.operation.start(*at.object, net::use_awaitable), void();
        });
        coroutine_runs("deferred in a coroutine", [](stage_type& at) -> net::awaitable<void> {
            co_await at.operation.start(*at.object, net::deferred);
        });
        coroutine_runs("as_tuple", [](stage_type& at) -> net::awaitable<void> {
            auto const result = co_await at.operation.start(*at.object, net::as_tuple(net::use_awaitable));
            throw_if(std::get<0>(result));
        });
        coroutine_runs("redirect_error", [](stage_type& at) -> net::awaitable<void> {
            error_code error;
            co_await at.operation.start(*at.object, net::redirect_error(net::use_awaitable, error));
            throw_if(error);
        });
        coroutine_runs("default token", [](stage_type& at) -> net::awaitable<void> {
            auto object = net::use_awaitable.as_default_on(std::move(*at.object));
            make_ready_later(at, object);
            co_await at.operation.start(object);
        });
        coroutine_runs("as_tuple as the default token", [](stage_type& at) -> net::awaitable<void> {
            auto object = net::as_tuple(net::use_awaitable).as_default_on(std::move(*at.object));
            make_ready_later(at, object);
            throw_if(std::get<0>(co_await at.operation.start(object)));
        });
        if constexpr (!endless<Operation>)
            coroutine_runs("operator || won against a timer", [](stage_type& at) -> net::awaitable<void> {
                using namespace net::experimental::awaitable_operators;
                net::steady_timer timer{at.context, 10s};
                auto const won = co_await (at.operation.start(*at.object, net::use_awaitable) ||
                                           timer.async_wait(net::use_awaitable));
                if (won.index() != 0)
                    throw std::runtime_error{"the timer won"};
            });
        coroutine_runs("operator || lost to a timer", [](stage_type& at) -> net::awaitable<void> {
            using namespace net::experimental::awaitable_operators;
            net::steady_timer timer{at.context, 1ms};
            co_await (at.operation.start(*at.object, net::use_awaitable) || timer.async_wait(net::use_awaitable));
        });
        coroutine_runs("experimental::use_coro", [](stage_type& at) -> net::awaitable<void> {
            auto inner = experimental_coroutine(at.io, at);
            auto const failure = co_await inner.async_resume(net::as_tuple(net::use_awaitable));
            if (std::get<0>(failure))
                std::rethrow_exception(std::get<0>(failure));
        });
        {
            stage_type at;
            net::steady_timer timer{at.context, 1ms};
            bool done = false;
            net::experimental::make_parallel_group(at.start(net::deferred), timer.async_wait(net::deferred))
                .async_wait(net::experimental::wait_for_one(), [&](auto&&...) { done = true; });
            expect(at.run_until([&] { return done; }), "parallel_group lost to a timer", "did not complete");
            at.make_ready();
            expect(at.next_succeeds(), "parallel_group lost to a timer", "the next operation did not succeed");
        }
    }

    struct progress {
        int done = 0;
        bool failed = false, stop = false;
    };

    /// Each handler starts the next operation, as Asio recycles memory only within a running context.
    struct callback_loop {
        stage_type& at;
        progress& seen;

        void next() {
            at.operation.start(*at.object, [this](error_code error, auto&&...) {
                ++seen.done;
                seen.failed = seen.failed || (error && !seen.stop);
                if (!error && !seen.stop)
                    next();
            });
        }
    };

    static net::awaitable<void> coroutine_loop(stage_type& at, progress& seen) {
        while (!seen.stop) {
            error_code error;
            co_await at.operation.start(*at.object, net::redirect_error(net::use_awaitable, error));
            ++seen.done;
            seen.failed = seen.failed || (error && !seen.stop);
            if (error)
                break;
        }
    }

    void counted_rounds(std::string const& situation, stage_type& at, progress& seen) {
        constexpr int warm_up = 4, rounds = 20;
        std::uint64_t count = 0;
        for (int i = 0; i != warm_up + rounds && !seen.failed; ++i) {
            at.make_ready();
            auto const made = lab::allocation_counter::of([&] { at.run_until([&] { return seen.done > i; }); });
            count += i < warm_up ? 0 : made;
        }
        expect(!seen.failed && seen.done >= warm_up + rounds, situation, "an operation failed");
        expect(count == 0, situation, std::to_string(count) + " heap allocations in a steady state");
        seen.stop = true;
        at.object.reset();
        at.settle();
    }

    void allocations() {
        progress callbacks, coroutine; // outlive what still runs
        {
            stage_type at;
            at.use_bare_executor();
            callback_loop loop{at, callbacks};
            loop.next();
            counted_rounds("callbacks", at, callbacks);
        }
        {
            stage_type at;
            at.use_bare_executor();
            net::co_spawn(at.context, coroutine_loop(at, coroutine), [](std::exception_ptr) {});
            counted_rounds("coroutine loop", at, coroutine);
        }
    }

    static std::string name(net::cancellation_type type) {
        return type == net::cancellation_type::terminal  ? "terminal"
               : type == net::cancellation_type::partial ? "partial"
                                                         : "total";
    }

    enum class readiness { never, before, after, taken_back };

    void cancellation() {
        std::vector<readiness> situations{readiness::never};
        if constexpr (!endless<Operation>)
            situations.insert(situations.end(), {readiness::before, readiness::after});
        if constexpr (requires(Operation& operation) { operation.take_back(); })
            situations.push_back(readiness::taken_back);
        for (auto const type :
             {net::cancellation_type::terminal, net::cancellation_type::partial, net::cancellation_type::total})
            for (auto const ready : situations)
                for (bool const queued : {false, true})
                    for (int step = 0; step != 4; ++step)
                        cancel_at(type, ready, queued, step);
    }

    /// With `queued` each step of the operation lies in the queue for a while, where no slot of Asio's reaches it.
    void cancel_at(net::cancellation_type type, readiness ready, bool queued, int step) {
        static constexpr char const* names[] = {"", ", ready before", ", ready", ", ready and taken back"};
        auto const situation = name(type) + " cancellation at step " + std::to_string(step) +
                               names[static_cast<int>(ready)] + (queued ? ", queued" : "");
        stage_type at;
        net::cancellation_signal signal;
        outcome record;
        if (ready == readiness::before)
            at.make_ready();
        if (queued)
            at.start(net::bind_cancellation_slot(
                signal.slot(),
                net::bind_executor(net::require(at.other, net::execution::blocking.never), recorder{record})));
        else
            at.start(net::bind_cancellation_slot(signal.slot(), recorder{record}));
        if (ready == readiness::after || ready == readiness::taken_back) {
            at.settle();
            at.make_ready();
        }
        for (int i = 0; i != step; ++i)
            at.step();
        if (record.calls != 0) {
            signal.emit(type); // too late, and must do no harm
            at.settle();
            return expect_success(record, situation);
        }
        if constexpr (requires(Operation& operation) { operation.take_back(); })
            if (ready == readiness::taken_back)
                at.operation.take_back();
        signal.emit(type);
        bool const there = ready == readiness::before || ready == readiness::after;
        if ((cancellable<Operation> & type) != net::cancellation_type::none)
            expect_aborted(at, record, there, situation);
        else
            expect_undisturbed(at, record, there, situation);
    }

    void expect_aborted(stage_type& at, outcome& record, bool ready, std::string const& situation) {
        if (!at.run_until([&] { return record.calls != 0; })) {
            expect(false, situation, "the handler was not called");
            at.object.reset();
            return at.settle();
        }
        expect(record.calls == 1, situation, "the handler was called more than once");
        bool const aborted = record.error == net::error::operation_aborted;
        expect(aborted || (ready && !record.error), situation, "completed with: " + record.error.message());
        if (aborted && ready && keeps<Operation>)
            expect(at.next_succeeds(), situation, "what it waited for was lost");
        if (aborted && !ready) {
            at.make_ready();
            expect(at.next_succeeds(), situation, "the next operation did not succeed");
        }
    }

    void expect_undisturbed(stage_type& at, outcome& record, bool ready, std::string const& situation) {
        at.settle();
        expect(record.error != net::error::operation_aborted, situation, "was cancelled by a type not documented");
        if (record.calls == 0 && !ready)
            at.make_ready();
        at.run_until([&] { return record.calls != 0; });
        expect_success(record, situation);
    }

    /// A coroutine passes terminal cancellation on by itself, the other types after `reset_cancellation_state`.
    void coroutine_cancellation() {
        struct emission {
            net::cancellation_type type;
            bool reset;
        };
        for (auto const [type, reset] :
             {emission{net::cancellation_type::terminal, false}, emission{net::cancellation_type::terminal, true},
              emission{net::cancellation_type::total, true}}) {
            if ((cancellable<Operation> & type) == net::cancellation_type::none)
                continue;
            auto const situation =
                name(type) + " cancellation of a coroutine" + (reset ? " with reset_cancellation_state" : "");
            stage_type at;
            net::cancellation_signal signal;
            bool done = false;
            error_code error;
            net::co_spawn(
                at.io,
                [](stage_type& in, bool widen, error_code& result) -> net::awaitable<void> {
                    if (widen)
                        co_await net::this_coro::reset_cancellation_state(net::enable_total_cancellation());
                    co_await in.operation.start(*in.object, net::redirect_error(net::use_awaitable, result));
                }(at, reset, error),
                net::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr) { done = true; }));
            at.settle();
            signal.emit(type);
            expect(at.run_until([&] { return done; }), situation, "the coroutine was not resumed");
            expect(!done || error == net::error::operation_aborted, situation, "completed with: " + error.message());
            at.object.reset();
            at.settle();
        }
    }

    template <class Action>
    void aborted_by(std::string const& situation, int step, Action action) {
        stage_type at;
        outcome record;
        at.start(recorder{record});
        for (int i = 0; i != step; ++i)
            at.step();
        action(at);
        expect(!record.inline_call && record.calls == 0, situation, "the handler ran inside the call");
        at.run_until([&] { return record.calls != 0; });
        expect(record.calls == 1, situation, "the handler was not called once");
        expect(record.error == net::error::operation_aborted, situation, "completed with: " + record.error.message());
        expect(record.handler.expired(), situation, "the handler was not destroyed");
    }

    void object_gone() {
        for (int step = 0; step != 3; ++step) {
            auto const at_step = " at step " + std::to_string(step);
            aborted_by("destruction of the object" + at_step, step, [](stage_type& at) { at.object.reset(); });
            if constexpr (requires(stage_type& at) { at.object->cancel(); })
                aborted_by("cancel()" + at_step, step, [](stage_type& at) { at.object->cancel(); });
            if constexpr (requires(stage_type& at) { at.object->close(); })
                aborted_by("close()" + at_step, step, [](stage_type& at) { at.object->close(); });
        }
        {
            stage_type at;
            outcome record;
            at.start(recorder{record});
            at.settle();
            auto moved = std::move(*at.object);
            at.make_ready(moved);
            at.run_until([&] { return record.calls != 0; });
            expect_success(record, "object moved while pending");
        }
    }

    void context_gone() {
        for (bool const ready : moments)
            for (int step = 0; step != 3; ++step) {
                auto const situation = "destruction of the context at step " + std::to_string(step);
                outcome record;
                bool finished = false;
                {
                    // The operation stays until the context is gone, the object goes with the handler that owns it.
                    Operation operation{};
                    net::io_context context;
                    auto object = std::make_shared<decltype(operation.make(context.get_executor()))>(
                        operation.make(context.get_executor()));
                    if constexpr (!endless<Operation>)
                        if (ready)
                            operation.make_ready();
                    auto& started = *object;
                    operation.start(started, [owner = std::move(object), inner = recorder{record}](
                                                 error_code error, auto&&...) mutable { inner(error); });
                    for (int i = 0; i != step; ++i)
                        context.poll_one();
                    finished = record.calls != 0;
                }
                expect(finished || record.calls == 0, situation, "the handler was called");
                expect(record.handler.expired(), situation, "the handler was not destroyed");
            }
    }

    void second_operation() {
        stage_type at;
        outcome first, second;
        at.start(recorder{first});
        at.settle();
        at.start(recorder{second});
        std::string const situation = "second operation";
        expect(second.calls == 0, situation, "the handler ran inside the initiating function");
        at.settle();
        expect(second.calls == 1 && second.error == boost::system::errc::operation_in_progress, situation,
               "was not refused with operation_in_progress");
        expect(first.calls == 0, situation, "disturbed the first");
        at.make_ready();
        at.run_until([&] { return first.calls != 0; });
        expect_success(first, "operation beside a refused one");
        at.object.reset();
        at.settle();
    }

    findings findings_;
};

} // namespace detail

/// Everything that is wrong with an operation.
template <class Operation>
findings examine() {
    return detail::examination<Operation>{}.run();
}

/// Fails the running test for everything that is wrong with an operation.
template <class Operation>
void verify() {
    auto const problems = examine<Operation>();
    for (auto const& problem : problems)
        BOOST_ERROR(problem);
    BOOST_TEST(problems.empty());
}

} // namespace conformance
