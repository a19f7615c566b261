#pragma once

#include <netring_asio/detail/shard_receive_op.hpp>
#include <netring_asio/packet_source.hpp>

#include <boost/asio/async_result.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace netring_asio {

/// The packets of one shard: its source, with an end. When the shards are to stop, it gives what is there still and
/// then `net::error::eof`, so that what consumes it ends as at the end of a file.
///
/// Operations, errors, cancellation and thread safety are those of the source, which the shards keep: what uses this
/// belongs to the shard's thread.
///
/// @par Lifetime
/// Destroying it closes the source.
template <packet_source Source>
class shard_source {
    using state = detail::shard_source_state<Source>;

public:
    using executor_type = typename Source::executor_type;

    /// Used by `shards`.
    explicit shard_source(std::shared_ptr<state> from) noexcept
        : state_{std::move(from)} {}
    shard_source(shard_source&&) noexcept = default;
    shard_source& operator=(shard_source&& other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~shard_source() {
        if (state_)
            state_->close();
    }

    executor_type get_executor() const noexcept { return state_->source.get_executor(); }

    /// Completes with `void(error_code, std::size_t packets)`; as that of the source.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_receive(packet_batch& batch, Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiate_shard_receive<state>{state_}, token, &batch);
    }

    bool try_receive(packet_batch& batch) { return state_->try_receive(batch); }
    void cancel() { state_->cancel(); }
    void close() { state_->close(); }

    /// What the packets come from.
    Source& source() noexcept { return state_->source; }
    Source const& source() const noexcept { return state_->source; }

private:
    std::shared_ptr<state> state_;
};

} // namespace netring_asio
