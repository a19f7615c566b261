#pragma once

#include "stage.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/experimental/use_coro.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/version.hpp>
#if BOOST_ASIO_VERSION >= 103100
#include <boost/asio/cancel_after.hpp>
#endif

#include <array>
#include <future>
#include <stdexcept>
#include <tuple>
#include <type_traits>

namespace conformance::detail {

/// Whether an operation serves every completion token, and the associations of its handler.
template <class Operation>
class token_checks : checks<Operation> {
    using base = checks<Operation>;
    using base::examining;
    using base::expect;
    using base::expect_success;
    using base::moments;
    using base::text;
    using base::throw_if;
    using typename base::stage_type;

public:
    explicit token_checks(report& to)
        : base{to} {}

    void run() {
        handlers();
        tokens();
    }

private:
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
            examining("callback");
            handler_runs("callback, " + when, "I/O executor", before, [](auto& at, auto& record) {
                auto const callback = [inner = std::make_shared<recorder>(record)](error_code error, auto&&...) {
                    (*inner)(error);
                };
                static_assert(std::is_copy_constructible_v<decltype(callback)>);
                at.start(callback);
            });
            examining("move-only handler");
            handler_runs("handler, " + when, "I/O executor", before,
                         [](auto& at, auto& record) { at.start(recorder{record}); });
            examining("bind_executor");
            handler_runs("handler with an executor, " + when, "handler's executor", before,
                         [](auto& at, auto& record) { at.start(net::bind_executor(at.other, recorder{record})); });
            examining("bind_allocator");
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

    // Asio 1.26 does not compile use_coro for an operation that has a result beside the error.
    static constexpr bool has_use_coro =
        BOOST_ASIO_VERSION > 102600 || std::is_same_v<typename signature_of<decltype(std::declval<Operation&>().start(
                                                          *std::declval<stage_type&>().object, net::deferred))>::type,
                                                      void(error_code)>;

    static net::experimental::coro<void> experimental_coroutine(net::any_io_executor, stage_type& at) {
        if constexpr (has_use_coro)
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
        examining("deferred");
        for (bool const before : moments) {
            handler_runs(before ? "deferred, ready before" : "deferred, ready later", "I/O executor", before,
                         [](auto& at, auto& record) {
                             auto operation = at.start(net::deferred);
                             std::move(operation)(recorder{record});
                         });
        }
        {
            examining("use_future");
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
        examining("use_awaitable");
        coroutine_runs("use_awaitable", [](stage_type& at) -> net::awaitable<void> {
            (void)co_await at.operation.start(*at.object, net::use_awaitable), void();
        });
        examining("deferred");
        coroutine_runs("deferred in a coroutine", [](stage_type& at) -> net::awaitable<void> {
            co_await at.operation.start(*at.object, net::deferred);
        });
        examining("as_tuple");
        coroutine_runs("as_tuple", [](stage_type& at) -> net::awaitable<void> {
            auto const result = co_await at.operation.start(*at.object, net::as_tuple(net::use_awaitable));
            throw_if(std::get<0>(result));
        });
        examining("redirect_error");
        coroutine_runs("redirect_error", [](stage_type& at) -> net::awaitable<void> {
            error_code error;
            co_await at.operation.start(*at.object, net::redirect_error(net::use_awaitable, error));
            throw_if(error);
        });
        examining("default token");
        coroutine_runs("default token", [](stage_type& at) -> net::awaitable<void> {
            auto object = net::use_awaitable.as_default_on(std::move(*at.object));
            make_ready_later(at, object);
            co_await at.operation.start(object);
        });
        examining("default token");
        coroutine_runs("as_tuple as the default token", [](stage_type& at) -> net::awaitable<void> {
            auto object = net::as_tuple(net::use_awaitable).as_default_on(std::move(*at.object));
            make_ready_later(at, object);
            throw_if(std::get<0>(co_await at.operation.start(object)));
        });
        examining("operator ||");
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
        if (has_use_coro)
            examining("use_coro");
        coroutine_runs("experimental::use_coro", [](stage_type& at) -> net::awaitable<void> {
            auto inner = experimental_coroutine(at.io, at);
            auto const failure = co_await inner.async_resume(net::as_tuple(net::use_awaitable));
            if (std::get<0>(failure))
                std::rethrow_exception(std::get<0>(failure));
        });
        {
            examining("parallel_group");
            stage_type at;
            net::steady_timer timer{at.context, 1ms};
            bool done = false;
            net::experimental::make_parallel_group(at.start(net::deferred), timer.async_wait(net::deferred))
                .async_wait(net::experimental::wait_for_one(), [&](auto&&...) { done = true; });
            expect(at.run_until([&] { return done; }), "parallel_group lost to a timer", "did not complete");
            at.make_ready();
            expect(at.next_succeeds(), "parallel_group lost to a timer", "the next operation did not succeed");
        }
#if BOOST_ASIO_VERSION >= 103100
        {
            examining("cancel_after");
            stage_type at;
            outcome record;
            at.start(net::cancel_after(1ms, recorder{record}));
            at.run_until([&] { return record.calls != 0; });
            expect(record.error == net::error::operation_aborted, "cancel_after",
                   "completed with: " + record.error.message());
        }
#endif
    }
};

} // namespace conformance::detail
