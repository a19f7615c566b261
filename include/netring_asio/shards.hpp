#pragma once

#include <netring_asio/detail/hand_over.hpp>
#include <netring_asio/detail/shard_thread.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/fanout.hpp>
#include <netring_asio/packet_source.hpp>
#include <netring_asio/shard_source.hpp>
#include <netring_asio/shards_options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace netring_asio {

/// What the work on one shard is given. Belongs to the shard's thread.
template <packet_source Source>
class shard {
public:
    using executor_type = boost::asio::io_context::executor_type;

    /// Used by `shards`.
    shard(std::size_t index, std::size_t count, boost::asio::io_context& context,
          std::shared_ptr<detail::shard_source_state<Source>> source) noexcept
        : index_{index}
        , count_{count}
        , context_{&context}
        , source_{std::move(source)} {}

    std::size_t index() const noexcept { return index_; }
    std::size_t count() const noexcept { return count_; }
    boost::asio::io_context& context() const noexcept { return *context_; }
    executor_type get_executor() const noexcept { return context_->get_executor(); }

    /// The packets of the shard, to be taken once.
    shard_source<Source> source() noexcept { return shard_source<Source>{std::move(source_)}; }

private:
    std::size_t index_;
    std::size_t count_;
    boost::asio::io_context* context_;
    std::shared_ptr<detail::shard_source_state<Source>> source_;
};

/// The same work on many cores: a source, an `io_context` and a thread for each share of the packets. Nothing is shared
/// between the shards, so the work on each is written as if it were alone.
///
/// @code
/// nr::shards group{nr::shards_options{}.count(4), nr::capture_group{nr::capture_options{"eth0"}}};
/// group.start([](nr::shard<nr::capture> self) -> net::awaitable<void> {
///     nr::flow_stream flows{self.source()};
///     ...                                  // until net::error::eof
/// });
/// @endcode
///
/// @par Thread safety
/// `stop`, `halt`, `visit` and `statistics` may be called on any thread, but for `visit` on that of a shard. All else
/// is for one thread.
template <packet_source Source>
class shards {
public:
    /// Opens the source of each shard, one after the other, each on the thread that will use it: `open(context, index)`
    /// gives a `Source`. What it throws is thrown here.
    template <class Open>
        requires std::is_invocable_r_v<Source, Open&, boost::asio::io_context&, std::size_t>
    shards(shards_options const& options, Open open)
        : options_{options} {
        if (options_.count() == 0)
            throw system_error{error::invalid_option, "count"};
        if (options_.numa() == numa_policy::strict && options_.processors().empty())
            throw system_error{error::conflicting_options, "numa: strict, without processors"};
        auto const& processors = options_.processors();
        for (std::size_t i = 0; i != options_.count(); ++i) {
            auto& m = members_.emplace_back();
            auto const processor =
                processors.empty() ? std::optional<int>{} : std::optional{processors[i % processors.size()]};
            m.thread.start(processor, options_.numa(),
                           [&m, &open, i] { m.source = std::make_shared<source_state>(open(m.thread.context, i)); });
        }
        // With fewer members the packets were shared differently.
        auto const now = std::chrono::system_clock::now();
        for (auto& m : members_)
            m.source->since = now;
        if constexpr (requires(Source const& source) { source.options().fanout(); })
            if (count() > 1 && std::ranges::all_of(members_, [](auto const& m) {
                    auto const& fanout = m.source->source.options().fanout();
                    return fanout && fanout->mode() == fanout_mode::flows;
                }))
                hand_over_fragments();
    }

    shards(shards const&) = delete;
    shards& operator=(shards const&) = delete;
    /// As `halt`.
    ~shards() {
        halt();
        for (auto& m : members_)
            m.thread.end();
        if (hand_overs_)
            hand_overs_->silence();
    }

    std::size_t count() const noexcept { return members_.size(); }

