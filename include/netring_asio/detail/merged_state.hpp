#pragma once

#include <netring_asio/detail/bell.hpp>
#include <netring_asio/detail/handler_memory.hpp>
#include <netring_asio/detail/waiting_op.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/packet/packet_owner.hpp>
#include <netring_asio/packet_source.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace netring_asio::detail {

/// Packets of several batches in the order of their times, and a share in each of these.
class merged_packets final : public packet_owner {
public:
    /// Those that wait to be used again. Safe from any thread.
    struct store {
        std::mutex mutex;
        std::vector<std::unique_ptr<merged_packets>> free;
    };

    /// One that nobody uses, with the memory of its earlier uses.
    static boost::intrusive_ptr<merged_packets> take(std::shared_ptr<store> const& from) {
        std::unique_ptr<merged_packets> result;
        {
            std::lock_guard const lock{from->mutex};
            if (!from->free.empty()) {
                result = std::move(from->free.back());
                from->free.pop_back();
            }
        }
        if (!result)
            result.reset(new merged_packets);
        result->home_ = from;
        return boost::intrusive_ptr<merged_packets>{result.release()};
    }

    std::vector<packet_view> views;
    std::vector<packet_batch> parts;

private:
    friend struct std::default_delete<merged_packets>;
    merged_packets() = default;
    ~merged_packets() override = default;

    void recycle() noexcept override {
        views.clear();
        parts.clear();
        std::unique_ptr<merged_packets> self{this};
        auto const home = std::exchange(home_, nullptr);
        std::lock_guard const lock{home->mutex};
        if (home->free.size() != most)
            home->free.push_back(std::move(self));
    }

    static constexpr std::size_t most = 16;
    std::shared_ptr<store> home_;
};

/// One of the sources that are merged.
template <class Source>
struct merged_input {
    explicit merged_input(Source from)
        : source{std::move(from)} {}

    bool has_head() const noexcept { return next != std::default_sentinel; }
    /// Whether older packets may come from it than any that are here.
    bool silent() const noexcept { return !has_head() && !ended; }

    void look() {
        if (silent() && !receiving && source.try_receive(batch))
            begin();
    }
    void begin() {
        next = batch.begin();
        if (!has_head())
            return batch.reset();
        head = *next;
        newest = batch.info().last_time;
        if (newest == timestamp{}) // it does not say
            for (auto const packet : batch)
                newest = std::max(newest, packet.time);
        since = std::chrono::steady_clock::now();
    }
    /// Moves packets to `out` until one is younger than the limit.
    void move_to(merged_packets& out, timestamp limit) {
        for (; has_head() && head.time <= limit; ++moved) {
            out.views.push_back(head);
            if (++next != std::default_sentinel)
                head = *next;
        }
    }
    /// Hands over the share of what was moved.
    void settle(merged_packets& out) {
        if (moved == 0)
            return;
        out.parts.push_back(has_head() ? batch.split(moved) : std::move(batch));
        next = batch.begin();
        moved = 0;
    }
    void clear() noexcept {
        ended = true;
        batch.reset();
        next = {};
    }

    Source source;
    packet_batch batch;
    packet_batch::iterator next;
    packet_view head;      // the first that was not moved
    timestamp newest;      // of the batch
    std::size_t moved = 0; // and still in the batch
    std::chrono::steady_clock::time_point since;
    error_code error; // to be told
    std::shared_ptr<handler_memory> memory = std::make_shared<handler_memory>();
    bool receiving = false;
    bool ended = false;
};

/// What a merged source and its pending operation share. Belongs to the executor of the sources.
template <class... Sources>
struct merged_state : std::enable_shared_from_this<merged_state<Sources...>> {
    using first_source = std::tuple_element_t<0, std::tuple<Sources...>>;
    using executor_type = typename first_source::executor_type;
    using bell_type = bell<executor_type>;
    using clock = std::chrono::steady_clock;
    using timer = boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, executor_type>;

    merged_state(std::chrono::nanoseconds limit, Sources... sources)
        : bound{limit}
        , inputs{merged_input<Sources>{std::move(sources)}...}
        , where{std::get<0>(inputs).source.get_executor()}
        , overdue{get_executor()} {}

    executor_type get_executor() const noexcept { return std::get<0>(inputs).source.get_executor(); }

    template <class Function>
    void for_each(Function function) {
        std::apply([&](auto&... input) { (function(input), ...); }, inputs);
    }
    template <class Predicate>
    bool any(Predicate predicate) const {
        return std::apply([&](auto const&... input) { return (predicate(input) || ...); }, inputs);
    }

    /// The oldest packets in order, as far as nothing older can come, or nobody waits for it any longer.
    bool take(packet_batch& out) {
        for_each([](auto& input) { input.look(); });
        auto const settled = settled_until();
        if (!has_until(settled))
            return false;
        auto merged = merged_packets::take(store);
        for (;;) {
            // From the source with the oldest packet, up to the oldest of the others.
            auto oldest = timestamp::max(), second = *settled;
            for_each([&](auto const& input) {
                if (!input.has_head())
                    return;
                second = std::min(second, std::max(oldest, input.head.time));
                oldest = std::min(oldest, input.head.time);
            });
            if (oldest > *settled)
                break;
            bool done = false;
            for_each([&](auto& input) {
                if (!done && input.has_head() && input.head.time == oldest) {
                    input.move_to(*merged, second);
                    done = true;
                }
            });
        }
        for_each([&](auto& input) { input.settle(*merged); });
        auto const& views = merged->views;
        late += static_cast<std::uint64_t>(
            std::ranges::count_if(views, [&](packet_view const& packet) { return packet.time < told; }));
        told = std::max(told, views.back().time);
        batch_info const info{.sequence = batches++, .first_time = views.front().time, .last_time = views.back().time};
        out = packet_batch{views, packet_owner_ptr{merged}, info};
        return true;
    }

