#pragma once

#include "stage.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace conformance::detail {

/// Whether an operation honours every type of cancellation, at every step of its way.
template <class Operation>
class cancellation_checks : checks<Operation> {
    using base = checks<Operation>;
    using base::examining;
    using base::expect;
    using base::expect_success;
    using typename base::stage_type;

public:
    explicit cancellation_checks(report& to)
        : base{to} {}

    void run() {
        cancellation();
        coroutine_cancellation();
    }

private:
    static std::string name(net::cancellation_type type) {
        return type == net::cancellation_type::terminal  ? "terminal"
               : type == net::cancellation_type::partial ? "partial"
                                                         : "total";
    }

    enum class readiness { never, before, after, taken_back };

    void cancellation() {
        examining("bind_cancellation_slot");
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
        examining("cancelled coroutine");
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
};

} // namespace conformance::detail