    /// Begins the work, once. `body(shard<Source>)` is called once on the thread of each shard, on a copy of it; it
    /// returns an awaitable, or starts operations that go on in the shard's context.
    ///
    /// A shard ends when its context is out of work. It fails when a handler, or the awaitable, throws: then its source
    /// is closed, and `shards_options::on_failure` says what becomes of the others.
    template <class Body>
        requires std::invocable<Body&, shard<Source>>
    void start(Body const& body) {
        for (std::size_t i = 0; i != count(); ++i) {
            auto& m = members_[i];
            m.thread.release(
                [this, &m, i, body = body]() mutable {
                    shard<Source> self{i, count(), m.thread.context, m.source};
                    if constexpr (std::is_void_v<std::invoke_result_t<Body&, shard<Source>>>)
                        body(std::move(self));
                    else
                        boost::asio::co_spawn(m.thread.context, body(std::move(self)),
                                              [this, &m](std::exception_ptr failure) {
                                                  if (failure)
                                                      fail(m, failure);
                                                  m.source->close();
                                              });
                },
                [this, &m](std::exception_ptr failure) { fail(m, failure); });
        }
    }

    /// Has every shard end: no more packets come in, those that came are worked on, for as long as
    /// `shards_options::drain_limit` says, and the sources end with `net::error::eof`. Does not wait.
    void stop() {
        for (auto& m : members_)
            boost::asio::post(m.thread.context,
                              [source = m.source, limit = options_.drain_limit()] { source->drain(limit); });
    }

    /// Stops every context where it is. Does not wait.
    void halt() {
        for (auto& m : members_)
            m.thread.halt();
    }

    /// Waits for every shard to end, and throws what the first of them that failed threw.
    void wait() {
        for (auto& m : members_)
            m.thread.join();
        std::lock_guard const lock{failures_};
        for (auto const& m : members_)
            if (m.failure)
                std::rethrow_exception(m.failure);
    }

    /// Calls `function(index)` for one shard after the other, on its thread and between two of its handlers, or on this
    /// thread where it has ended: to look at what belongs to the shards, their flow tables for instance. After `start`.
    template <std::invocable<std::size_t> Function>
    void visit(Function function) {
        for (std::size_t i = 0; i != count(); ++i)
            members_[i].thread.visit([&function, i] { function(i); });
    }

    /// The totals of all sources.
    auto statistics() const
        requires requires(Source const& source) { source.statistics() += source.statistics(); }
    {
        decltype(std::declval<Source const&>().statistics()) total{};
        for (auto const& m : members_)
            total += m.source->source.statistics();
        return total;
    }
    /// Of packets that the shards hand to each other, see `fanout_mode::flows`.
    hand_over_statistics handed_over() const {
        return hand_overs_ ? hand_overs_->statistics() : hand_over_statistics{};
    }
    /// Those of one source.
    auto statistics(std::size_t index) const
        requires requires(Source const& source) { source.statistics(); }
    {
        return members_.at(index).source->source.statistics();
    }

private:
    using source_state = detail::shard_source_state<Source>;
    struct member {
        detail::shard_thread thread;
        std::shared_ptr<source_state> source; // goes before its context
        std::exception_ptr failure;
    };

    void hand_over_fragments() {
        hand_overs_ = std::make_shared<detail::hand_over_group>(count(), [this](std::size_t i) {
            boost::asio::post(members_[i].thread.context, [weak = std::weak_ptr{members_[i].source}] {
                if (auto const source = weak.lock())
                    source->wake();
            });
        });
        for (std::size_t i = 0; i != count(); ++i)
            members_[i].source->hands.emplace(hand_overs_, i);
    }

    void fail(member& m, std::exception_ptr failure) {
        {
            std::lock_guard const lock{failures_};
            if (!m.failure)
                m.failure = failure;
        }
        m.source->close();
        if (options_.on_failure() == shard_failure_policy::stop_all)
            stop();
    }

    shards_options options_;
    std::mutex failures_;
    std::shared_ptr<detail::hand_over_group> hand_overs_;
    std::deque<member> members_;
};

template <class Open>
shards(shards_options, Open) -> shards<std::invoke_result_t<Open&, boost::asio::io_context&, std::size_t>>;

} // namespace netring_asio
