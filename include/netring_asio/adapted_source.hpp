#pragma once

#include <netring_asio/detail/adapted_receive_op.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet_source.hpp>

#include <boost/asio/async_result.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>

namespace netring_asio {

/// A source of packets whose batches go through something first: `tapped`, `deduplicated`, or something of yours.
///
/// It is part of the source, so it stays with it whatever streams are made of that one after the other.
///
/// @tparam Pass a movable function object, called once with each `packet_batch&` that was received, of which it may
/// leave packets out
///
/// @par Operations, moving, destruction, thread safety
/// As the source.
template <packet_source Source, std::invocable<packet_batch&> Pass>
class adapted_source {
    using state = detail::adapted_state<Source, Pass>;

public:
    using source_type = Source;
    using executor_type = typename Source::executor_type;
    static constexpr bool waits_for_reader = netring_asio::waits_for_reader<Source>;

    adapted_source(Source source, Pass pass)
        : state_{std::make_shared<state>(state{std::move(source), std::move(pass)})} {}

    adapted_source(adapted_source&&) noexcept = default;
    adapted_source& operator=(adapted_source&& other) noexcept {
        adapted_source moved{std::move(other)};
        std::swap(state_, moved.state_);
        return *this;
    }

    /// Over a convertible source; no operation may be pending.
    template <class Other>
        requires(!std::same_as<Other, Source> && std::constructible_from<Source, Other &&>)
    adapted_source(adapted_source<Other, Pass>&& other)
        : adapted_source{Source{std::move(other.state_->source)}, std::move(other.state_->pass)} {
        other.state_.reset();
    }

    ~adapted_source() {
        if (state_ && state_.use_count() != 1)
            state_->source.close();
    }

    executor_type get_executor() const noexcept { return state_->source.get_executor(); }
    /// The source within.
    Source& source() noexcept { return state_->source; }
    Source const& source() const noexcept { return state_->source; }
    void cancel() { state_->source.cancel(); }
    void close() { state_->source.close(); }

    /// As of the source.
    bool try_receive(packet_batch& batch) { return state_->try_receive(batch); }

    /// As of the source: `void(error_code, std::size_t packets)`, with its errors and its cancellation.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(packet_batch& batch, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiate_adapted_receive<state>{state_}, token, &batch);
    }

protected:
    Pass& pass() noexcept { return state_->pass; }
    Pass const& pass() const noexcept { return state_->pass; }

private:
    template <packet_source, std::invocable<packet_batch&>>
    friend class adapted_source;
    std::shared_ptr<state> state_;
};

} // namespace netring_asio
