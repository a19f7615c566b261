#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/packet/packet_owner.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/error.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

namespace test {

namespace net = boost::asio;
namespace nr = netring_asio;

/// What a source shares with its test, and lends its batches from.
struct packet_store : nr::packet_owner {
    void recycle() noexcept override { ++recycled; }
    std::deque<std::vector<nr::packet_view>> batches;
    std::vector<nr::packet_view> lent;
    bool ends = true;
    int recycled = 0;
};

/// Gives out the batches of packets that a test put in, then waits, or ends.
template <class Executor = net::any_io_executor>
class memory_source {
public:
    using executor_type = Executor;
    template <class Other>
    struct rebind_executor {
        using other = memory_source<Other>;
    };

    explicit memory_source(Executor executor, std::shared_ptr<packet_store> content)
        : bell_{std::make_unique<timer>(std::move(executor), timer::time_point::max())}
        , content_{std::move(content)} {}
    template <class Other>
    explicit memory_source(memory_source<Other>&& other)
        : memory_source{Executor{other.get_executor()}, std::move(other.content_)} {}

    executor_type get_executor() const noexcept { return bell_->get_executor(); }
    void cancel() { bell_->cancel(); }
    void close() { bell_->cancel(); }
    /// There is something new.
    void ring() { bell_->expires_at(timer::time_point::max()); }

    bool try_receive(nr::packet_batch& out) {
        out.reset();
        if (content_->batches.empty())
            return false;
        content_->lent = std::move(content_->batches.front());
        content_->batches.pop_front();
        out = nr::packet_batch{content_->lent, content_.get()};
        return true;
    }

    template <class Token = net::default_completion_token_t<Executor>>
    auto async_receive(nr::packet_batch& out, Token&& token = {}) {
        return net::async_initiate<Token, void(nr::error_code, std::size_t)>(
            [this](auto handler, nr::packet_batch* batch) { this->wait(std::move(handler), batch); }, token, &out);
    }

private:
    template <class>
    friend class memory_source;
    using timer =
        net::basic_waitable_timer<std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>, Executor>;

    template <class Handler>
    void wait(Handler handler, nr::packet_batch* batch) {
        if (try_receive(*batch))
            return nr::detail::complete_immediately(get_executor(), std::move(handler), nr::error_code{},
                                                    batch->size());
        if (content_->ends)
            return nr::detail::complete_immediately(get_executor(), std::move(handler), nr::error_code{net::error::eof},
                                                    std::size_t{0});
        bell_->async_wait(woken<Handler>{this, batch, std::move(handler)});
    }

    template <class Handler>
    struct woken {
        using executor_type = net::associated_executor_t<Handler, Executor>;
        using allocator_type = net::associated_allocator_t<Handler>;
        using cancellation_slot_type = net::associated_cancellation_slot_t<Handler>;
        executor_type get_executor() const { return net::get_associated_executor(handler, self->get_executor()); }
        allocator_type get_allocator() const { return net::get_associated_allocator(handler); }
        cancellation_slot_type get_cancellation_slot() const { return net::get_associated_cancellation_slot(handler); }
        void operator()(nr::error_code) {
            if (self->try_receive(*batch))
                return std::move(handler)(nr::error_code{}, batch->size());
            std::move(handler)(nr::error_code{net::error::operation_aborted}, std::size_t{0});
        }
        memory_source* self;
        nr::packet_batch* batch;
        Handler handler;
    };

    std::unique_ptr<timer> bell_;
    std::shared_ptr<packet_store> content_;
};

} // namespace test