    /// Up to when everything is here that is waited for.
    std::optional<timestamp> settled_until() const {
        bool waits = false; // for a source of which nothing is lost while nobody reads
        bool silent = false;
        std::optional<timestamp> due, last;
        auto const now = clock::now();
        std::apply(
            [&](auto const&... input) {
                (
                    [&] {
                        using source = std::remove_cvref_t<decltype(input.source)>;
                        if (input.silent()) {
                            silent = true;
                            waits |= waits_for_reader<source>;
                        } else if (input.has_head()) {
                            auto const reached = input.ended ? timestamp::max() : input.newest;
                            last = std::min(last.value_or(timestamp::max()), reached);
                            if (now - input.since >= bound)
                                due = std::max(due.value_or(timestamp::min()), input.newest);
                        }
                    }(),
                    ...);
            },
            inputs);
        if (!silent)
            return last ? std::max(*last, due.value_or(*last)) : last;
        return waits ? std::nullopt : due;
    }

    bool has_until(std::optional<timestamp> const& settled) const {
        return settled && any([&](auto const& input) { return input.has_head() && input.head.time <= *settled; });
    }

    /// An operation waits, and is rung when there is something.
    void await(bell_type& at) {
        waiting.push_back(at);
        wait_on();
    }
    void wait_on() {
        read();
        auto first = clock::time_point::max();
        for_each([&](auto const& input) {
            if (input.has_head() && bound < clock::time_point::max() - input.since)
                first = std::min(first, input.since + bound);
        });
        if (first == clock::time_point::max())
            return;
        overdue.expires_at(first);
        overdue.async_wait(boost::asio::bind_allocator(handler_allocator<void>{timer_memory},
                                                       [self = this->shared_from_this()](error_code ec) {
                                                           if (!ec)
                                                               self->ring();
                                                       }));
    }
    /// It does not any more.
    void leave(bell_type& at) noexcept {
        at.unlink();
        overdue.cancel();
        for_each([](auto& input) {
            if (input.receiving)
                input.source.cancel();
        });
    }
    /// Rings the operation that waits, or has it wait on where there is nothing for it yet.
    void ring() {
        if (waiting.empty())
            return;
        if (has_error() || has_until(settled_until()))
            where.ring();
        else
            wait_on();
    }

    void read() {
        for_each([this](auto& input) {
            if (!input.silent() || input.receiving || closed)
                return;
            input.receiving = true;
            input.source.async_receive(input.batch, boost::asio::bind_allocator(handler_allocator<void>{input.memory},
                                                                                [self = this->shared_from_this(),
                                                                                 &input](error_code ec, std::size_t) {
                                                                                    input.receiving = false;
                                                                                    self->received(input, ec);
                                                                                }));
        });
    }
    template <class Input>
    void received(Input& input, error_code ec) {
        if (!ec)
            input.begin();
        else if (ec != boost::asio::error::operation_aborted) {
            input.ended = ec == boost::asio::error::eof || ec == error::not_open || ec == error::interface_removed;
            if (ec != boost::asio::error::eof && ec != error::not_open)
                input.error = ec;
        } else if (!waiting.empty()) // of an operation that is over, while the next waits already
            return read();
        ring();
    }

    bool has_error() const noexcept {
        return any([](auto const& input) { return input.error.failed(); }) || is_over();
    }
    bool is_over() const noexcept {
        return !any([](auto const& input) { return !input.ended || input.has_head(); });
    }
    error_code take_error() noexcept {
        error_code result;
        for_each([&](auto& input) {
            if (!result)
                result = std::exchange(input.error, {});
        });
        if (!result && is_over())
            result = closed ? error_code{error::not_open} : error_code{boost::asio::error::eof};
        return result;
    }

    void cancel() noexcept { waiting.fail(boost::asio::error::operation_aborted); }
    void close() {
        if (std::exchange(closed, true))
            return;
        cancel();
        for_each([](auto& input) {
            input.source.close();
            input.clear();
        });
    }

    std::chrono::nanoseconds bound;
    std::tuple<merged_input<Sources>...> inputs;
    bell_type where;
    waiting_bells<executor_type> waiting;
    timer overdue;
    std::shared_ptr<handler_memory> timer_memory = std::make_shared<handler_memory>();
    std::shared_ptr<merged_packets::store> store = std::make_shared<merged_packets::store>();
    timestamp told = timestamp::min();
    std::uint64_t late = 0;
    std::uint64_t batches = 0;
    bool closed = false;
};

/// The receive of a merged source.
template <class State>
struct merged_receive_step {
    using result = std::optional<std::tuple<error_code, std::size_t>>;
    static result failed(error_code error) { return {{error, 0}}; }
    auto& bell(State& s) const noexcept { return s.where; }
    static constexpr bool pulls() noexcept { return true; }

    result take(State& s) const {
        if (s.closed)
            return failed(error::not_open);
        if (s.take(*out))
            return {{error_code{}, out->size()}};
        if (auto const ec = s.take_error())
            return failed(ec);
        return {};
    }
    result stop(State&, error_code error) const { return failed(error); }

    packet_batch* out;
};

template <class State>
class initiate_merged_receive {
public:
    using executor_type = typename State::executor_type;

    explicit initiate_merged_receive(std::shared_ptr<State> state) noexcept
        : state_{std::move(state)} {}

    executor_type get_executor() const noexcept { return state_->get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler, packet_batch* out) const {
        if (!state_->where.busy)
            out->reset();
        initiate_waiting_op<State>{state_}(std::forward<Handler>(handler), merged_receive_step<State>{out});
    }

private:
    std::shared_ptr<State> state_;
};

} // namespace netring_asio::detail
