#pragma once

#include "stage.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <lab/allocations.hpp>

namespace conformance::detail {

/// What becomes of an operation when its object or its context goes, of a second one, and of memory.
template <class Operation>
class lifetime_checks : checks<Operation> {
    using base = checks<Operation>;
    using base::examining;
    using base::expect;
    using base::expect_success;
    using base::moments;
    using typename base::stage_type;

public:
    explicit lifetime_checks(report& to)
        : base{to} {}

    void run() {
        object_gone();
        context_gone();
        if constexpr (exclusive<Operation>)
            second_operation();
        if constexpr (!endless<Operation> && !allocates<Operation>)
            allocations();
    }

private:
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
        examining("object gone");
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
        examining("context gone");
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
        examining("second refused");
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
        examining("no allocation");
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
};

} // namespace conformance::detail
