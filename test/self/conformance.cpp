#include <boost/asio/append.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include <asio/conformance.hpp>
#include <memory>
#include <string_view>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace net = boost::asio;
using netring_asio::error_code;

namespace {

enum class flaw {
    none,
    completes_inline,
    ignores_executor,
    ignores_allocator,
    allocates,
    ignores_slot,
    ignores_queued_cancellation,
    loses_what_was_cancelled,
    accepts_a_second,
    keeps_the_object_alive,
};

/// The flaw of every operation, but for those that change types and are template arguments.
flaw present = flaw::none;

template <class Executor>
struct event_state {
    event_state(Executor const& executor, int handle)
        : descriptor{executor, handle} {}
    bool take() {
        std::uint64_t value;
        return ::read(descriptor.native_handle(), &value, sizeof value) == sizeof value;
    }
    net::posix::basic_stream_descriptor<Executor> descriptor;
    bool pending = false, closed = false;
};

/// Waits until it can take one from an eventfd: the smallest operation of several steps, right or with one flaw.
template <flaw Flaw, class Executor, class Handler>
struct take_operation {
    std::shared_ptr<event_state<Executor>> state;
    Handler handler;
    net::cancellation_state cancellation;

    using cancellation_slot_type = net::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept {
        return present == flaw::ignores_slot ? net::cancellation_slot{} : cancellation.slot();
    }

    void wait() {
        auto& descriptor = state->descriptor;
        descriptor.async_wait(net::posix::descriptor_base::wait_read, std::move(*this));
    }

    void operator()(error_code error) {
        bool const cancelled = present != flaw::ignores_queued_cancellation &&
                               cancellation.cancelled() != net::cancellation_type::none &&
                               present != flaw::ignores_slot;
        if (!error && (state->closed || cancelled))
            error = net::error::operation_aborted;
        if (error && present == flaw::loses_what_was_cancelled)
            state->take();
        if (!error && !state->take())
            return wait();
        state->pending = false;
        state.reset();
        std::move(handler)(error);
    }
};

template <flaw Flaw, class Executor = net::any_io_executor>
class event {
public:
    using executor_type = Executor;
    template <class Other>
    struct rebind_executor {
        using other = event<Flaw, Other>;
    };

    explicit event(Executor const& executor)
        : event{executor, ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)} {}
    event(Executor const& executor, int handle)
        : state_{std::make_shared<event_state<Executor>>(executor, handle)} {}
    template <class Other>
    event(event<Flaw, Other>&& other)
        : event{Executor{other.get_executor()}, other.release()} {}
    event(event&&) noexcept = default;
    ~event() {
        if (state_ && present != flaw::keeps_the_object_alive)
            close();
    }

    Executor get_executor() const { return state_->descriptor.get_executor(); }
    int release() { return state_->descriptor.release(); }
    int native_handle() const { return state_->descriptor.native_handle(); }
    void cancel() {
        error_code ignored;
        state_->descriptor.cancel(ignored);
    }
    void close() {
        state_->closed = true;
        cancel();
    }

    template <net::completion_token_for<void(error_code)> Token = net::default_completion_token_t<Executor>>
    auto async_take(Token&& token = net::default_completion_token_t<Executor>{}) {
        return net::async_initiate<Token, void(error_code)>(initiation{state_}, token);
    }

private:
    struct initiation {
        std::shared_ptr<event_state<Executor>> state;
        using executor_type = Executor;
        executor_type get_executor() const { return state->descriptor.get_executor(); }

        template <class Handler>
        void operator()(Handler&& handler) {
            if (present == flaw::allocates)
                delete[] ::new int[100];
            if (state->pending && present != flaw::accepts_a_second)
                return net::post(get_executor(), net::append(std::forward<Handler>(handler),
                                                             error_code{netring_asio::error::operation_in_progress}));
            if (present == flaw::completes_inline)
                if (state->take())
                    return std::move(handler)(error_code{});
            state->pending = true;
            auto const slot = net::get_associated_cancellation_slot(handler);
            take_operation<Flaw, Executor, std::decay_t<Handler>> operation{
                state, std::forward<Handler>(handler), net::cancellation_state{slot, net::enable_total_cancellation()}};
            operation.wait();
        }
    };

    std::shared_ptr<event_state<Executor>> state_;
};

template <flaw Flaw>
struct take {
    static inline std::chrono::milliseconds patience{5000};

    event<Flaw> make(net::any_io_executor executor) {
        event<Flaw> made{executor};
        descriptor = made.native_handle();
        return made;
    }
    template <class Object, class... Token>
    auto start(Object& object, Token&&... token) {
        descriptor = object.native_handle();
        return object.async_take(std::forward<Token>(token)...);
    }
    void make_ready() {
        std::uint64_t const one = 1;
        if (::write(descriptor, &one, sizeof one) != sizeof one)
            std::abort();
    }
    void take_back() {
        std::uint64_t value;
        if (::read(descriptor, &value, sizeof value) != sizeof value)
            std::abort();
    }
    int descriptor = -1;
};

/// An operation of Asio's own: the descriptor becomes readable and stays so.
struct descriptor_wait {
    static constexpr bool exclusive = false;

