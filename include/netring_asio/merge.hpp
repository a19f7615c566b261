#pragma once

#include <netring_asio/detail/merged_state.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet_source.hpp>

#include <boost/asio/async_result.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>

namespace netring_asio {

/// One source of the packets of several, in the order of their times.
///
/// Each packet says what interface it came from. A packet waits for sources that have nothing yet, at most as long as a
/// bound; what comes later than that is told at once, out of order, and counted. For a source of which nothing is lost
/// while nobody reads, a file for instance, it waits as long as it takes. A source that ended is not waited for; the
/// end comes when all have.
///
/// @par Operations, cancellation
/// `async_receive` as of every source; cancelled, the packets stay for the next. An error of one source, an interface
/// that went down for instance, completes a receive once, and the others go on. What the sources' batches hold, the
/// merged batch holds; a frame held from it keeps all of that.
///
/// @par Thread safety, executors
/// All sources belong to one executor, a strand or a context that one thread runs. Shared objects: unsafe.
template <packet_source... Sources>
class merged_source {
    static_assert(sizeof...(Sources) > 0);
    using state = detail::merged_state<Sources...>;

public:
    using executor_type = typename state::executor_type;
    static constexpr bool waits_for_reader = (netring_asio::waits_for_reader<Sources> && ...);

    template <class Other>
    struct rebind_executor {
        using other = merged_source<typename Sources::template rebind_executor<Other>::other...>;
    };

    explicit merged_source(std::chrono::nanoseconds bound, Sources... sources)
        : state_{std::make_shared<state>(bound, std::move(sources)...)} {}

    merged_source(merged_source&&) noexcept = default;
    merged_source& operator=(merged_source&& other) noexcept {
        merged_source moved{std::move(other)};
        std::swap(state_, moved.state_);
        return *this;
    }
    /// Over convertible sources; no operation may be pending, and none may have been.
    template <class... Others>
        requires(!std::same_as<merged_source<Others...>, merged_source> && sizeof...(Others) == sizeof...(Sources) &&
                 (std::constructible_from<Sources, Others &&> && ...))
    merged_source(merged_source<Others...>&& other)
        : state_{std::apply(
              [&](auto&... input) {
                  return std::make_shared<state>(other.state_->bound, Sources{std::move(input.source)}...);
              },
              other.state_->inputs)} {}

    ~merged_source() {
        if (state_)
            state_->close();
    }

    executor_type get_executor() const noexcept { return state_->get_executor(); }

    /// Completes with `void(error_code, std::size_t packets)`.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(packet_batch& batch, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiate_merged_receive<state>{state_}, token, &batch);
    }

    /// What is settled by now. False while an operation is pending.
    bool try_receive(packet_batch& batch) {
        if (state_->where.busy || state_->closed)
            return false;
        batch.reset();
        return state_->take(batch);
    }

    void cancel() { state_->cancel(); }
    void close() { state_->close(); }

    /// One of the sources, to look at.
    template <std::size_t Index>
    auto& source() noexcept {
        return std::get<Index>(state_->inputs).source;
    }
    /// Packets that were told out of order.
    std::uint64_t late() const noexcept { return state_->late; }

private:
    template <packet_source... Others>
    friend class merged_source;

    std::shared_ptr<state> state_;
};

/// One source of several, whose packets wait for each other at most as long as the bound.
template <packet_source... Sources>
    requires(sizeof...(Sources) > 0)
merged_source<Sources...> merge(std::chrono::nanoseconds bound, Sources... sources) {
    return merged_source<Sources...>{bound, std::move(sources)...};
}
/// The same with 50 ms, within which every profile of `capture` delivers.
template <packet_source... Sources>
    requires(sizeof...(Sources) > 0)
merged_source<Sources...> merge(Sources... sources) {
    return merge(std::chrono::milliseconds{50}, std::move(sources)...);
}

} // namespace netring_asio
