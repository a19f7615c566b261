#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/detail/hand_over.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <boost/asio/associator.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

/// A source that comes to an end when it is told to. Belongs to the thread of its shard.
template <class Source>
struct shard_source_state : std::enable_shared_from_this<shard_source_state<Source>> {
    using executor_type = typename Source::executor_type;
    using clock = std::chrono::steady_clock;
    using timer = boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, executor_type>;

    explicit shard_source_state(Source from)
        : source{std::move(from)}
        , settling{source.get_executor()}
        , deadline{source.get_executor()} {}

    /// Has no more packets come in, and the source end once those are received, or once the limit is over.
    void drain(std::chrono::nanoseconds limit) {
        if (closed || stopping)
            return;
        stopping = true;
        after(deadline, limit, [](shard_source_state& self) {
            self.draining = true;
            self.close();
        });
        std::chrono::nanoseconds settled{0};
        if constexpr (requires(error_code& ec) { source.pause(ec); }) {
            error_code ignored;
            source.pause(ignored);
            settled = std::chrono::milliseconds{10};
            // What the kernel holds back in a block that is not full, for a timeout that old kernels round up.
            if constexpr (requires { source.options().block_timeout(); })
                settled += source.options().block_timeout();
        }
        after(settling, settled, [](shard_source_state& self) {
            self.draining = true;
            self.source.cancel();
        });
    }

    void close() {
        closed = true;
        settling.cancel();
        deadline.cancel();
        source.close();
        if (hands)
            hands->leave();
    }

    void cancel() {
        woken = false;
        source.cancel();
    }

    bool try_receive(packet_batch& batch) {
        if (closed || receiving)
            return false;
        if (hands && hands->take(batch))
            return true;
        while (source.try_receive(batch))
            if (admit(batch))
                return true;
        return false;
    }

    /// Other shards may have handed packets over, or have no more to hand over.
    void wake() {
        if (!receiving || closed)
            return;
        woken = true;
        source.cancel();
    }

    /// Whether packets wait that other shards handed over.
    bool is_owed() const { return hands && !receiving && !closed && hands->waiting(); }

    /// Whether no packet comes any more, once the source is drained.
    bool finished() { return closed || !hands || hands->finish(); }

    /// Leaves out what belongs to other shards; false where that is all.
    bool admit(packet_batch& batch) {
        if (!in_time(batch))
            return false;
        if (hands)
            hands->sort(batch);
        return !batch.empty();
    }

    /// Leaves out what was captured before all shards were there to share the packets; false where that is all.
    bool in_time(packet_batch& batch) {
        if (!since)
            return true;
        std::size_t early = 0;
        bool found = false;
        for (auto const packet : batch) {
            if ((found = packet.clock != clock_source::software || packet.time >= *since))
                break;
            ++early;
        }
        if (early != 0)
            batch.split(early);
        if (found)
            since.reset();
        return found;
    }

    Source source;
    std::optional<timestamp> since;
    std::optional<hand_over> hands; // where the kernel cannot place all packets
    bool receiving = false;
    bool woken = false;    // the receive of the source was cancelled to look at what was handed over
    bool draining = false; // what is not there at once does not come any more
    bool closed = false;

private:
    template <class Then>
    void after(timer& with, std::chrono::nanoseconds pause, Then then) {
        with.expires_after(pause);
        with.async_wait([weak = this->weak_from_this(), then](error_code ec) {
            if (auto const self = weak.lock(); self && !ec && !self->closed)
                then(*self);
        });
    }

    timer settling;
    timer deadline;
    bool stopping = false;
};

/// A receive of the source, which becomes its end where there is nothing left.
template <class State, class Handler>
class shard_receive_op {
public:
    shard_receive_op(std::shared_ptr<State> state, packet_batch& out, Handler handler)
        : state_{std::move(state)}
        , out_{&out}
        , handler_{std::move(handler)}
        , cancellation_{boost::asio::get_associated_cancellation_slot(handler_),
                        boost::asio::enable_total_cancellation(), boost::asio::enable_total_cancellation()} {}

    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return cancellation_.slot(); }

    Handler const& handler() const noexcept { return handler_; }

    void start() {
        auto& source = state_->source;
        auto& out = *out_;
        state_->receiving = true;
        source.async_receive(out, std::move(*this));
    }

    void operator()(error_code ec, std::size_t) {
        auto& s = *state_;
        bool again = false;
        if (ec != error::operation_in_progress) {
            s.receiving = false;
            bool const woken = std::exchange(s.woken, false);
            bool const cancelled = cancellation_.cancelled() != boost::asio::cancellation_type::none;
            if (!ec && !s.admit(*out_)) {
                ec = boost::asio::error::operation_aborted;
                again = !cancelled;
            }
            if (ec == boost::asio::error::operation_aborted && (s.draining || (woken && !cancelled))) {
                bool const found = s.try_receive(*out_);
                again = !found && !cancelled && !(s.draining && s.finished());
                if (found)
                    ec = {};
                else if (s.draining && s.finished())
                    ec = boost::asio::error::eof;
            }
        }
        if (again)
            return start();
        state_.reset();
        std::move(handler_)(ec, ec ? std::size_t{0} : out_->size());
    }

private:
    std::shared_ptr<State> state_;
    packet_batch* out_;
    Handler handler_;
    boost::asio::cancellation_state cancellation_;
};

template <class State>
class initiate_shard_receive {
public:
    using executor_type = typename State::executor_type;

    explicit initiate_shard_receive(std::shared_ptr<State> state) noexcept
        : state_{std::move(state)} {}

    executor_type get_executor() const noexcept { return state_->source.get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler, packet_batch* out) const {
        if ((state_->draining && !state_->receiving) || state_->is_owed()) {
            out->reset();
            bool const found = state_->try_receive(*out);
            if (found || (state_->draining && state_->finished()))
                return complete_immediately(get_executor(), std::forward<Handler>(handler),
                                            found ? error_code{} : error_code{boost::asio::error::eof}, out->size());
        }
        shard_receive_op<State, std::decay_t<Handler>>{state_, *out, std::forward<Handler>(handler)}.start();
    }

private:
    std::shared_ptr<State> state_;
};

} // namespace netring_asio::detail

template <template <class, class> class Associator, class State, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::shard_receive_op<State, Handler>, Default>
    : Associator<Handler, Default> {
    using op = netring_asio::detail::shard_receive_op<State, Handler>;
    static auto get(op const& o) noexcept { return Associator<Handler, Default>::get(o.handler()); }
    static auto get(op const& o, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(o.handler(), fallback);
    }
};