    net::posix::stream_descriptor make(net::any_io_executor executor) {
        descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return {executor, descriptor};
    }
    template <class Object, class... Token>
    auto start(Object& object, Token&&... token) {
        return object.async_wait(net::posix::descriptor_base::wait_read, std::forward<Token>(token)...);
    }
    void make_ready() {
        std::uint64_t const one = 1;
        if (::write(descriptor, &one, sizeof one) != sizeof one)
            std::abort();
    }
    int descriptor = -1;
};

bool found(conformance::findings const& findings, std::string_view situation, std::string_view problem) {
    for (auto const& finding : findings)
        if (finding.find(situation) != std::string::npos && finding.find(problem) != std::string::npos)
            return true;
    std::string all = "found only:";
    for (auto const& finding : findings)
        all += "\n  " + finding;
    BOOST_TEST_MESSAGE(all);
    return false;
}

} // namespace

namespace {

template <template <class, class> class Associator>
constexpr flaw ignoring = flaw::none;
template <>
constexpr flaw ignoring<net::associated_executor> = flaw::ignores_executor;
template <>
constexpr flaw ignoring<net::associated_allocator> = flaw::ignores_allocator;

/// What has no associations of its own, in the place of a handler that is ignored.
struct nobody {};

} // namespace

template <template <class, class> class Associator, flaw Flaw, class Executor, class Handler, class Default>
struct boost::asio::associator<Associator, take_operation<Flaw, Executor, Handler>, Default>
    : Associator<std::conditional_t<Flaw != flaw::none && Flaw == ignoring<Associator>, nobody, Handler>, Default> {
    static constexpr bool ignored = Flaw != flaw::none && Flaw == ignoring<Associator>;

    static decltype(auto) get(take_operation<Flaw, Executor, Handler> const& operation) noexcept {
        if constexpr (ignored)
            return Associator<nobody, Default>::get(nobody{});
        else
            return Associator<Handler, Default>::get(operation.handler);
    }
    static decltype(auto) get(take_operation<Flaw, Executor, Handler> const& operation,
                              Default const& fallback) noexcept {
        if constexpr (ignored)
            return Default{fallback};
        else
            return Associator<Handler, Default>::get(operation.handler, fallback);
    }
};

BOOST_AUTO_TEST_CASE(a_right_operation_has_no_findings) {
    conformance::verify<take<flaw::none>>();
    conformance::verify<descriptor_wait>();
}

BOOST_AUTO_TEST_CASE(wrong_operations_are_found) {
    auto const expect = [](flaw which, std::string_view situation, std::string_view problem) {
        present = which;
        take<flaw::none>::patience = std::chrono::milliseconds{20};
        BOOST_TEST(found(conformance::examine<take<flaw::none>>(), situation, problem),
                   situation << ": " << problem << " was not found");
        present = flaw::none;
        take<flaw::none>::patience = std::chrono::seconds{5};
    };
    expect(flaw::completes_inline, "handler, ready before", "inside the initiating");
    expect(flaw::ignores_slot, "sender stopped", "was not stopped");
    expect(flaw::allocates, "callbacks", "heap allocations");
    expect(flaw::allocates, "coroutine loop", "heap allocations");
    expect(flaw::ignores_slot, "total cancellation at step 1", "not called");
    expect(flaw::ignores_slot, "terminal cancellation of a coroutine", "not resumed");
    expect(flaw::loses_what_was_cancelled, "cancellation", "was lost");
    expect(flaw::ignores_queued_cancellation, "ready and taken back, queued", "not called");
    expect(flaw::accepts_a_second, "second operation", "not refused");
    expect(flaw::keeps_the_object_alive, "destruction of the object", "not called once");
    BOOST_TEST(found(conformance::examine<take<flaw::ignores_executor>>(), "handler with an executor",
                     "instead of the handler's"));
    BOOST_TEST(found(conformance::examine<take<flaw::ignores_allocator>>(), "handler with an allocator", "not used"));
}

BOOST_AUTO_TEST_CASE(every_kind_of_allocation_is_counted) {
    auto const count = [](auto&& function) { return lab::allocation_counter::of(function); };
    void* volatile memory = nullptr; // volatile, so that no allocation is optimised away
    BOOST_TEST(count([&] { memory = std::malloc(10); }) == 1U);
    BOOST_TEST(count([&] { memory = std::realloc(memory, 100'000); }) == 1U);
    std::free(memory);
    BOOST_TEST(count([&] { memory = std::calloc(1, 10); }) == 1U);
    std::free(memory);
    BOOST_TEST(count([&] { memory = std::aligned_alloc(64, 64); }) == 1U);
    std::free(memory);
    BOOST_TEST(count([&] { memory = ::operator new(10); }) == 1U);
    ::operator delete(memory);
    BOOST_TEST(count([&] { memory = ::operator new(10, std::align_val_t{64}); }) == 1U);
    ::operator delete(memory, std::align_val_t{64});
    BOOST_TEST(count([] {}) == 0U);
    BOOST_TEST(count([] {
                   lab::uncounted const scope;
                   std::free(std::malloc(10));
               }) == 0U);

    lab::allocation_counter const counter;
    std::thread{[&] { std::free(std::malloc(10)); }}.join();
    BOOST_TEST(counter.everywhere() > counter.here());
}
