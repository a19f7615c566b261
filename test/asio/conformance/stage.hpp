#pragma once

#include <netring_asio/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <asio/tracked_executor.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace conformance {

using netring_asio::error_code;
using namespace std::chrono_literals;

/// What is wrong, one line each.
using findings = std::vector<std::string>;

/// What was examined, and how it went.
struct report {
    struct aspect {
        std::string name;
        bool holds = true;
    };
    std::vector<aspect> aspects;
    conformance::findings findings;
};

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
constexpr bool allocates = false;
template <class Operation>
    requires requires { Operation::allocates; }
constexpr bool allocates<Operation> = Operation::allocates;

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

/// What the parts of an examination have in common.
template <class Operation>
class checks {
protected:
    using stage_type = stage<Operation>;

    explicit checks(report& to)
        : report_{to} {}

    /// What is found from here on is about this.
    void examining(std::string_view name) {
        auto& all = report_.aspects;
        auto const known =
            std::find_if(all.begin(), all.end(), [name](report::aspect const& a) { return a.name == name; });
        current_ = static_cast<std::size_t>(known - all.begin());
        if (known == all.end())
            all.push_back({std::string{name}});
    }

    void expect(bool holds, std::string const& situation, std::string const& problem) {
        if (holds)
            return;
        report_.aspects[current_].holds = false;
        report_.findings.push_back(situation + ": " + problem);
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

private:
    report& report_;
    std::size_t current_ = 0;
};

} // namespace detail
} // namespace conformance
