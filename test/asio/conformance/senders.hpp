#pragma once

#include "stage.hpp"

#include <optional>
#include <sender/library.hpp>
#include <stop_token>
#include <system_error>

namespace conformance::detail {

/// How a sender's operation ended.
struct sender_outcome {
    int completions = 0;
    enum { nothing, value, error, stopped } how = nothing;
    std::string what;
    bool inline_call = false;
    std::string_view executor;

    struct receiver {
        sender_outcome* to;
        std::stop_token token;

        template <class... Values>
        void set_value(Values&&...) && noexcept {
            to->is(value);
        }
        void set_error(std::error_code code) && noexcept {
            to->is(error);
            to->what = code.message();
        }
        void set_stopped() && noexcept { to->is(stopped); }
        toy::stop_env get_env() const noexcept { return {token}; }
    };

    void is(decltype(how) ended) noexcept {
        ++completions;
        how = ended;
        inline_call = initiating;
        executor = running_on;
    }
};

/// Whether an operation is a good sender, of a library of the size of a toy.
template <class Operation>
class sender_checks : checks<Operation> {
    using base = checks<Operation>;
    using base::examining;
    using base::expect;
    using base::moments;
    using typename base::stage_type;

    using sender_type =
        decltype(std::declval<Operation&>().start(*std::declval<stage_type&>().object, library::use_sender));
    using operation_type = toy::operation_of<sender_type, sender_outcome::receiver>;

    /// What outlives the context, as the operation of a sender does.
    struct started {
        sender_outcome end;
        std::stop_source source;
        std::optional<operation_type> operation;

        void start(stage_type& at) {
            operation.emplace(toy::in_place{[&] {
                return at.start(library::use_sender).connect(sender_outcome::receiver{&end, source.get_token()});
            }});
            initiating = true;
            operation->start();
            initiating = false;
        }
        bool ended() const noexcept { return end.completions != 0; }
    };

    static constexpr auto success = endless<Operation> ? sender_outcome::stopped : sender_outcome::value;

    void completes(bool before) {
        std::string const situation = before ? "sender, ready before" : "sender, ready later";
        started run;
        stage_type at;
        if (before)
            at.make_ready();
        run.start(at);
        expect(!run.ended(), situation, "completed inside start");
        at.settle();
        if (!before) {
            expect(!run.ended(), situation, "completed before it could");
            at.make_ready();
        }
        at.run_until([&] { return run.ended(); });
        expect(run.end.completions == 1, situation, "did not complete once");
        expect(run.end.how == success, situation, "failed: " + run.end.what);
        expect(run.end.executor == "I/O executor", situation, "completed elsewhere than on the I/O executor");
    }

    /// With `queued`, the stop request overtakes what is in the queue.
    void stops(bool queued) {
        std::string const situation = queued ? "sender stopped at once" : "sender stopped";
        started run;
        stage_type at;
        run.start(at);
        if (!queued)
            at.settle();
        run.source.request_stop();
        expect(!run.ended(), situation, "completed inside the stop request");
        at.run_until([&] { return run.ended(); });
        expect(run.end.how == sender_outcome::stopped, situation, "was not stopped: " + run.end.what);
        if (!run.ended())
            return;
        at.make_ready();
        expect(at.next_succeeds(), situation, "the next operation did not succeed");
    }

    void abandoned() {
        started run;
        {
            stage_type at;
            run.start(at);
            at.settle();
        }
        expect(run.end.completions == 1 && run.end.how == sender_outcome::stopped, "sender whose context goes",
               "was not stopped");
    }

public:
    explicit sender_checks(report& to)
        : base{to} {}

    void run() {
        examining("senders");
        for (bool const before : moments)
            completes(before);
        stops(false);
        stops(true);
        abandoned();
    }
};

} // namespace conformance::detail
