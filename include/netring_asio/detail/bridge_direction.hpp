#pragma once

#include <netring_asio/bridge_packet.hpp>
#include <netring_asio/bridge_statistics.hpp>
#include <netring_asio/detail/handler_memory.hpp>
#include <netring_asio/detail/segmenter.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/link_down_policy.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <boost/asio/error.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>

namespace netring_asio::detail {

/// One direction of a bridge: receives a batch, sends its packets, and so on. There is never more than one batch
/// between the two rings, so that a slow sink holds the source up, whose ring is the buffer.
///
/// `Source` is what `capture` is, `Sink` what `injector` is, and both may be one object for both directions; `Owner`
/// gives `shared_from_this`, `options`, `ends`, `fail(error_code)` and `ended()`.
template <class Owner, class Source, class Sink>
class bridge_direction {
public:
    bridge_direction(Owner& owner, Source& source, Sink& sink, bridge_side from)
        : owner_{owner}
        , source_{source}
        , sink_{sink}
        , from_{from} {}

    bool has_ended() const noexcept { return ended_; }

    void start() {
        last_ = finishing_ = ended_ = false;
        receive();
    }

    /// Nothing comes to the source any more: forwards what is there and ends.
    void finish() {
        last_ = true;
        if (receiving_)
            owner_.ends.cancel_receive(from_);
    }

    /// Ends without what cannot be sent now.
    void abandon() {
        if (!ended_)
            owner_.ends.cancel_send(other(from_));
    }

    bridge_direction_statistics statistics() const {
        auto const value = [](counter const& of) { return of.load(std::memory_order_relaxed); };
        return {.received = value(received_),
                .forwarded = value(forwarded_),
                .segmented = value(segmented_),
                .filtered = value(filtered_),
                .too_long = value(too_long_),
                .unsupported_offload = value(unsupported_offload_),
                .link_down = value(link_down_),
                .lost = owner_.ends.lost(from_),
                .abandoned = value(abandoned_),
                .rejected = sink_.statistics().rejected};
    }

private:
    static constexpr bridge_side other(bridge_side side) noexcept {
        return side == bridge_side::left ? bridge_side::right : bridge_side::left;
    }
    static bool rides_out(link_down_policy policy, error_code ec) noexcept {
        return (ec == error::interface_down && policy != link_down_policy::fail) ||
               (ec == error::interface_removed && policy == link_down_policy::reopen_by_name);
    }

    using counter = std::atomic<std::uint64_t>;
    static constexpr int batches_in_a_row = 4; // then others have their turn

    /// What is called when a part of the work is done. Its memory is the direction's.
    class step {
    public:
        using allocator_type = handler_allocator<std::byte>;

        step(bridge_direction& direction, void (bridge_direction::*next)(error_code))
            : owner_{direction.owner_.shared_from_this()}
            , direction_{&direction}
            , next_{next} {}

        allocator_type get_allocator() const noexcept { return allocator_type{direction_->memory_}; }

        template <class... Results>
        void operator()(error_code ec, Results&&...) {
            (direction_->*next_)(ec);
        }

    private:
        std::shared_ptr<Owner> owner_;
        bridge_direction* direction_;
        void (bridge_direction::*next_)(error_code);
    };

    // One thread counts, any reads.
    static void count(counter& of, std::uint64_t by = 1) noexcept {
        of.store(of.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }

    void receive() {
        receiving_ = true;
        source_.async_receive(batch_, step{*this, &bridge_direction::on_received});
    }

    void on_received(error_code ec) {
        receiving_ = false;
        if (ec) {
            last_ = true;
            if (ec != boost::asio::error::operation_aborted)
                owner_.fail(ec);
        }
        begin_batch();
        go_on();
    }

    void begin_batch() {
        at_ = batch_.begin();
        count(received_, batch_.size());
    }

    /// Works until something must be waited for.
    void go_on() {
        for (int budget = batches_in_a_row;; --budget) {
            if (!forward())
                return;
            flush();
            if (budget == 0 && !last_)
                break;
            if (!source_.try_receive(batch_))
                break;
            begin_batch();
        }
        if (!last_)
            return receive();
        finishing_ = true;
        if (!draining_)
            drain();
    }

    /// Sends what is left of the batch; false while it waits for room.
    bool forward() {
        while (!segments_.done() || at_ != std::default_sentinel) {
            if (segments_.done() && !accept(*at_)) {
                ++at_;
                continue;
            }
            error_code ec;
            if (!sink_.try_send_packet(next(), ec) && !ec) {
                sink_.async_send_packet(next(), step{*this, &bridge_direction::on_sent});
                return false;
            }
            settle(ec);
        }
        batch_.reset();
        return true;
    }

    packet_view const& next() const noexcept { return segments_.done() ? packet_.view() : segments_.segment(); }

    /// What was tried is sent or refused: goes on to the next segment or packet.
    void settle(error_code ec) {
        if (!segments_.done()) {
            segments_.next();
            if (ec)
                segments_.reset();
            else if (!segments_.done())
                return;
            else
                count(segmented_);
        } else if (ec == error::invalid_offload && segments_.begin(packet_.view())) {
            return;
        }
        account(ec);
        ++at_;
    }

    void on_sent(error_code ec) {
        if (ec == boost::asio::error::operation_aborted) {
            give_up();
            last_ = finishing_ = true;
            return draining_ ? void() : end();
        }
        settle(ec);
        go_on();
    }

    /// Counts what is received and will not be sent.
    void give_up() {
        segments_.reset();
        for (; at_ != std::default_sentinel; ++at_)
            count(abandoned_);
        while (source_.try_receive(batch_)) {
            count(received_, batch_.size());
            count(abandoned_, batch_.size());
        }
        batch_.reset();
    }

    bool accept(packet_view const& packet) {
        packet_.assign(from_, packet);
        if (packet.truncated()) {
            account(error::frame_too_long);
            return false;
        }
        auto const& filter = owner_.options.filter();
        if (!filter || filter(packet_) == bridge_verdict::forward)
            return true;
        count(filtered_);
        return false;
    }

    void account(error_code ec) {
        if (!ec)
            return count(forwarded_);
        if (ec == error::frame_too_long)
            count(too_long_);
        else if (ec == error::invalid_offload)
            count(unsupported_offload_);
        else
            count(link_down_);
        if (auto const& tell = owner_.options.on_drop())
            tell(from_, packet_.view(), ec);
        examine(ec);
    }

    /// Whether the run can go on.
    void examine(error_code ec) {
        bool const frame_only = ec == error::frame_too_long || ec == error::invalid_offload;
        if (ec && !frame_only && !rides_out(owner_.ends.on_link_down(other(from_)), ec))
            owner_.fail(ec);
    }

    void flush() {
        error_code ec;
        sink_.flush(ec);
        examine(ec);
        // What the kernel has no room for now goes without further traffic.
        if (!ec && sink_.queued() != 0 && !draining_)
            drain();
    }

    void drain() {
        draining_ = true;
        sink_.async_drain(step{*this, &bridge_direction::on_drained});
    }

    void on_drained(error_code ec) {
        draining_ = false;
        if (!ec && (finishing_ ? sink_.pending() : sink_.queued()) != 0)
            return drain();
        if (finishing_)
            end();
    }

    void end() {
        ended_ = true;
        owner_.ended();
    }

    Owner& owner_;
    Source& source_;
    Sink& sink_;
    std::shared_ptr<handler_memory> memory_ = std::make_shared<handler_memory>();
    packet_batch batch_;
    packet_batch::iterator at_;
    bridge_packet packet_;
    segmenter segments_; // of the packet
    bridge_side const from_;
    bool receiving_ = false;
    bool draining_ = false;
    bool last_ = false;      // nothing more comes
    bool finishing_ = false; // nothing more is to be sent
    bool ended_ = true;

    counter received_{0};
    counter forwarded_{0};
    counter segmented_{0};
    counter filtered_{0};
    counter too_long_{0};
    counter unsupported_offload_{0};
    counter link_down_{0};
    counter abandoned_{0};
};

} // namespace netring_asio::detail
